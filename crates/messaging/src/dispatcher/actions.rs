//! Actions: claimed, performed side by side, and their outcomes stored in batches.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span, warn};
use uuid::Uuid;

use super::{Ready, ReadyBody, Settle};
use crate::Outage;
use crate::claim::{Claim, claim};
use crate::isolate;
use crate::kernel::Core;
use crate::participant::{Performed, Steps};
use crate::performer::ActionError;
use crate::record::envelope;
use crate::retry::Backoff;
use crate::trace::TraceContext;
use crate::work::{self, ACTION, WorkRow};
use chassis::clock;

enum Performance {
    Ready(Box<Ready>),
    /// Whatever the action needs is down: it goes back uncounted.
    Outage(Uuid),
}

pub(crate) struct ActionLoop {
    core: Arc<Core>,
    settle: Settle,
    performer: usize,
}

type InFlight<'a> = FuturesUnordered<BoxFuture<'a, Performance>>;

impl ActionLoop {
    /// None where no participant performs actions.
    pub(crate) fn new(core: Arc<Core>) -> Option<Self> {
        let performer = core
            .participants
            .iter()
            .position(|participant| participant.performs())?;
        Some(Self {
            settle: Settle { core: core.clone() },
            core,
            performer,
        })
    }

    /// Runs until `stop`; actions in flight are finished and stored first. What cannot be stored then is performed
    /// again, under the same key, by whoever starts next.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut in_flight = InFlight::new();
        let mut finished = Vec::new();
        let mut backoff = Backoff::new(&self.core.settings);
        while !stop.is_cancelled() {
            match self.round(&mut in_flight, &mut finished).await {
                Ok(true) => backoff.reset(),
                Ok(false) => {
                    backoff.reset();
                    self.idle(&mut in_flight, &mut finished, &stop).await;
                }
                Err(outage) => {
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "cannot dispatch actions, waiting");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
        while let Some(performance) = in_flight.next().await {
            finished.push(performance);
        }
        if let Err(outage) = self.store(&mut finished).await {
            warn!(error = %outage, "outcomes could not be stored before shutdown");
        }
    }

    /// Stores what has finished and starts what is due. False when there was neither.
    async fn round<'a>(
        &'a self,
        in_flight: &mut InFlight<'a>,
        finished: &mut Vec<Performance>,
    ) -> Result<bool, Outage> {
        while let Some(Some(performance)) = in_flight.next().now_or_never() {
            finished.push(performance);
        }
        let stored = !finished.is_empty();
        self.store(finished).await?;
        let room = self
            .core
            .settings
            .actions_in_flight
            .saturating_sub(in_flight.len());
        let started = if room > 0 {
            self.start(room, in_flight, finished).await?
        } else {
            false
        };
        Ok(stored || started)
    }

    async fn start<'a>(
        &'a self,
        room: usize,
        in_flight: &mut InFlight<'a>,
        finished: &mut Vec<Performance>,
    ) -> Result<bool, Outage> {
        let max = i64::try_from(room)
            .unwrap_or(i64::MAX)
            .min(self.core.settings.dispatch_batch_max);
        let Some(participant) = self.core.participants.get(self.performer) else {
            return Ok(false);
        };
        let (claim, wanted) = {
            let mut conn = self.core.connection().await?;
            let claim = claim(&mut conn, ACTION, max, self.core.lease()).await?;
            let wanted = participant.wanted(&mut conn, &claim.rows).await?;
            (claim, wanted)
        };
        let Claim { token, rows } = claim;
        let any = !rows.is_empty();
        for (row, wanted) in rows.into_iter().zip(wanted) {
            if wanted {
                in_flight.push(self.perform(participant.as_ref(), token, row).boxed());
            } else {
                finished.push(self.ready(token, row, ReadyBody::Unwanted));
            }
        }
        Ok(any)
    }

    async fn perform(&self, participant: &dyn Steps, token: Uuid, row: WorkRow) -> Performance {
        let span = info_span!("perform", action.name = row.name, work.id = %row.id, attempts = row.attempts);
        if let Ok(envelope) = envelope(&row.headers()) {
            TraceContext::of_event(&envelope).adopt(&span);
        }
        match participant.perform(&row).instrument(span).await {
            Performed::Answer(answer) => self.ready(token, row, ReadyBody::Answer(answer)),
            Performed::Failed(ActionError::Failed(failure)) => {
                self.ready(token, row, ReadyBody::Failed(failure))
            }
            Performed::Failed(ActionError::Outage(error)) => {
                warn!(work.id = %row.id, error = %error, "what the action needs is down, will try again");
                Performance::Outage(row.id)
            }
        }
    }

    fn ready(&self, token: Uuid, row: WorkRow, body: ReadyBody) -> Performance {
        Performance::Ready(Box::new(Ready {
            token,
            participant: self.performer,
            row,
            body,
        }))
    }

    /// Waits for an outcome, a wake-up or the next poll.
    async fn idle(
        &self,
        in_flight: &mut InFlight<'_>,
        finished: &mut Vec<Performance>,
        stop: &CancellationToken,
    ) {
        let poll = Duration::from_millis(self.core.settings.dispatch_poll_ms);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.core.signals.action_added() => {}
            () = tokio::time::sleep(poll) => {}
            Some(performance) = in_flight.next(), if !in_flight.is_empty() => finished.push(performance),
        }
    }

    /// Stores all that has finished; what an outage prevents stays in `finished`.
    async fn store(&self, finished: &mut Vec<Performance>) -> Result<(), Outage> {
        let (mut ready, mut given_back) = (Vec::new(), Vec::new());
        for performance in finished.drain(..) {
            match performance {
                Performance::Ready(it) => ready.push(*it),
                Performance::Outage(id) => given_back.push(id),
            }
        }
        let stored = isolate::run(&self.settle, &ready).await;
        if let Err((done, outage)) = stored {
            let rest = ready
                .drain(done..)
                .map(|ready| Performance::Ready(Box::new(ready)));
            finished.extend(rest);
            finished.extend(given_back.into_iter().map(Performance::Outage));
            return Err(outage);
        }
        if !given_back.is_empty() {
            let wait = i64::try_from(self.core.settings.backoff_max_ms).unwrap_or(i64::MAX);
            let at = clock::now() + TimeDelta::milliseconds(wait);
            let mut conn = self.core.connection().await?;
            work::release(&mut conn, &given_back, at).await?;
        }
        Ok(())
    }
}
