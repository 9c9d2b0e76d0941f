//! Reads the signing keys again, so that every replica notices a new one long before it signs.

use std::sync::Arc;
use std::time::Duration;

use chassis::auth::TokenVerifier;
use chassis::clock;
use tokio_util::sync::CancellationToken;

use crate::crypto::VerifyingKey;
use crate::signing::KeyRing;

/// Reads them at an interval until told to stop; tokens are verified with those that are published.
pub(crate) async fn run(
    keys: Arc<KeyRing>,
    verifier: TokenVerifier,
    interval: Duration,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    let mut known: Vec<VerifyingKey> = Vec::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = keys.reload().await {
            tracing::warn!(
                error.message = format!("{error:#}"),
                "signing keys not read again"
            );
        }
        let published = keys.published(clock::now());
        if published == known {
            continue;
        }
        match verifier.refresh().await {
            Ok(()) => known = published,
            Err(error) => tracing::warn!(error.message = format!("{error:#}"), "token keys not refreshed"),
        }
    }
}
