//! What requests with an `Idempotency-Key` were answered with.

use std::time::Duration;

use chassis::auth::Principal;
use chassis::idempotency::{IdempotencyKey, request_hash};
use chassis::problem::{Code, Problem};
use messaging::Conn;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::store::idempotency::{self, Taking};

/// A request's key.
pub(super) struct Key {
    customer: Uuid,
    key: String,
    hash: Vec<u8>,
}

/// Why a request does not get its key.
#[derive(Debug, Error)]
pub(super) enum NotTaken {
    #[error("the idempotency key was taken meanwhile")]
    Used,
    #[error("another request has the idempotency key in hand")]
    InHand,
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    #[error("the answer cannot be written as JSON")]
    Answer(#[from] serde_json::Error),
}

impl From<NotTaken> for Problem {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Used | NotTaken::InHand => Self::new(Code::IdempotencyInFlight).retry_after(1),
            NotTaken::Database(error) => error.into(),
            NotTaken::Answer(error) => Self::internal(error),
        }
    }
}

impl Key {
    /// The key of the caller's `request`, if it has one.
    pub(super) fn of(
        caller: &Principal,
        IdempotencyKey(key): IdempotencyKey,
        request: &impl Serialize,
    ) -> Result<Option<Self>, Problem> {
        let Some(key) = key else { return Ok(None) };
        Ok(Some(Self {
            customer: caller.user_id.uuid(),
            key,
            hash: request_hash(request)?,
        }))
    }
}

/// The stored answer, where the key has been used.
pub(super) async fn answered(conn: &mut Conn, key: Option<&Key>) -> Result<Option<Value>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let Some(used) = idempotency::find(conn, key.customer, &key.key).await? else {
        return Ok(None);
    };
    if used.request_hash == key.hash {
        Ok(Some(used.response))
    } else {
        Err(Problem::new(Code::IdempotencyMismatch))
    }
}

/// Takes the key, if there is one, for `answer`, in the transaction of what is answered.
pub(super) async fn take(
    conn: &mut Conn,
    key: Option<&Key>,
    answer: &impl Serialize,
    patience: Duration,
) -> Result<(), NotTaken> {
    let Some(key) = key else { return Ok(()) };
    let answer = serde_json::to_value(answer)?;
    match idempotency::take(conn, key.customer, &key.key, &key.hash, &answer, patience).await? {
        Taking::Taken => Ok(()),
        Taking::Used => Err(NotTaken::Used),
        Taking::InHand => Err(NotTaken::InHand),
    }
}
