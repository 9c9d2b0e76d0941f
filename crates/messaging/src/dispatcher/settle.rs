//! The transaction that ends claimed work: react, outbox, and the row deleted, put off or dead.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use contracts::Obsolete;
use diesel_async::AsyncConnection;
use tokio::time::timeout;
use uuid::Uuid;

use crate::attempt::FailedAttempt;
use crate::claim::still_held;
use crate::dead_letter::{self, Death};
use crate::intake::{Blame, Judged};
use crate::isolate::Transactional;
use crate::kernel::Core;
use crate::obsolete::{self, MEANS_NOTHING};
use crate::outbox::{self, Effects};
use crate::participant::Message;
use crate::saga_log::SagaStep;
use crate::steps::{Body, Input, Verdict};
use crate::work::{self, ACTION, MESSAGE, WorkRow};
use crate::{Conn, Failure, Outage};
use chassis::clock;

/// Claimed work that is ready for its transaction.
pub(super) struct Ready {
    pub(super) token: Uuid,
    pub(super) participant: usize,
    pub(super) row: WorkRow,
    pub(super) body: ReadyBody,
}

pub(super) enum ReadyBody {
    Message(Box<Result<Message, Failure>>),
    Answer(Box<dyn Any + Send + Sync>),
    Failed(Failure),
    /// The state of the aggregate no longer asks for the action.
    Unwanted(Obsolete),
}

impl Ready {
    fn kind(&self) -> &'static str {
        match self.body {
            ReadyBody::Message(_) => MESSAGE,
            ReadyBody::Answer(_) | ReadyBody::Failed(_) | ReadyBody::Unwanted(_) => ACTION,
        }
    }

    fn body(&self, condemned: Option<&Failure>) -> Option<Body<'_>> {
        Some(match (&self.body, condemned) {
            (ReadyBody::Unwanted(_), _) => return None,
            (_, Some(failure)) => Body::Failed(failure.clone()),
            (ReadyBody::Failed(failure), None) => Body::Failed(failure.clone()),
            (ReadyBody::Answer(answer), None) => Body::Outcome {
                row: &self.row,
                answer: answer.as_ref(),
            },
            (ReadyBody::Message(message), None) => match message.as_ref() {
                Ok(message) => Body::Message(message),
                Err(failure) => Body::Failed(failure.clone()),
            },
        })
    }
}

/// Ends claimed work.
pub(super) struct Settle {
    pub(super) core: Arc<Core>,
}

/// What one transaction did.
#[derive(Default)]
struct Settled {
    outbox: usize,
    actions: usize,
    failed: Vec<FailedAttempt>,
    steps: Vec<SagaStep>,
}

