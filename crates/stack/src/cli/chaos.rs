//! `stack chaos`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use stack::books::comparison::report::Report;
use stack::chaos::{self, Outcome, Placed};
use terminal::outln;

use super::paint;

#[derive(Debug, Args)]
#[group(id = "chaos")]
pub(crate) struct Options {
    /// Minutes during which faults are made
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Decides what happens when; drawn and printed without it
    #[arg(long)]
    seed: Option<u64>,
    /// Orders a second
    #[arg(long, default_value_t = 15.0)]
    rate: f64,
    /// Directory of the services' programs [default: that of this program]
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
}

/// Runs chaos and prints what came of it. Exit status 0: nothing lost, nothing doubled, no cent off.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    outln!(
        "chaos for {} min with --seed {seed}, on a platform of its own: two processes of each service, {} orders/s",
        options.minutes,
        options.rate
    );
    let how = chaos::Options {
        seed,
        length: Duration::from_secs_f64(options.minutes * 60.0),
        each: None,
        rate: options.rate,
        transactions: Duration::from_secs(60),
        binaries: options.binaries.clone(),
    };
    let outcome = Box::pin(chaos::run(&how, &|line| outln!("{}", paint::dim(line)))).await?;
    print(&outcome);
    Ok(match outcome.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(outcome: &Outcome) {
    let placed = &outcome.placed;
    let faults: usize = outcome.faults.values().sum();
    outln!("\nfaults      {faults} in {:.0} s", outcome.took.as_secs_f64());
    for (name, count) in &outcome.faults {
        outln!("            {count:>4} {name}");
    }
    outln!(
        "            {:>4} long write transactions held to their end",
        outcome.held
    );
    let again: usize = placed.repeated.values().sum();
    outln!(
        "orders      {} accepted, {} taken back; {again} requests sent again: {:?}",
        placed.accepted.len(),
        placed.cancelled.len(),
        placed.repeated
    );
    outln!("            {:?}", outcome.report.counts.orders);
    if let Some((middle, longest)) = outcome.recovery() {
        outln!(
            "recovery    p50 {:.1} s, longest {:.1} s, from the end of a fault until its backlog was done",
            middle.as_secs_f64(),
            longest.as_secs_f64()
        );
    }
    let sum = format!(
        "{} lost, {} doubled, {} cents off",
        outcome.lost(),
        outcome.doubled(),
        outcome.minor_units_off()
    );
    if outcome.is_good() {
        outln!("\n{}", paint::good(sum));
    } else {
        outln!("\n{}", paint::error(format!("{sum}; --seed {}", outcome.seed)));
        evidence(
            &outcome.troubles,
            &outcome.placed,
            &outcome.report,
            outcome.logs.as_deref(),
        );
    }
}

/// What was wrong, and where the logs are.
pub(super) fn evidence(troubles: &[String], placed: &Placed, report: &Report, logs: Option<&Path>) {
    for trouble in troubles.iter().chain(&placed.unanswered) {
        outln!("  {trouble}");
    }
    for mismatch in &report.mismatches {
        outln!("{}", super::books::told(mismatch));
    }
    if let Some(logs) = logs {
        outln!("logs        {}", logs.display());
    }
}
