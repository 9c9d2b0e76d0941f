//! `auth keys`: the keys that sign access tokens.

use anyhow::Context as _;
use chassis::{Parts, clock};
use chrono::TimeDelta;
use serde_json::json;
use terminal::outln;

use crate::config::AuthSettings;
use crate::signing::{self, KeyState};
use crate::store::Conn;

/// What to do with the keys.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum KeysCommand {
    /// Print the keys as JSON, in the order in which they sign
    List,
    /// Add a new key: published at once, signing after keys.lead_s
    ///
    /// The running services notice by themselves. The key that signs now goes on until then and stays published
    /// until its last token has expired.
    Rotate {
        /// Sign with it at once: services that have not fetched it yet refuse its first tokens for a moment
        #[arg(long)]
        now: bool,
    },
    /// Seal every key with keys.encryption_secret that keys.previous_encryption_secret sealed
    Reseal,
}

/// Does it.
pub(super) async fn run(command: KeysCommand, parts: &Parts<AuthSettings>) -> anyhow::Result<()> {
    let encryption = signing::encryption(&parts.settings.keys)?;
    let mut connection = parts.pool.get().await.context("no database connection")?;
    match command {
        KeysCommand::List => list(&mut connection, parts).await,
        KeysCommand::Rotate { now } => {
            let lead = if now {
                TimeDelta::zero()
            } else {
                parts.settings.keys.lead()
            };
            let key = signing::rotate(&mut connection, &encryption, lead, clock::now()).await?;
            tracing::info!(key.id = key.kid, key.signs_from = %key.signs_from, "signing key added");
            print(&json!({ "kid": key.kid, "signs_from": key.signs_from }));
            Ok(())
        }
        KeysCommand::Reseal => {
            let resealed = signing::reseal(&mut connection, &encryption).await?;
            tracing::info!(
                keys.resealed = resealed,
                sealed_with = encryption.name(),
                "signing keys sealed"
            );
            print(&json!({ "resealed": resealed, "sealed_with": encryption.name() }));
            Ok(())
        }
    }
}

async fn list(conn: &mut Conn, parts: &Parts<AuthSettings>) -> anyhow::Result<()> {
    let overlap = signing::overlap(&parts.settings.keys, &parts.settings.session);
    let keys = signing::list(conn, overlap, clock::now()).await?;
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, state)| {
            json!({
                "kid": key.kid, "state": name(*state), "created_at": key.created_at, "signs_from": key.signs_from,
                "sealed_with": key.sealed().sealed_with,
            })
        })
        .collect();
    print(&json!(keys));
    Ok(())
}

const fn name(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "pending",
        KeyState::Signing => "signing",
        KeyState::Retired => "retired",
        KeyState::Over => "over",
    }
}

fn print(answer: &serde_json::Value) {
    outln!("{answer}");
}
