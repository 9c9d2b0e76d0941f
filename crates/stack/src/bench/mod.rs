//! `stack bench`: saturates a stack of its own through the gateway, and tells what it took.

mod clock;
mod flood;
mod load;
mod outcomes;
mod report;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use stack::platform::Builder;
use stack::{Service, Stack};
use terminal::outln;

use crate::cli::paint;
use load::{Load, Users};
use outcomes::Outcomes;
use usage::Sampler;

#[derive(Debug, Args)]
#[group(id = "bench")]
pub(crate) struct Options {
    /// Seconds of the measured run
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Connections at once; without it the smallest number that saturates is looked for
    #[arg(long)]
    connections: Option<usize>,
    /// Customers that order
    #[arg(long, default_value_t = 20)]
    users: usize,
    /// Orders beside ten times as many logins as can be had, compared with orders alone
    #[arg(long)]
    login_flood: bool,
    /// Directory of the services' programs [default: that of this program]
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
}

/// How long the orders of a run may take to be settled after its last POST.
const DRAIN: Duration = Duration::from_secs(120);

/// Runs the benchmark and prints its figures.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        outln!(
            "{} this is a build without optimisation; its figures mean little",
            paint::warning("note:")
        );
    }
    outln!(
        "{}",
        paint::dim("starting a stack of its own, without rate limits ...")
    );
    if options.login_flood {
        return Box::pin(flood::run(options)).await;
    }
    let mut stack = Box::pin(builder(options).build()).await?;
    let users = Users::register(&stack.url(), options.users)
        .await
        .context("customers for the load")?;
    let outcomes = Outcomes::watch(stack.brokers()).await?;
    let load = Load::new(&stack.url(), users);
    let connections = match options.connections {
        Some(connections) => connections,
        None => saturation(&load, &outcomes).await?,
    };

    outln!(
        "{}",
        paint::dim(format!(
            "measuring for {} s with {connections} connections ...",
            options.seconds
        ))
    );
    let mut pids = stack.pids();
    pids.push(("load driver".to_owned(), std::process::id()));
    let sampler = Sampler::begin(pids);
    let run = load
        .run(connections, Duration::from_secs(options.seconds))
        .await?;
    let drained = outcomes.drain(load.accepted(), DRAIN).await?;
    let usage = sampler.end().await?;
    let settled = outcomes.of(&run.accepted)?;
    let services = Service::ALL.iter().all(|service| stack.is_running(*service));
    report::print(&report::Figures {
        run: &run,
        settled: &settled,
        drained,
        usage: &usage,
    });
    anyhow::ensure!(services, "a service ended under the load");
    anyhow::ensure!(
        settled.missing == 0,
        "{} accepted orders were not settled in time",
        settled.missing
    );
    Ok(())
}

/// A stack to be loaded.
fn builder(options: &Options) -> Builder {
    let builder = Stack::builder()
        .throughput()
        .env("QUADRILLE__LOG__FILTER", "warn");
    match &options.binaries {
        Some(binaries) => builder.binaries(binaries),
        None => builder,
    }
}

/// Doubles the connections until that has twice brought less than a twentieth more, and returns the best number.
async fn saturation(load: &Load, outcomes: &Outcomes) -> anyhow::Result<usize> {
    let (mut best, mut best_rate, mut misses) = (1, 0.0, 0);
    for connections in [4, 8, 16, 32, 64, 128, 256] {
        let run = load.run(connections, Duration::from_secs(3)).await?;
        outcomes.drain(load.accepted(), DRAIN).await?;
        let rate = run.accepted_per_second();
        outln!(
            "{}",
            paint::dim(format!("  {connections:>4} connections: {rate:.0} accepted/s"))
        );
        if rate > best_rate * 1.05 {
            (best, best_rate, misses) = (connections, rate, 0);
        } else {
            misses += 1;
        }
        if misses == 2 {
            break;
        }
    }
    Ok(best)
}
