//! An operator at the desk.

use messaging::operations::{Act, Filter, Letter, LetterQuery, Mandate, OperationError};
use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::tally::{Ill, infect};
use crate::world::{Database, Running, eventually, until};

/// All that operators can change.
const ALL: &str = "select 'letter ' || t::text from dead_letter t union all select 'work ' || t::text from work t
    union all select 'outbox ' || t::text from outbox t union all select 'job ' || t::text from dead_letter_job t
    union all select 'audit ' || t::text from operation_audit t order by 1";

pub(crate) fn because(reason: &str) -> Mandate {
    Mandate {
        actor: chassis::clock::new_id(),
        reason: reason.to_owned(),
    }
}

pub(crate) fn mandate() -> Mandate {
    because("the shop is open again")
}

impl Running {
    /// For the usual reason.
    pub(crate) async fn act(&self, id: Uuid, act: Act) -> Result<Letter, OperationError> {
        self.operations.act(id, act, &mandate()).await
    }

    /// For the usual reason.
    pub(crate) async fn replay_many(&self, filter: &Filter, rate: i32, dry_run: bool) -> serde_json::Value {
        let why = mandate();
        if dry_run {
            return self.operations.would_replay(filter).await.unwrap();
        }
        let job = self.operations.replay_many(filter, rate, &why, None).await;
        job.unwrap().document
    }

    /// Waits until exactly so many letters are open; the oldest first.
    pub(crate) async fn open_letters(&self, count: usize) -> Vec<Letter> {
        eventually(&format!("{count} open letters"), async || {
            let open = LetterQuery {
                state: Some("open".to_owned()),
                ..LetterQuery::default()
            };
            let mut letters = self.operations.letters(&open, 1_000).await.unwrap();
            letters.reverse();
            (letters.len() == count).then_some(letters)
        })
        .await
    }

    pub(crate) async fn open_letter(&self) -> Letter {
        self.open_letters(1).await.remove(0)
    }

    pub(crate) async fn until_letter(&self, id: Uuid, state: &str) {
        until(&format!("{id} is {state}"), async || {
            self.operations.letter(id).await.unwrap().state == state
        })
        .await;
    }

    /// Waits until `member` of the job's document is as `wanted`.
    pub(crate) async fn until_job(&self, id: Uuid, what: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
        until(&format!("the job is {what}"), async || {
            wanted(&self.operations.job(id).await.unwrap())
        })
        .await;
    }
}

impl Database {
    /// Why the database does not do it.
    pub(crate) async fn refused(&mut self, sql: &str) -> String {
        use diesel_async::RunQueryDsl;
        let done = diesel::sql_query(sql).execute(self.conn()).await;
        done.unwrap_err().to_string()
    }

    /// All that operators can change, as text, once what has died is announced.
    pub(crate) async fn everything(&mut self) -> Vec<String> {
        self.until_zero("select count(*) from outbox").await;
        self.texts(ALL).await
    }

    /// What the audit says, in its order: action, reason, state before and after.
    pub(crate) async fn audited(&mut self, subject: Uuid) -> Vec<String> {
        self.texts(&format!(
            "select concat_ws(' ', action, reason, before->>'state', after->>'state') from operation_audit
             where subject = '{subject}' order by id"
        ))
        .await
    }
}

/// Orders whose first message fails for as long as they are ill.
pub(crate) async fn sick_orders(broker: &Broker, count: usize) -> Vec<Uuid> {
    let orders: Vec<Uuid> = (0..count).map(|_| chassis::clock::new_id()).collect();
    for order in &orders {
        infect(*order, Ill::Rejected);
    }
    let messages: Vec<Sent> = orders.iter().map(|order| Sent::new(*order, "1")).collect();
    broker.produce(&messages).await;
    orders
}
