//! Hears of logins that end straight from the topic.
//!
//! What the kernel writes into the database comes in turn with everything else that is announced, behind whatever has piled
//! up, and only while the database is there. A logout waits for neither: each instance reads `session.revoked` itself, from
//! as far back as a token can live, to its end before the first request is let in, and then on. The rows in the database are
//! what there is to go by when the topic cannot be read, and the kernel's dead letters keep what nobody could.

use chassis::{Parts, Probe};
use contracts::events::SessionRevoked;
use messaging::metrics::KernelMetrics;
use messaging::{Broadcast, BuildError};
use tokio::sync::oneshot;

use crate::config::Settings;
use crate::domain::revocation::Revocation;
use crate::edge::Revocations;
use crate::metrics::{GatewayMetrics, Source};

/// A reader that has been started: what `/health` asks about it, and what says when all has been read that was there at the
/// start.
pub(crate) type Started = (Probe, oneshot::Receiver<()>);

/// Starts to listen.
///
/// # Errors
/// When there can be no Kafka client.
pub(crate) fn start(
    parts: &Parts<Settings>,
    known: Revocations,
    metrics: GatewayMetrics,
    kernel: KernelMetrics,
) -> Result<Started, BuildError> {
    let (brokers, settings) = (&parts.core.kafka.brokers, &parts.settings.messaging);
    let topic = Broadcast::new(brokers, "gateway-revocations", settings, kernel)?;
    let probe = topic.probe();
    let (read, all_read) = oneshot::channel();
    metrics.revocations_unread(Source::Topic, true);
    let back = known.token_lifetime();
    parts.tasks.spawn("revocations topic", move |stopping| {
        let hear = move |fact: SessionRevoked| known.add(&Revocation::from(fact));
        let caught_up = move || {
            metrics.revocations_unread(Source::Topic, false);
            let _nobody_waits = read.send(());
        };
        topic.run(back, hear, caught_up, stopping)
    });
    Ok((probe, all_read))
}
