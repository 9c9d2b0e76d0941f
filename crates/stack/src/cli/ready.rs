//! `stack ready`

use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use stack::platform::readiness;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
#[group(id = "ready")]
pub(crate) struct Options {
    /// URL of a gateway
    #[arg(long, default_value = "http://127.0.0.1:5000")]
    url: String,
    /// How long to wait
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    patience: u64,
}

/// Waits until the platform is well and every consumer has its assignment.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .build()?;
    let url = format!("{}/health", options.url);
    let deadline = Instant::now() + Duration::from_secs(options.patience);
    loop {
        let reason = match health(&client, &url).await {
            Ok(health) => match readiness::of_platform(&health) {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            },
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        if Instant::now() >= deadline {
            bail!("not ready after {} s: {reason}", options.patience);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn health(client: &reqwest::Client, url: &str) -> reqwest::Result<serde_json::Value> {
    client.get(url).send().await?.json().await
}
