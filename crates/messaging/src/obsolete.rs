//! Dead letters whose purpose is gone: the state no longer asks for the action, or the message means nothing to it any more.
//! The service settles them itself, with the reason; nobody has to look at them, and replaying them would do nothing.

use std::time::Duration;

use contracts::Obsolete;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

use crate::dispatcher;
use crate::failure::{Blame, blame};
use crate::kernel::Core;
use crate::steps::{Body, Input};
use crate::work::{self, ACTION, MESSAGE, WorkRow};
use crate::{Conn, Outage};

/// What a message is that changes nothing any more.
pub(crate) const MEANS_NOTHING: Obsolete =
    Obsolete("it would change nothing: what it says is applied already, or has ceased to matter");

/// Letters looked at in one query.
const BATCH: i64 = 100;
/// Letters looked at in one round at most; the next one goes on behind them.
const ROUND: usize = 1_000;

const OPEN: &str = "select w.* from work w join dead_letter d on d.id = w.id
    where d.state = 'open' and w.state = 'dead' and w.kind = $1 and w.id > $2 order by w.id limit $3";
const LOCK: &str = "select id from dead_letter where id = $1 and state = 'open' for update skip locked";
const SETTLE: &str =
    "update dead_letter d set state = 'obsolete', settled_reason = why.reason, updated_at = now()
    from unnest($1, $2) why(id, reason) where d.id = why.id and d.state = $3";

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    #[expect(dead_code, reason = "only whether there is one matters")]
    id: Uuid,
}

/// Of replayed letters, those whose replay had nothing to do.
pub(crate) async fn settle_replayed(conn: &mut Conn, letters: &[(Uuid, Obsolete)]) -> QueryResult<()> {
    settle(conn, letters, "replaying").await
}

async fn settle(conn: &mut Conn, letters: &[(Uuid, Obsolete)], from: &str) -> QueryResult<()> {
    if letters.is_empty() {
        return Ok(());
    }
    let (ids, reasons): (Vec<Uuid>, Vec<&str>) = letters.iter().map(|(id, why)| (*id, why.0)).unzip();
    diesel::sql_query(SETTLE)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Text>, _>(reasons)
        .bind::<Text, _>(from)
        .execute(conn)
        .await
        .map(drop)
}

/// What a state cannot tell of one letter is no reason to settle it, and no reason not to look at the others.
fn told<T>(answer: QueryResult<T>) -> Result<Option<T>, Outage> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if blame(&error) == Blame::Infrastructure => Err(error.into()),
        Err(error) => {
            debug!(%error, "whether a dead letter is obsolete is not known");
            Ok(None)
        }
    }
}

impl Core {
    /// Looks for such letters until the process stops.
    pub(crate) async fn settle_obsolete(&self, stop: CancellationToken) {
        let every = Duration::from_millis(self.settings.obsolete_check_ms.max(1));
        // where the last round ended, of actions and of messages
        let mut after = [Uuid::nil(); 2];
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            for (kind, after) in [ACTION, MESSAGE].iter().zip(&mut after) {
                match self.round(kind, *after).await {
                    Ok(next) => *after = next,
                    Err(error) => debug!(%error, "dead letters are looked at later"),
                }
            }
        }
    }

    /// Answers where the next round begins.
    async fn round(&self, kind: &str, mut after: Uuid) -> Result<Uuid, Outage> {
        let mut looked_at = 0_usize;
        while looked_at < ROUND {
            let mut conn = self.connection().await?;
            let rows: Vec<WorkRow> = diesel::sql_query(OPEN)
                .bind::<Text, _>(kind)
                .bind::<SqlUuid, _>(after)
                .bind::<BigInt, _>(BATCH)
                .load(&mut conn)
                .await?;
            let Some(last) = rows.last() else {
                return Ok(Uuid::nil());
            };
            after = last.id;
            looked_at = looked_at.saturating_add(rows.len());
            let end = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            for row in &rows {
                if self.purpose(&mut conn, kind, row).await?.is_some() {
                    self.settle_one(&mut conn, kind, row).await?;
                }
            }
            if end {
                return Ok(Uuid::nil());
            }
        }
        Ok(after)
    }

    /// Why the letter has no purpose any more; none while it has one.
    async fn purpose(&self, conn: &mut Conn, kind: &str, row: &WorkRow) -> Result<Option<Obsolete>, Outage> {
        if kind == ACTION {
            let performer = self
                .participants
                .iter()
                .find(|participant| participant.performs());
            let Some(performer) = performer else {
                return Ok(None);
            };
            let wanted = performer.wanted(conn, std::slice::from_ref(row)).await;
            let wanted = told(wanted)?.and_then(|wanted| wanted.into_iter().next());
            return Ok(wanted.and_then(Result::err));
        }
        let listener = self.participants.get(self.listener_of(&row.name));
        let message = dispatcher::message(row, self.settings.dedupe_retention_days);
        let (Some(participant), Ok(message)) = (listener, message) else {
            return Ok(None);
        };
        let input = Input {
            lane: None,
            body: Body::Message(&message),
        };
        let moves = told(participant.would_move(&self.service, conn, input).await)?;
        Ok((moves == Some(false)).then_some(MEANS_NOTHING))
    }

    /// Again under the letter's lock and the aggregate's, in the transaction that settles it.
    async fn settle_one(&self, conn: &mut Conn, kind: &str, row: &WorkRow) -> Result<(), Outage> {
        let settling = conn.transaction::<_, Outage, _>(async |conn| {
            let locked: Option<Found> = diesel::sql_query(LOCK)
                .bind::<SqlUuid, _>(row.id)
                .get_result(conn)
                .await
                .optional()?;
            if locked.is_none() {
                return Ok(None);
            }
            let Some(why) = self.purpose(conn, kind, row).await? else {
                return Ok(None);
            };
            settle(conn, &[(row.id, why)], "open").await?;
            work::delete(conn, &[row.id]).await?;
            Ok(Some(why))
        });
        let settled = match timeout(self.patience(), settling).await {
            Ok(settled) => settled?,
            Err(_elapsed) => return Err(Outage::Stalled(self.patience())),
        };
        if let Some(why) = settled {
            let key = crate::record::uuid_key(row.key.as_deref()).map(|key| key.to_string());
            info!(work.id = %row.id, saga.id = key, reason = why.0, "a dead letter is obsolete");
        }
        Ok(())
    }
}
