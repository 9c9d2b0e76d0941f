//! Actions: claimed, performed side by side, and their outcomes stored in batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::Obsolete;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span, warn};
use uuid::Uuid;

use super::{Ready, ReadyBody, Settle};
use crate::breaker::Breaker;
use crate::claim::claim;
use crate::failure::{Blame, blame};
use crate::kernel::Core;
use crate::performer::ActionError;
use crate::repository::Conn;
use crate::retry::Backoff;
use crate::steps::{Performed, Steps};
use crate::trace::TraceContext;
use crate::work::{self, ACTION, WorkRow};
use crate::{Failure, Outage, isolate};
use chassis::clock;

enum Performance {
    Ready(Box<Ready>),
    /// Whatever the action needs is down: it goes back uncounted.
    Outage(Box<Claimed>),
}

/// An action under a claim.
struct Claimed {
    token: Uuid,
    row: WorkRow,
}

/// What the loop has its hands on.
struct Hands {
    breaker: Breaker,
    /// Claimed, but not begun: an outage came in between.
    claimed: Vec<Claimed>,
    in_flight: JoinSet<Performance>,
    /// Done, but not stored yet.
    finished: Vec<Performance>,
}

pub(crate) struct ActionLoop {
    core: Arc<Core>,
    settle: Settle,
    performer: usize,
}

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
        let mut hands = Hands::new(&self.core);
        let mut backoff = Backoff::new(&self.core.settings);
        while !stop.is_cancelled() {
            match self.round(&mut hands).await {
                Ok(true) => backoff.reset(),
                Ok(false) => {
                    backoff.reset();
                    self.idle(&mut hands, &stop).await;
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
        self.finish(hands).await;
    }

    async fn finish(&self, mut hands: Hands) {
        loop {
            hands.gather();
            if let Err(outage) = self.store(&mut hands.finished).await {
                warn!(error = %outage, "outcomes could not be stored before shutdown");
            }
            match hands.in_flight.join_next().await {
                Some(Ok(performance)) => hands.take(performance),
                Some(Err(_ended_early)) => {}
                None if hands.finished.is_empty() => return,
                None => break,
            }
        }
        if let Err(outage) = self.store(&mut hands.finished).await {
            warn!(error = %outage, "outcomes are lost with the process, their actions will be performed again");
        }
    }

    /// Stores what has finished and starts what is due. False when there was neither.
    async fn round(&self, hands: &mut Hands) -> Result<bool, Outage> {
        hands.gather();
        let stored = !hands.finished.is_empty();
        self.store(&mut hands.finished).await?;
        let started = self.start(hands).await?;
        Ok(stored || started)
    }

    async fn start(&self, hands: &mut Hands) -> Result<bool, Outage> {
        let settings = &self.core.settings;
        let room = settings.actions_in_flight.saturating_sub(hands.in_flight.len());
        let room = hands.breaker.room(room, hands.in_flight.len(), Instant::now());
        let Some(participant) = self.core.participants.get(self.performer) else {
            return Ok(false);
        };
        if room == 0 {
            return Ok(false);
        }
        let mut conn = self.core.connection().await?;
        if hands.claimed.is_empty() {
            let max = i64::try_from(room)
                .unwrap_or(i64::MAX)
                .min(settings.dispatch_batch_max);
            let claim = claim(&mut conn, ACTION, max, self.core.lease()).await?;
            let token = claim.token;
            hands.claimed = claim.rows.into_iter().map(|row| Claimed { token, row }).collect();
        }
        if hands.claimed.is_empty() {
            if hands.breaker.next_probe().is_some() && !work::is_owed(&mut conn, ACTION).await? {
                // what failed is not wanted any more
                hands.breaker.succeeded();
            }
            return Ok(false);
        }
        chassis::crossing!("action.claimed");
        let wanted = sift(participant.as_ref(), &mut conn, &hands.claimed).await?;
        drop(conn);
        for (claimed, wanted) in std::mem::take(&mut hands.claimed).into_iter().zip(wanted) {
            match wanted {
                Ok(Ok(())) => self.begin(claimed, &mut hands.in_flight),
                Ok(Err(why)) => hands.finished.push(self.ready(claimed, ReadyBody::Unwanted(why))),
                Err(failure) => hands
                    .finished
                    .push(self.ready(claimed, ReadyBody::Failed(failure))),
            }
        }
        Ok(true)
    }

    /// A task of its own: what the dispatcher waits for (the database) must not hold up what it waits for.
    fn begin(&self, claimed: Claimed, in_flight: &mut JoinSet<Performance>) {
        let Claimed { token, row } = claimed;
        let (core, performer) = (self.core.clone(), self.performer);
        let span = info_span!("perform", action.name = row.name, work.id = %row.id, attempts = row.attempts);
        TraceContext::of_headers(&row.headers()).adopt(&span);
        in_flight.spawn(
            async move {
                let performed = perform(&core, performer, &row).await;
                let body = match performed {
                    Performed::Answer(answer) => ReadyBody::Answer(answer),
                    Performed::Failed(ActionError::Failed(failure)) => ReadyBody::Failed(failure),
                    Performed::Failed(ActionError::Outage(error)) => {
                        warn!(work.id = %row.id, error = %error, "what the action needs is down, will try again");
                        return Performance::Outage(Box::new(Claimed { token, row }));
                    }
                };
                ready(performer, Claimed { token, row }, body)
            }
            .instrument(span),
        );
    }

    fn ready(&self, claimed: Claimed, body: ReadyBody) -> Performance {
        ready(self.performer, claimed, body)
    }

    /// Waits for an outcome, a wake-up or the next poll.
    async fn idle(&self, hands: &mut Hands, stop: &CancellationToken) {
        let poll = Duration::from_millis(self.core.settings.dispatch_poll_ms);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.core.signals.action_added() => {}
            () = tokio::time::sleep(poll) => {}
            Some(Ok(performance)) = hands.in_flight.join_next() => hands.take(performance),
        }
    }

    /// Stores all that has finished; what an outage prevents stays in `finished`.
    async fn store(&self, finished: &mut Vec<Performance>) -> Result<(), Outage> {
        let (mut ready, mut given_back) = (Vec::new(), Vec::new());
        for performance in finished.drain(..) {
            match performance {
                Performance::Ready(it) => ready.push(*it),
                Performance::Outage(claimed) => given_back.push(claimed),
            }
        }
        let mut stored = isolate::run(&self.settle, &ready).await;
        if stored.is_ok() {
            stored = self
                .give_back(&given_back)
                .await
                .map_err(|outage| (ready.len(), outage));
        }
        stored.map_err(|(done, outage)| {
            let rest = ready
                .drain(done..)
                .map(|ready| Performance::Ready(Box::new(ready)));
            finished.extend(rest);
            finished.extend(given_back.into_iter().map(Performance::Outage));
            outage
        })
    }

    async fn give_back(&self, claimed: &[Box<Claimed>]) -> Result<(), Outage> {
        if claimed.is_empty() {
            return Ok(());
        }
        let at = clock::now() + self.core.later();
        let (tokens, ids): (Vec<Uuid>, Vec<Uuid>) = claimed
            .iter()
            .map(|claimed| (claimed.token, claimed.row.id))
            .unzip();
        let mut conn = self.core.connection().await?;
        work::release(&mut conn, &tokens, &ids, at).await?;
        Ok(())
    }
}

