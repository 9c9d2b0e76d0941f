//! A participant with its types erased, as the kernel runs it.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use contracts::{Obsolete, Topic};
use diesel::result::Error as DieselError;
use futures::FutureExt;
use uuid::Uuid;

use crate::correction::{Original, Refused};
use crate::failure::HandlerPanic;
use crate::outbox::Effects;
use crate::participant::{Message, Participant};
use crate::performer::{ActionError, Attempt};
use crate::repository::{Action, Change, Conn, Repository, Versioned};
use crate::run::Run;
use crate::work::WorkRow;
use crate::{Failure, Outage};

/// Something to react to.
pub(crate) struct Input<'a> {
    /// Inputs of one lane are taken in order: when one fails, those after it wait. The Kafka key.
    pub(crate) lane: Option<&'a [u8]>,
    pub(crate) body: Body<'a>,
}

pub(crate) enum Body<'a> {
    Message(&'a Message),
    /// The answer to an action; made by the same participant's `perform`.
    Outcome {
        row: &'a WorkRow,
        answer: &'a (dyn Any + Send + Sync),
    },
    /// It has failed before any reaction saw it.
    Failed(Failure),
}

/// What became of one input.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// `moved` is false where it meant nothing to the state.
    Done {
        moved: bool,
    },
    /// An earlier input of its lane failed.
    Behind,
    Failed(Failure),
}

/// What became of an action that was to be performed.
pub(crate) enum Performed {
    Answer(Box<dyn Any + Send + Sync>),
    Failed(ActionError),
}

/// A participant as the kernel runs it.
#[async_trait]
pub(crate) trait Steps: Send + Sync {
    fn topics(&self) -> Vec<Topic>;
    fn performs(&self) -> bool;

