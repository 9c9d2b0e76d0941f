//! `stack starve`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use stack::Service;
use stack::chaos::starve::{self, Outcome};
use stack::platform::Starved;
use stack::process::Share;
use terminal::outln;

use super::paint;

/// What can be starved.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    Kafka,
    Postgres,
    Gateway,
    Auth,
    Order,
    Payment,
    Notification,
    Everything,
}

impl From<Part> for Starved {
    fn from(part: Part) -> Self {
        match part {
            Part::Kafka => Self::Kafka,
            Part::Postgres => Self::Postgres,
            Part::Gateway => Self::Service(Service::Gateway),
            Part::Auth => Self::Service(Service::Auth),
            Part::Order => Self::Service(Service::Order),
            Part::Payment => Self::Service(Service::Payment),
            Part::Notification => Self::Service(Service::Notification),
            Part::Everything => Self::Everything,
        }
    }
}

#[derive(Debug, Args)]
#[group(id = "starve")]
pub(crate) struct Options {
    /// Rounds of starvation
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// What is starved
    #[arg(long, value_enum, default_value = "kafka")]
    part: Part,
    /// Seconds of starvation in a round
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// Seconds after a round in which every consumer must have recovered
    #[arg(long, default_value_t = 60)]
    within: u64,
    /// Orders a second
    #[arg(long, default_value_t = 2.0)]
    rate: f64,
    /// Decides the pauses; drawn and printed without it
    #[arg(long)]
    seed: Option<u64>,
    /// Directory of the services' programs [default: that of this program]
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
}

/// Starves and prints what came of it. Exit status 0: everybody recovered in time without a restart, and the books balance.
pub(crate) async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let part = Starved::from(options.part);
    outln!(
        "{part} starved for {} s, {} times, with --seed {seed}, on a platform of its own, {} orders/s",
        options.seconds,
        options.rounds,
        options.rate
    );
    let how = starve::Options {
        part,
        share: Share::default(),
        seed,
        rounds: options.rounds,
        length: Duration::from_secs(options.seconds),
        rate: options.rate,
        patience: Duration::from_secs(options.within),
        binaries: options.binaries.clone(),
    };
    let outcome = Box::pin(starve::run(&how, &|line| outln!("{line}"))).await?;
    print(&outcome);
    Ok(match outcome.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(outcome: &Outcome) {
    let good = outcome.rounds.iter().filter(|round| round.is_good()).count();
    outln!(
        "\nrounds      {good} of {} recovered by themselves",
        outcome.rounds.len()
    );
    let mut dead = std::collections::BTreeMap::<Service, usize>::new();
    for service in outcome.rounds.iter().flat_map(|round| round.dead.keys()) {
        *dead.entry(*service).or_default() += 1;
    }
    for (service, count) in dead {
        outln!("            {service} did not in {count}, and was restarted");
    }
    if let Some((middle, longest)) = outcome.recovery() {
        outln!(
            "recovery    p50 {:.1} s, longest {:.1} s, from the end of a round until every group was stable and whole",
            middle.as_secs_f64(),
            longest.as_secs_f64()
        );
    }
    let renewed = outcome.rounds.iter().flat_map(|round| round.renewed.values());
    let renewed = renewed.fold(0.0, |sum, count| sum + count);
    outln!("watchdogs   {renewed:.0} clients replaced");
    outln!(
        "orders      {} accepted; {:?}",
        outcome.placed.accepted.len(),
        outcome.report.counts.orders
    );
    if outcome.is_good() {
        outln!("\n{}", paint::good("the books balance"));
        return;
    }
    outln!("\n{}", paint::error("something is wrong"));
    super::chaos::evidence(
        &outcome.troubles,
        &outcome.placed,
        &outcome.report,
        outcome.logs.as_deref(),
    );
}
