//! Parked messages: retried when they are due, in the order of their key.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Ready, ReadyBody, Settle};
use crate::claim::claim;
use crate::isolate;
use crate::kernel::Core;
use crate::participant::Message;
use crate::retry::Backoff;
use crate::work::{MESSAGE, WorkRow};
use crate::{Failure, Outage};

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

    /// Runs until `stop`; claimed messages are settled first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let poll = Duration::from_millis(self.core.settings.dispatch_poll_ms);
        let mut backoff = Backoff::new(&self.core.settings);
        while !stop.is_cancelled() {
            let wait = match self.round().await {
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
                () = self.core.signals.message_parked() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Retries what is due; returns how many. An outage leaves the claim to run out.
    async fn round(&self) -> Result<usize, Outage> {
        let claim = {
            let mut conn = self.core.connection().await?;
            claim(
                &mut conn,
                MESSAGE,
                self.core.settings.dispatch_batch_max,
                self.core.lease(),
            )
            .await?
        };
        let token = claim.token;
        let ready: Vec<Ready> = claim
            .rows
            .into_iter()
            .map(|row| Ready {
                token,
                participant: self.core.listener_of(&row.name),
                body: ReadyBody::Message(Box::new(message(&row))),
                row,
            })
            .collect();
        isolate::run(&self.settle, &ready)
            .await
            .map_err(|(_, outage)| outage)?;
        Ok(ready.len())
    }
}

fn message(row: &WorkRow) -> Result<Message, Failure> {
    let record = row.record();
    let envelope = record
        .envelope()
        .map_err(|error| Failure::new("malformed-envelope", error))?;
    if row.event_id != Some(envelope.id.uuid()) {
        // it was parked because its id is outside of what is remembered: processing it now could be twice
        return Err(Failure::new("expired", "the event's id is not within retention"));
    }
    Ok(Message { envelope, record })
}