    /// Reacts to `inputs` in order and saves the states that moved, in the caller's transaction. What must be
    /// written besides goes to `effects`.
    async fn apply(
        &self,
        service: &str,
        conn: &mut Conn,
        inputs: &[Input<'_>],
        effects: &mut Effects,
    ) -> Result<Vec<Verdict>, Outage>;

    /// Which of `rows` (actions) are still wanted, and why not.
    async fn wanted(
        &self,
        conn: &mut Conn,
        rows: &[WorkRow],
    ) -> Result<Vec<Result<(), Obsolete>>, DieselError>;

    /// Whether `input` would mean anything to its state now. Nothing is written.
    async fn would_move(&self, service: &str, conn: &mut Conn, input: Input<'_>)
    -> Result<bool, DieselError>;

    /// The action in place of a dead one, as it is to be performed; the state that knows of it is saved in the caller's
    /// transaction.
    async fn correct(
        &self,
        conn: &mut Conn,
        original: &Original<'_>,
        payload: &[u8],
    ) -> Result<Vec<u8>, Refused>;

    /// Whether the action must be done in the end, however often it fails.
    fn keeps_trying(&self, row: &WorkRow) -> bool;

    /// Carries out one action.
    async fn perform(&self, row: &WorkRow) -> Performed;
}

#[async_trait]
impl<R: Repository> Steps for Participant<R> {
    fn topics(&self) -> Vec<Topic> {
        self.listeners.iter().map(|(topic, _)| *topic).collect()
    }

    fn performs(&self) -> bool {
        self.performer.is_some()
    }

    fn keeps_trying(&self, row: &WorkRow) -> bool {
        action_of::<R::Action>(row).is_ok_and(|action| action.keeps_trying())
    }

    async fn apply(
        &self,
        service: &str,
        conn: &mut Conn,
        inputs: &[Input<'_>],
        effects: &mut Effects,
    ) -> Result<Vec<Verdict>, Outage> {
        caught(async {
            let mut run = Run::load(self, service, conn, inputs).await?;
            let verdicts = inputs.iter().map(|input| run.take(input, effects)).collect();
            let changes = run.changes();
            let saved = match changes.len() {
                0 => 0,
                _ => self.repository.save(conn, &changes).await?,
            };
            if saved != changes.len() {
                let expected = changes.len();
                return Err(Outage::Conflict { expected, saved });
            }
            Ok(verdicts)
        })
        .await
    }

    async fn wanted(
        &self,
        conn: &mut Conn,
        rows: &[WorkRow],
    ) -> Result<Vec<Result<(), Obsolete>>, DieselError> {
        let Some(performer) = &self.performer else {
            return Ok(vec![Ok(()); rows.len()]);
        };
        let ids = distinct(rows.iter().filter_map(aggregate_of_row));
        if ids.is_empty() {
            return Ok(vec![Ok(()); rows.len()]);
        }
        caught(async {
            let states: HashMap<Uuid, Versioned<R::State>> =
                self.repository.load(conn, &ids).await?.into_iter().collect();
            let wanted = rows.iter().map(|row| {
                let state = aggregate_of_row(row).and_then(|id| states.get(&id));
                match (state, action_of::<R::Action>(row)) {
                    (Some(stored), Ok(action)) => performer.precondition(&stored.state, &action),
                    // what cannot be read must come to light: performing it fails with the reason
                    _ => Ok(()),
                }
            });
            Ok(wanted.collect())
        })
        .await
    }

    async fn would_move(
        &self,
        service: &str,
        conn: &mut Conn,
        input: Input<'_>,
    ) -> Result<bool, DieselError> {
        caught(async {
            let mut run = Run::load(self, service, conn, std::slice::from_ref(&input)).await?;
            let verdict = run.take(&input, &mut Effects::default());
            Ok(!matches!(verdict, Verdict::Done { moved: false }))
        })
        .await
    }

    async fn correct(
        &self,
        conn: &mut Conn,
        original: &Original<'_>,
        payload: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let action = R::Action::corrected(original.name, payload).map_err(Refused::Invalid)?;
        let id = crate::record::uuid_key(original.key);
        let stored = match id {
            Some(id) => self.repository.load(conn, &[id]).await?.pop(),
            None => None,
        };
        let Some((id, Versioned { version, state })) = stored else {
            return Ok(payload.to_vec());
        };
        if let Some(performer) = &self.performer {
            performer
                .precondition(&state, &action)
                .map_err(Refused::Obsolete)?;
        }
        let Some(correction) = self.correction else {
            return Ok(payload.to_vec());
        };
        let (state, action) = correction(state, action, original.letter).map_err(Refused::Invalid)?;
        let version = version.saturating_add(1);
        if self
            .repository
            .save(conn, &[Change { id, version, state }])
            .await?
            != 1
        {
            // its row is locked, so nobody else can have moved it
            return Err(Refused::Database(DieselError::RollbackTransaction));
        }
        serde_json::to_vec(&action)
            .map_err(|error| Refused::Database(DieselError::SerializationError(error.into())))
    }

    async fn perform(&self, row: &WorkRow) -> Performed {
        let Some(performer) = &self.performer else {
            return Performed::Failed(Failure::new("no-performer", "nothing performs this action").into());
        };
        let action = match action_of::<R::Action>(row) {
            Ok(action) => action,
            Err(failure) => return Performed::Failed(failure.into()),
        };
        let attempt = Attempt {
            failed_before: u32::try_from(row.attempts).unwrap_or_default(),
        };
        let performed = AssertUnwindSafe(performer.perform(&action, attempt)).catch_unwind();
        match performed.await {
            Ok(Ok(answer)) => Performed::Answer(Box::new(answer)),
            Ok(Err(error)) => Performed::Failed(error),
            Err(panic) => Performed::Failed(Failure::of_panic(panic.as_ref()).into()),
        }
    }
}

pub(crate) fn aggregate_of_row(row: &WorkRow) -> Option<Uuid> {
    crate::record::uuid_key(row.key.as_deref())
}

fn action_of<A: Action>(row: &WorkRow) -> Result<A, Failure> {
    serde_json::from_slice(row.payload.as_deref().unwrap_or_default())
        .map_err(|error| Failure::new("malformed-action", error))
}

pub(crate) fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A bug in a repository is the message's own failure, not the process's end. It rolls the transaction back like any
/// other error.
async fn caught<T, E: From<DieselError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(DieselError::from(HandlerPanic(Failure::of_panic(panic.as_ref()))).into()),
    }
}
