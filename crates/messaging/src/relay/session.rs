//! The leader's connection: the lock, the scans, the deletes.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use tracing::error;
use uuid::Uuid;

use super::low_water::{Candidate, LowWater};
use super::publish::Published;
use crate::dead_letter::{self, Death};
use crate::kernel::Core;
use crate::new_work::NewWork;
use crate::schema::outbox;
use crate::work::{self, PUBLICATION};
use crate::{Conn, Failure, Headers, Outage, outbox as append_only};
use chassis::clock;

/// The lead of a database's relay; any number that nothing else in the database uses.
const LEAD_LOCK: i64 = 0x7175_6164_0001;

/// How often the lead is looked after while Kafka is waited for.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// An outbox row as the relay reads it.
#[derive(Debug, Clone, Queryable, Selectable, QueryableByName)]
#[diesel(table_name = outbox)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) event_id: Uuid,
    pub(super) topic: String,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: serde_json::Value,
    pub(super) payload: Option<Vec<u8>>,
    /// The refused publication that this row sends round again.
    pub(super) work_id: Option<Uuid>,
}

impl Row {
    pub(super) fn headers(&self) -> Headers {
        serde_json::from_value(self.headers.clone()).unwrap_or_default()
    }
}

/// A connection that has the lead.
pub(super) struct Session {
    conn: chassis::database::Session,
    water: LowWater,
}

impl Session {
    /// Asks for the lead; none when another has it.
    pub(super) async fn lead(core: &Core) -> Result<Option<Self>, Outage> {
        #[derive(QueryableByName)]
        struct Lock {
            #[diesel(sql_type = Bool)]
            taken: bool,
        }
        let mut conn = core.connection().await?;
        let lock: Lock = diesel::sql_query(format!("select pg_try_advisory_lock({LEAD_LOCK}) as taken"))
            .get_result(&mut conn)
            .await?;
        // taken out of the pool: the lock lives and dies with this connection
        Ok(lock.taken.then(|| Self {
            conn: conn.take(),
            water: LowWater::default(),
        }))
    }

    /// Looks how far the low-water mark may move.
    pub(super) async fn sample(&mut self) -> Result<(), Outage> {
        if self.conn.is_spoiled() {
            // it could go on reading for ever what nobody writes to any more
            return Err(Outage::NoWriter);
        }
        let xmin = self.number("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as number");
        let xmin = xmin.await?;
        self.water.ended(xmin);
        // two statements, in this order: what has drawn an id by the first has a lower number than the second's
        let next_id = self
            .number("select last_value + case when is_called then 1 else 0 end as number from outbox_id_seq");
        let next_id = next_id.await?;
        if self.water.wants(next_id) {
            let above = self.number("select pg_current_xact_id()::text::bigint as number");
            let above = above.await?;
            self.water.propose(Candidate { next_id, above });
        }
        Ok(())
    }

    async fn number(&mut self, query: &str) -> Result<i64, Outage> {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let row: Number = diesel::sql_query(query).get_result(&mut self.conn).await?;
        Ok(row.number)
    }

    /// The oldest rows, without those of `waiting` topics and whatever has a key that such a row has.
    pub(super) async fn scan(&mut self, max: i64, waiting: &[String]) -> Result<Vec<Row>, Outage> {
        if !waiting.is_empty() {
            return self.scan_past(max, waiting).await;
        }
        let rows: Vec<Row> = outbox::table
            .filter(outbox::id.ge(self.water.mark()))
            .order(outbox::id)
            .limit(max)
            .select(Row::as_select())
            .load(&mut self.conn)
            .await?;
        self.water.scanned(rows.as_slice().first().map(|row| row.id));
        Ok(rows)
    }

