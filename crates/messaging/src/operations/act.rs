//! One letter: replay, edit and replay, discard, restore.

use diesel::prelude::*;
use diesel::sql_types::{Bytea, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::Value;
use tracing::info;
use uuid::Uuid;

use super::audit::record_of;
use super::{Letter, Mandate, OperationError, Operations};
use crate::Conn;
use crate::correction::{Original, check_fact, difference};
use crate::kernel::Core;
use crate::once::{Answer, RequestKey, once};
use chassis::clock;

/// What to do with a letter.
#[derive(Debug, Clone)]
pub enum Act {
    /// Sent round again as it is.
    Replay,
    /// Sent round again with another payload; the original is superseded.
    Edit(Vec<u8>),
    /// Given up for good, until it is restored.
    Discard,
    /// Taken back from the discarded.
    Restore,
}

impl Act {
    fn name(&self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Edit(_) => "edit-and-replay",
            Self::Discard => "discard",
            Self::Restore => "restore",
        }
    }

    /// Whether there is something to do: false when it was done already, an error when it contradicts.
    fn is_due(&self, state: &str) -> Result<bool, OperationError> {
        match (self, state) {
            (Self::Replay | Self::Edit(_) | Self::Discard, "open") | (Self::Restore, "discarded") => Ok(true),
            (Self::Replay, "replaying" | "replayed")
            | (Self::Edit(_), "superseded")
            | (Self::Discard, "discarded")
            | (Self::Restore, "open") => Ok(false),
            _ => Err(OperationError::Conflict(state.to_owned())),
        }
    }
}

const LOCK: &str = "select * from dead_letter where id = $1 for update";
const SET: &str = "update dead_letter set state = $2, superseded_by = coalesce($3, superseded_by),
    job_id = $4, updated_at = now() where id = $1";
const AGAIN: &str = "update work set state = 'pending', attempts = 0, next_attempt_at = now(), claim = null,
    replays = replays + 1 where id = $1 and state = 'dead'";
const PUBLISH: &str = "insert into outbox (event_id, topic, key, headers, payload, work_id)
    select coalesce(event_id, id), name, key, headers, payload, id from dead_letter where id = $1";
/// In place: the edited message keeps its place among those of its key.
const RENAME: &str = "update work set id = $2, payload = $3 where id = $1 and state = 'dead'";
const COPY_LETTER: &str = "insert into dead_letter (id, edited_from, state, kind, name, key, event_id, headers, payload, attempts,
        deaths, origin_topic, origin_partition, origin_offset, origin_timestamp, error_class, error_message,
        error_fingerprint, first_failed_at, last_failed_at)
    select $2, id, 'replaying', kind, name, key, event_id, headers, $3, attempts, deaths, origin_topic, origin_partition,
        origin_offset, origin_timestamp, error_class, error_message, error_fingerprint, first_failed_at, last_failed_at
    from dead_letter where id = $1";

impl Operations {
    /// Does `act` to the letter `id` and answers the letter as it is then.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is done then.
    pub async fn act(&self, id: Uuid, act: Act, mandate: &Mandate) -> Result<Letter, OperationError> {
        let mut conn = self.core.connection().await?;
        let letter = conn
            .transaction(async |conn| apply(&self.core, conn, id, &act, mandate, None).await)
            .await?;
        self.acted(&letter, id, &act, mandate);
        Ok(letter)
    }

    /// The same for a request that may come again: with its key it is done once, and answered with what `view` made of the
    /// letter then.
    ///
    /// # Errors
    /// [`OperationError`]; nothing is done then.
    pub async fn act_once(
        &self,
        id: Uuid,
        act: Act,
        mandate: &Mandate,
        key: Option<&RequestKey>,
        view: impl Fn(&Letter) -> Value + Send + Sync,
    ) -> Result<Answer, OperationError> {
        let mut conn = self.core.connection().await?;
        let (answer, letter) = conn
            .transaction(async |conn| {
                let mut letter = None;
                let work = async |conn: &mut Conn| {
                    let now = apply(&self.core, conn, id, &act, mandate, None).await?;
                    Ok::<_, OperationError>(view(letter.insert(now)))
                };
                let answer = once(conn, key, work).await?;
                Ok::<_, OperationError>((answer, letter))
            })
            .await?;
        if let Some(letter) = letter {
            self.acted(&letter, id, &act, mandate);
        }
        Ok(answer)
    }

    /// It is committed: whoever works on it may look, and whoever reads the log.
    fn acted(&self, letter: &Letter, id: Uuid, act: &Act, mandate: &Mandate) {
        self.core.signals.woke(true, true);
        let key = crate::record::uuid_key(letter.key.as_deref()).map(|key| key.to_string());
        info!(
            work.id = %id,
            saga.id = key,
            action = act.name(),
            state = letter.state,
            actor.id = %mandate.actor,
            "an operator acted on a dead letter"
        );
    }
}