impl Hands {
    fn new(core: &Core) -> Self {
        Self {
            breaker: Breaker::new("actions", &core.settings, core.metrics.clone()),
            claimed: Vec::new(),
            in_flight: JoinSet::new(),
            finished: Vec::new(),
        }
    }

    fn gather(&mut self) {
        while let Some(performance) = self.in_flight.try_join_next() {
            if let Ok(performance) = performance {
                self.take(performance);
            }
        }
    }

    /// What an action came to. While the breaker is open a failure is not the action's own.
    fn take(&mut self, performance: Performance) {
        let now = Instant::now();
        let performance = match performance {
            Performance::Ready(ready) => match &ready.body {
                ReadyBody::Failed(_)
                    if self
                        .breaker
                        .failed(key_of(&ready.row), ready.row.last_failed_at, now) =>
                {
                    let Ready { token, row, .. } = *ready;
                    Performance::Outage(Box::new(Claimed { token, row }))
                }
                ReadyBody::Answer(_) => {
                    self.breaker.succeeded();
                    Performance::Ready(ready)
                }
                ReadyBody::Failed(_) | ReadyBody::Unwanted(_) | ReadyBody::Message(_) => {
                    Performance::Ready(ready)
                }
            },
            Performance::Outage(claimed) => {
                self.breaker
                    .failed(key_of(&claimed.row), claimed.row.last_failed_at, now);
                Performance::Outage(claimed)
            }
        };
        self.finished.push(performance);
    }
}

fn key_of(row: &WorkRow) -> &[u8] {
    row.key.as_deref().unwrap_or_else(|| row.id.as_bytes())
}

fn ready(participant: usize, claimed: Claimed, body: ReadyBody) -> Performance {
    Performance::Ready(Box::new(Ready {
        token: claimed.token,
        participant,
        row: claimed.row,
        body,
    }))
}

/// Ends before the lease does: an outcome that comes later belongs to nobody.
async fn perform(core: &Core, performer: usize, row: &WorkRow) -> Performed {
    let Some(participant) = core.participants.get(performer) else {
        return Performed::Failed(Failure::new("no-performer", "nothing performs this action").into());
    };
    let limit = Duration::from_millis(core.settings.action_lease_ms).mul_f64(0.9);
    match timeout(limit, participant.perform(row)).await {
        Ok(performed) => performed,
        Err(_elapsed) => {
            let detail = format!("no outcome within {} s", limit.as_secs_f64());
            Performed::Failed(Failure::new("timeout", detail).into())
        }
    }
}

/// Which of `claimed` are still wanted. Where asking for all at once fails and it is not the database's fault, each is
/// asked for alone, so that one does not hold up the others.
async fn sift(
    participant: &dyn Steps,
    conn: &mut Conn,
    claimed: &[Claimed],
) -> Result<Vec<Result<Result<(), Obsolete>, Failure>>, Outage> {
    let rows: Vec<WorkRow> = claimed.iter().map(|claimed| claimed.row.clone()).collect();
    match participant.wanted(conn, &rows).await {
        Ok(wanted) => return Ok(wanted.into_iter().map(Ok).collect()),
        Err(error) if blame(&error) == Blame::Infrastructure => return Err(error.into()),
        Err(error) => warn!(error = %error, "cannot load what the actions are about, trying one by one"),
    }
    let mut each = Vec::with_capacity(rows.len());
    for row in &rows {
        match participant.wanted(conn, std::slice::from_ref(row)).await {
            Ok(wanted) => each.push(Ok(wanted.first().copied().unwrap_or(Ok(())))),
            Err(error) if blame(&error) == Blame::Infrastructure => return Err(error.into()),
            Err(error) => each.push(Err(Failure::of_spoiled(&error.into()))),
        }
    }
    Ok(each)
}
