//! Parked messages: retried when they are due, in the order of their key.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Ready, ReadyBody, Settle};
use crate::claim::claim;
use crate::dedupe::within_memory;
use crate::intake::Allowance;
use crate::isolate;
use crate::kernel::Core;
use crate::participant::Message;
use crate::retry::Backoff;
use crate::work::{MESSAGE, WorkRow};
use crate::{Failure, Outage};
use chassis::clock;

pub(crate) struct MessageLoop {
    core: Arc<Core>,
    settle: Settle,
}

impl MessageLoop {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            settle: Settle { core: core.clone() },
            core,
        }
    }

    /// Runs until `stop`; claimed messages are settled first, unless an outage prevents it: then their claim runs
    /// out.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let poll = Duration::from_millis(self.core.settings.dispatch_poll_ms);
        let mut backoff = Backoff::new(&self.core.settings);
        let mut held = Vec::new();
        while !stop.is_cancelled() {
            let wait = match self.round(&mut held).await {
                Ok(0) => poll,
                Ok(_) => {
                    backoff.reset();
                    continue;
                }
                Err(outage) => {
                    let wait = backoff.wait();
                    warn!(error = %outage, wait_ms = wait.as_millis(), "cannot retry messages, waiting");
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Retries what is due; returns how many. What an outage prevents stays in `held`.
    async fn round(&self, held: &mut Vec<Ready>) -> Result<usize, Outage> {
        if held.is_empty() {
            *held = self.claim().await?;
        }
        let count = held.len();
        let settled = isolate::run(&self.settle, held).await;
        settled.map_err(|(done, outage)| {
            held.drain(..done);
            outage
        })?;
        held.clear();
        Ok(count)
    }

    async fn claim(&self) -> Result<Vec<Ready>, Outage> {
        let settings = &self.core.settings;
        let max = match self.core.intake.allowance(Instant::now()) {
            Allowance::All => settings.dispatch_batch_max,
            Allowance::Probe => 1,
            Allowance::Not(_) => return Ok(Vec::new()),
        };
        let mut conn = self.core.connection().await?;
        let claim = claim(&mut conn, MESSAGE, max, self.core.lease()).await?;
        if claim.rows.is_empty() {
            self.core.intake.unused(Instant::now());
        } else {
            chassis::crossing!("work.claimed");
        }
        let ready = claim.rows.into_iter().map(|row| Ready {
            token: claim.token,
            participant: self.core.listener_of(&row.name),
            body: ReadyBody::Message(Box::new(message(&row, settings.dedupe_retention_days))),
            row,
        });
        Ok(ready.collect())
    }
}

/// The message in a row, if it may be processed.
pub(crate) fn message(row: &WorkRow, retention_days: u32) -> Result<Message, Failure> {
    let record = row.record();
    let envelope = record
        .envelope()
        .map_err(|error| Failure::new("malformed-envelope", error))?;
    if row.event_id != Some(envelope.id.uuid()) {
        // it was parked because its id was outside of what is remembered: processing it now could be twice
        within_memory(
            envelope.id.uuid(),
            clock::now(),
            TimeDelta::days(i64::from(retention_days)),
        )?;
        return Err(Failure::new(
            "from-the-future",
            "the event came before its own time",
        ));
    }
    Ok(Message { envelope, record })
}