    async fn scan_past(&mut self, max: i64, waiting: &[String]) -> Result<Vec<Row>, Outage> {
        let lowest: Option<i64> = outbox::table
            .filter(outbox::id.ge(self.water.mark()))
            .select(diesel::dsl::min(outbox::id))
            .get_result(&mut self.conn)
            .await?;
        // a set of keys that is looked up for each row: to compare ids too would be exact, and quadratic
        let rows = diesel::sql_query(
            "select id, event_id, topic, key, headers, payload, work_id from outbox
             where id >= $1 and topic <> all($2)
               and (key is null
                    or key not in (select key from outbox where id >= $1 and topic = any($2) and key is not null))
             order by id limit $3",
        )
        .bind::<BigInt, _>(self.water.mark())
        .bind::<Array<Text>, _>(waiting)
        .bind::<BigInt, _>(max)
        .load(&mut self.conn)
        .await?;
        self.water.scanned(lowest);
        Ok(rows)
    }

    /// Ends when the connection does, and with it the lead.
    pub(super) async fn lost(&mut self) -> Outage {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            if let Err(error) = diesel::sql_query("select 1").execute(&mut self.conn).await {
                return error.into();
            }
        }
    }

    /// Deletes exactly what Kafka acknowledged, with the dead letters that are thereby made good, and sets aside what it
    /// refused for good.
    pub(super) async fn finish(&mut self, core: &Core, published: &Published) -> Result<(), Outage> {
        chassis::crossing!("relay.acknowledged");
        let mut done = published.acknowledged.clone();
        if published.refused.is_empty() && published.made_good.is_empty() {
            delete(&mut self.conn, &done).await?;
        } else {
            done.extend(published.refused.iter().map(|(row, _)| row.id));
            self.conn
                .transaction::<_, Outage, _>(async |conn| {
                    // in this order: outbox ids are drawn by transactions that have their number already
                    delete(conn, &done).await?;
                    work::delete(conn, &published.made_good).await?;
                    set_aside(conn, core, published).await
                })
                .await?;
        }
        chassis::crossing!("relay.deleted");
        core.metrics.published(&published.topics);
        core.metrics.refused(published.refused.len());
        core.metrics.doubted(published.doubted);
        core.metrics.held(&published.held, true);
        core.metrics.held(&published.released, false);
        Ok(())
    }
}

async fn delete(conn: &mut Conn, ids: &[i64]) -> Result<(), Outage> {
    if !ids.is_empty() {
        diesel::delete(outbox::table.filter(outbox::id.eq_any(ids)))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// A record that Kafka will never take becomes a dead letter, or the one again that it was before its replay. Its
/// announcement leaves the body out, which may be why; it stays in the row. What was itself a dead letter is only kept.
async fn set_aside(conn: &mut Conn, core: &Core, published: &Published) -> Result<(), Outage> {
    let settings = &core.settings;
    for (row, failure) in &published.refused {
        error!(kafka.topic = row.topic, event.id = %row.event_id, error = %failure, "kafka refuses the record");
        let now = clock::now();
        let work_id = match again(conn, core, row, failure).await? {
            Some(known) => known,
            None => keep(conn, core, row, failure).await?,
        };
        let death = Death {
            work_id,
            kind: PUBLICATION,
            name: &row.topic,
            key: row.key.clone(),
            headers: row.headers(),
            payload: None,
            origin: None,
            retries: 0,
            first_failed_at: now,
        };
        if let Some(letter) = dead_letter::announce(&core.service, death, failure, settings, now) {
            append_only::append(conn, &[letter]).await?;
        }
    }
    Ok(())
}

/// A replay that is refused: its dead letter is open again.
async fn again(conn: &mut Conn, core: &Core, row: &Row, failure: &Failure) -> Result<Option<Uuid>, Outage> {
    let Some(known) = row.work_id else {
        return Ok(None);
    };
    let died = work::refuse_again(conn, known, &row.topic, failure, &core.settings).await?;
    Ok((died == 1).then_some(known))
}

async fn keep(conn: &mut Conn, core: &Core, row: &Row, failure: &Failure) -> Result<Uuid, Outage> {
    let kept = NewWork::refused(
        &row.topic,
        row.key.clone(),
        row.event_id,
        &row.headers(),
        row.payload.clone(),
        failure,
        &core.settings,
    );
    let id = kept.id;
    work::insert(conn, &[kept]).await?;
    Ok(id)
}