impl Settle {
    async fn settle(
        &self,
        conn: &mut Conn,
        ready: &[Ready],
        condemned: Option<&Failure>,
    ) -> Result<Settled, Outage> {
        let held = self.held(conn, ready).await?;
        let held: Vec<&Ready> = ready
            .iter()
            .filter(|ready| held.contains(&ready.row.id))
            .collect();
        let mut effects = Effects::default();
        let (mut done, mut put_off, mut obsolete) = (Vec::new(), Vec::new(), Vec::new());
        let mut settled = Settled::default();
        for (index, participant) in self.core.participants.iter().enumerate() {
            let (mut rows, mut inputs) = (Vec::new(), Vec::new());
            for ready in held.iter().filter(|ready| ready.participant == index) {
                match ready.body(condemned) {
                    // no lanes: of a key's messages only the oldest is claimed, and answers have no order
                    Some(body) => {
                        rows.push(*ready);
                        inputs.push(Input { lane: None, body });
                    }
                    None => {
                        if let ReadyBody::Unwanted(why) = ready.body {
                            obsolete.push((ready.row.id, why));
                        }
                        done.push(ready.row.id);
                    }
                }
            }
            let verdicts = participant
                .apply(&self.core.service, conn, &inputs, &mut effects)
                .await?;
            let excused = self.excused(&rows, &verdicts);
            for (ready, verdict) in rows.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Done { moved } => {
                        if !moved && ready.kind() == MESSAGE {
                            obsolete.push((ready.row.id, MEANS_NOTHING));
                        }
                        done.push(ready.row.id);
                    }
                    Verdict::Behind => {}
                    Verdict::Failed(_) if excused => put_off.push(ready),
                    Verdict::Failed(failure) => {
                        let died = self.failed(conn, ready, &failure, &mut effects).await?;
                        let row = &ready.row;
                        let (key, headers) = (row.key.as_deref(), row.headers());
                        settled
                            .failed
                            .push(FailedAttempt::new(row.id, key, &headers, failure, died));
                    }
                }
            }
        }
        // before its work is gone, or it would be taken for one that was replayed with success
        obsolete::settle_replayed(conn, &obsolete).await?;
        work::delete(conn, &done).await?;
        self.put_off(conn, &put_off).await?;
        settled.steps = std::mem::take(&mut effects.steps);
        settled.outbox = effects.outbox.len();
        settled.actions = effects.actions.len();
        outbox::append(conn, &effects.outbox).await?;
        work::insert_actions(conn, effects.actions).await?;
        if !ready.is_empty() {
            chassis::crossing!("work.settled");
        }
        Ok(settled)
    }

    /// Whether the failures of these messages are nobody's own. Actions have a breaker of their own.
    fn excused(&self, rows: &[&Ready], verdicts: &[Verdict]) -> bool {
        let judged = rows.iter().zip(verdicts).map(|(ready, verdict)| Judged {
            key: ready.row.key.as_deref(),
            before: ready.row.last_failed_at,
            verdict,
        });
        rows.iter().all(|ready| ready.kind() == MESSAGE)
            && self.core.intake.judge(judged, Instant::now()) != Blame::Own
    }

    /// They go back uncounted.
    async fn put_off(&self, conn: &mut Conn, ready: &[&Ready]) -> Result<(), Outage> {
        if ready.is_empty() {
            return Ok(());
        }
        let (tokens, ids): (Vec<Uuid>, Vec<Uuid>) =
            ready.iter().map(|ready| (ready.token, ready.row.id)).unzip();
        work::release(conn, &tokens, &ids, clock::now() + self.core.later()).await?;
        Ok(())
    }

    /// All of a batch were claimed together or in a few claims.
    async fn held(&self, conn: &mut Conn, ready: &[Ready]) -> Result<HashSet<Uuid>, Outage> {
        let tokens: HashSet<Uuid> = ready.iter().map(|ready| ready.token).collect();
        let ids: Vec<Uuid> = ready.iter().map(|ready| ready.row.id).collect();
        Ok(still_held(conn, &tokens.into_iter().collect::<Vec<_>>(), &ids)
            .await?
            .into_iter()
            .collect())
    }

    async fn failed(
        &self,
        conn: &mut Conn,
        ready: &Ready,
        failure: &Failure,
        effects: &mut Effects,
    ) -> Result<bool, Outage> {
        let now = clock::now();
        let settings = &self.core.settings;
        let participant = self.core.participants.get(ready.participant);
        let keeps_trying =
            ready.kind() == ACTION && participant.is_some_and(|it| it.keeps_trying(&ready.row));
        let died = work::record_failure(conn, &ready.row, failure, keeps_trying, settings, now).await?;
        if died {
            chassis::crossing!("work.died");
            let death = Death::of_row(&ready.row, ready.kind(), now);
            let letter = dead_letter::announce(&self.core.service, death, failure, settings, now);
            effects.outbox.extend(letter);
        }
        Ok(died)
    }
}

#[async_trait]
impl Transactional<Ready> for Settle {
    async fn attempt(&self, ready: &[Ready], condemned: Option<&Failure>) -> Result<(), Outage> {
        let mut conn = self.core.connection().await?;
        let transaction =
            conn.transaction::<_, Outage, _>(async |conn| self.settle(conn, ready, condemned).await);
        let Ok(settled) = timeout(self.core.patience(), transaction).await else {
            return Err(self.core.give_up(conn));
        };
        let settled = settled?;
        chassis::crossing!("work.committed");
        settled.steps.iter().for_each(SagaStep::tell);
        for failed in &settled.failed {
            failed.tell(&self.core.metrics);
        }
        self.core.signals.woke(settled.outbox > 0, settled.actions > 0);
        Ok(())
    }

    async fn accepts_writes(&self) -> bool {
        self.core.accepts_writes().await
    }
}
