//! `stack demo`: tells a saga's story with real requests, and checks every sentence of it.

mod api;
mod dead_letter;
mod narrator;
mod scenes;
mod steps;
mod timeline;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use stack::state::Admin;
use terminal::outln;

use crate::cli::{paint, up};
use api::Api;
use narrator::Narrator;

#[derive(Debug, Args)]
#[group(id = "demo")]
pub(crate) struct Options {
    /// URL of a running gateway; without it the stack of --dir is used, and started when needed
    #[arg(long, requires = "brokers")]
    url: Option<String>,
    /// Address of that platform's broker
    #[arg(long, requires = "url", value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// File with the admin's e-mail address and password [default: admin.json in --dir]
    #[arg(long, value_name = "FILE")]
    admin_file: Option<PathBuf>,
    #[command(flatten)]
    up: up::Options,
}

/// Where the story takes place.
#[derive(Debug)]
struct Stage {
    url: String,
    brokers: String,
    admin: Admin,
}

/// Tells the story; an error when anything told is not so.
pub(crate) async fn run(directory: &Path, options: &Options) -> anyhow::Result<()> {
    let stage = stage(directory, options).await?;
    let begin = Instant::now();
    let mut narrator = Narrator::default();
    let api = Api::new(&stage.url);
    let customer = scenes::arrival(&mut narrator, &api).await?;
    scenes::confirmed(&mut narrator, &customer).await?;
    scenes::compensated(&mut narrator, &api, &customer, &stage.admin).await?;
    scenes::poisoned(&mut narrator, &customer, &stage.brokers).await?;
    outln!(
        "\n{} {} statements checked in {:.1} s. Look around: {}/docs",
        paint::good("All of it is so:"),
        narrator.checks(),
        begin.elapsed().as_secs_f64(),
        stage.url
    );
    Ok(())
}

async fn stage(directory: &Path, options: &Options) -> anyhow::Result<Stage> {
    let admin = || {
        let file = options
            .admin_file
            .clone()
            .unwrap_or_else(|| directory.join("admin.json"));
        let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not what it should be", file.display()))
    };
    match (&options.url, &options.brokers) {
        (Some(url), Some(brokers)) => {
            let url = url.trim_end_matches('/').to_owned();
            Ok(Stage {
                url,
                brokers: brokers.clone(),
                admin: admin()?,
            })
        }
        (None, None) => {
            let _lock = crate::cli::lock(directory)?;
            let stack = Box::pin(up::start(directory, &options.up)).await?;
            Ok(Stage {
                url: stack.url(),
                brokers: stack.brokers().to_owned(),
                admin: stack.admin().clone(),
            })
        }
        (Some(_), None) | (None, Some(_)) => bail!("--url and --brokers belong together"),
    }
}
