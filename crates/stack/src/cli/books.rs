//! `stack books`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use stack::Service;
use stack::books::comparison::reading::Limits;
use stack::books::comparison::report::{Counts, Mismatch, OpenDispute, Report, Sum};
use stack::books::{self, Sources};
use stack::state::State;
use terminal::{errln, outln};

use super::paint;

/// Mismatches were found.
const UNBALANCED: u8 = 1;
/// Something could not be read.
const UNREAD: u8 = 2;

#[derive(Debug, Args)]
#[group(id = "books")]
pub(crate) struct Options {
    /// Wait this long for the backlog to drain; what has not by then is a mismatch
    #[arg(long, value_name = "SECONDS")]
    settle: Option<u64>,
    /// What happened so shortly before is in flight
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    grace: u32,
    /// How long an order may be pending, or a payment processing or refunding
    #[arg(long, value_name = "SECONDS", default_value_t = 16 * 60)]
    deadline: u32,
    /// How much longer an order may be held back because payments are not read
    #[arg(long, value_name = "SECONDS", default_value_t = 24 * 60 * 60)]
    held_back: u32,
    /// How long a row may lie in an outbox, work be due, or a record be unread
    #[arg(long, value_name = "SECONDS", default_value_t = 5 * 60)]
    backlog: u32,
    /// Print the whole report as JSON
    #[arg(long)]
    json: bool,
    /// Where a service's database is, once for each; without it the stack of --dir is read
    #[arg(long = "database", value_name = "SERVICE=URL", requires = "brokers")]
    databases: Vec<String>,
    /// Address of that platform's broker
    #[arg(long, value_name = "HOST:PORT", requires = "databases")]
    brokers: Option<String>,
}

/// Reads, compares and prints. Exit status 0: balanced, 1: mismatches, 2: could not be read.
pub(crate) async fn run(directory: &Path, options: &Options) -> ExitCode {
    match balance(directory, options).await {
        Ok(report) if report.balanced => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(UNBALANCED),
        Err(error) => {
            errln!("{} {error:#}", paint::error("the books cannot be read:"));
            ExitCode::from(UNREAD)
        }
    }
}

async fn balance(directory: &Path, options: &Options) -> anyhow::Result<Report> {
    let sources = sources(directory, options)?;
    let seconds = |seconds: u32| chrono::TimeDelta::seconds(i64::from(seconds));
    let how = books::Options {
        limits: Limits {
            grace: seconds(options.grace),
            order_deadline: seconds(options.deadline),
            held_back: seconds(options.held_back),
            payment_deadline: seconds(options.deadline),
            backlog: seconds(options.backlog),
        },
        settle: options.settle.map(Duration::from_secs),
        ..books::Options::default()
    };
    let report = Box::pin(books::balance(&sources, &how)).await?;
    if options.json {
        outln!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(report)
}

fn sources(directory: &Path, options: &Options) -> anyhow::Result<Sources> {
    let Some(brokers) = &options.brokers else {
        return Ok(Sources::of_state(&State::load(directory)?)?);
    };
    let mut databases = BTreeMap::new();
    for database in &options.databases {
        let (service, url) = database
            .split_once('=')
            .context("--database is SERVICE=URL, for example order=postgres://…")?;
        databases.insert(service.parse::<Service>()?, url.to_owned());
    }
    if let Some(service) = Service::ALL
        .into_iter()
        .find(|service| !databases.contains_key(service))
    {
        bail!("--database {service}=URL is missing");
    }
    Ok(Sources {
        databases,
        brokers: brokers.clone(),
    })
}

fn print(report: &Report) {
    counts(&report.counts);
    for sum in &report.sums {
        outln!("{}", money(sum));
    }
    for note in &report.notes {
        outln!("{}", paint::warning(format!("note           {note}")));
    }
    for dispute in &report.open_disputes {
        outln!("\n{}", open(dispute));
    }
    for mismatch in &report.mismatches {
        outln!("\n{}", told(mismatch));
    }
    let took = (report.ended_at - report.begun_at).num_milliseconds();
    outln!(
        "\n{}",
        match report.mismatches.len() {
            0 => paint::good(format!("the books balance (read in {took} ms)")),
            1 => paint::error(format!("1 mismatch (read in {took} ms)")),
            many => paint::error(format!("{many} mismatches (read in {took} ms)")),
        }
    );
}

fn counts(counts: &Counts) {
    let list = |name: &str, tally: &BTreeMap<String, u64>| {
        let total: u64 = tally.values().sum();
        let parts: Vec<String> = tally
            .iter()
            .map(|(part, count)| format!("{count} {part}"))
            .collect();
        outln!("{name:<14} {total:>7}  {}", parts.join(", "));
    };
    list("orders", &counts.orders);
    list("payments", &counts.payments);
    if !counts.disputes.is_empty() {
        list("disputes", &counts.disputes);
    }
    list("facts", &counts.facts);
    list("dead letters", &counts.dead_letters);
    let single = |name: &str, count: Option<u64>| {
        if let Some(count) = count {
            outln!("{name:<14} {count:>7}");
        }
    };
    single("charges", counts.charges);
    single("notifications", counts.notifications);
    single("timeline", counts.timeline);
    single("in flight", Some(counts.in_flight));
    single("sent again", counts.published_again.filter(|count| *count > 0));
    single("unreadable", Some(counts.unreadable).filter(|count| *count > 0));
    for (service, desk) in &counts.backlog {
        outln!(
            "{service:<14} {:>7} events taken in; {} in the outbox, {} to do, {} dead, {} unread",
            desk.processed.unwrap_or_default(),
            desk.outbox,
            desk.pending,
            desk.dead,
            desk.lag.unwrap_or_default()
        );
    }
}

fn money(sum: &Sum) -> String {
    let line = format!(
        "{:<14} captured {} - refunded {} - held {} = {}, confirmed {}, charged back {} (announced {}), off by {} (minor units)",
        sum.currency,
        sum.captured_minor,
        sum.refunded_minor,
        sum.held_minor,
        sum.captured_minor - sum.refunded_minor - sum.held_minor,
        sum.confirmed_minor,
        sum.charged_back_minor,
        sum.written_off_minor,
        sum.difference_minor
    );
    match sum.difference_minor {
        0 => line,
        _ => paint::error(line),
    }
}

fn open(dispute: &OpenDispute) -> String {
    format!(
        "{} {} of order {}: {}, {}\n  action  {}",
        paint::warning("open dispute"),
        dispute.dispute_id,
        dispute.order_id,
        dispute.amount,
        dispute.status,
        dispute.action
    )
}

pub(super) fn told(mismatch: &Mismatch) -> String {
    let order = mismatch
        .order_id
        .filter(|order| !mismatch.subject.contains(&order.to_string()));
    let order = order
        .map(|order| format!(" of order {order}"))
        .unwrap_or_default();
    format!(
        "{} {}{order}\n  is      {}\n  should  {}\n  repair  {}",
        paint::error(mismatch.kind),
        mismatch.subject,
        mismatch.found,
        mismatch.expected,
        mismatch.repair
    )
}