async fn lock(conn: &mut Conn, id: Uuid) -> Result<Letter, OperationError> {
    diesel::sql_query(LOCK)
        .bind::<SqlUuid, _>(id)
        .get_result(conn)
        .await
        .optional()?
        .ok_or(OperationError::NotFound)
}

pub(super) async fn apply(
    core: &Core,
    conn: &mut Conn,
    id: Uuid,
    act: &Act,
    mandate: &Mandate,
    job: Option<Uuid>,
) -> Result<Letter, OperationError> {
    let before = lock(conn, id).await?;
    if before.state == "obsolete" {
        return Err(OperationError::Obsolete(
            before.settled_reason.unwrap_or_default(),
        ));
    }
    if !act.is_due(&before.state)? {
        if let (Act::Edit(payload), Some(by)) = (act, before.superseded_by) {
            // the same edit again is a double click; another one contradicts it
            let successor = lock(conn, by).await?;
            if !is_same(successor.payload.as_deref(), payload) {
                return Err(OperationError::Conflict(before.state));
            }
        }
        return Ok(before);
    }
    let mut changes = None;
    match act {
        Act::Replay => {
            set(conn, id, "replaying", None, job).await?;
            send_round(conn, id, &before.kind).await?;
        }
        Act::Edit(payload) => {
            let corrected = core.corrected(conn, &before, payload).await?;
            changes = Some(difference(before.payload.as_deref(), &corrected));
            edit(conn, &before, &corrected).await?;
        }
        Act::Discard => set(conn, id, "discarded", None, before.job_id).await?,
        Act::Restore => set(conn, id, "open", None, before.job_id).await?,
    }
    let after = lock(conn, id).await?;
    record_of(
        conn,
        act.name(),
        id,
        mandate,
        Some(before.audited()),
        Some(with(after.audited(), changes)),
    )
    .await?;
    Ok(after)
}

/// What an edit has changed goes into the audit.
fn with(mut audited: Value, changes: Option<Value>) -> Value {
    if let (Some(members), Some(changes)) = (audited.as_object_mut(), changes) {
        members.insert("payload_changes".to_owned(), changes);
    }
    audited
}

/// Whether what an operator sends is what has been taken, however it is written.
fn is_same(taken: Option<&[u8]>, sent: &[u8]) -> bool {
    let value = |bytes| serde_json::from_slice::<Value>(bytes).ok();
    taken == Some(sent)
        || taken
            .and_then(value)
            .is_some_and(|taken| Some(taken) == value(sent))
}

impl Core {
    /// What is to be performed or processed in place of the letter's payload.
    async fn corrected(
        &self,
        conn: &mut Conn,
        letter: &Letter,
        payload: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        if letter.kind != crate::work::ACTION {
            check_fact(&letter.name, letter.key.as_deref(), payload).map_err(OperationError::Invalid)?;
            return Ok(payload.to_vec());
        }
        let performer = self
            .participants
            .iter()
            .find(|participant| participant.performs());
        let Some(performer) = performer else {
            return Err(OperationError::Conflict(
                "an action that nothing performs".to_owned(),
            ));
        };
        let original = Original {
            letter: letter.id,
            name: &letter.name,
            key: letter.key.as_deref(),
        };
        Ok(performer.correct(conn, &original, payload).await?)
    }
}

async fn set(conn: &mut Conn, id: Uuid, state: &str, by: Option<Uuid>, job: Option<Uuid>) -> QueryResult<()> {
    diesel::sql_query(SET)
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(state)
        .bind::<Nullable<SqlUuid>, _>(by)
        .bind::<Nullable<SqlUuid>, _>(job)
        .execute(conn)
        .await
        .map(drop)
}

/// A message or action is pending work again; a refused publication is besides in the outbox again, and stays in `work`
/// until Kafka has taken it.
async fn send_round(conn: &mut Conn, id: Uuid, kind: &str) -> Result<(), OperationError> {
    if on_row(conn, AGAIN, id).await? == 0 {
        return Err(without_work());
    }
    if kind == crate::work::PUBLICATION {
        on_row(conn, PUBLISH, id).await?;
    }
    Ok(())
}

async fn on_row(conn: &mut Conn, sql: &str, id: Uuid) -> QueryResult<usize> {
    diesel::sql_query(sql).bind::<SqlUuid, _>(id).execute(conn).await
}

fn without_work() -> OperationError {
    OperationError::Conflict("without its work".to_owned())
}

/// The edited message is a letter of its own, with the work of the original.
async fn edit(conn: &mut Conn, letter: &Letter, payload: &[u8]) -> Result<(), OperationError> {
    let by = clock::new_id();
    set(conn, letter.id, "superseded", Some(by), None).await?;
    for sql in [COPY_LETTER, RENAME] {
        let written = diesel::sql_query(sql)
            .bind::<SqlUuid, _>(letter.id)
            .bind::<SqlUuid, _>(by)
            .bind::<Bytea, _>(payload)
            .execute(conn)
            .await?;
        if written == 0 {
            return Err(without_work());
        }
    }
    send_round(conn, by, &letter.kind).await
}
