//! Waits until nothing is on the way any more.

use std::time::{Duration, Instant};

use ::books::report::Mismatch;
use ::books::{Kind, Report};

use super::{Options, Sources, confirm, look, topics};
use crate::error::Result;
use crate::postgres::connect;
use crate::service::Service;

const PAUSE: Duration = Duration::from_millis(200);

/// Compares once everything has come to rest, or the time is up. What cannot be read may be about to come back.
pub(super) async fn balance(sources: &Sources, options: &Options, patience: Duration) -> Result<Report> {
    let deadline = Instant::now() + patience;
    loop {
        let report = attempt(sources, options, deadline).await;
        let in_time = Instant::now() < deadline;
        match report {
            Ok(report) if report.is_settled() => return Ok(report),
            Ok(_) | Err(_) if in_time => tokio::time::sleep(PAUSE).await,
            Ok(mut report) => {
                not_settled(&mut report, patience);
                return Ok(report);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the backlog to drain, and compares.
async fn attempt(sources: &Sources, options: &Options, deadline: Instant) -> Result<Report> {
    while !is_drained(sources).await? && Instant::now() < deadline {
        tokio::time::sleep(PAUSE).await;
    }
    let report = look(sources, options).await?;
    match report.balanced {
        true => Ok(report),
        false => confirm(sources, options, &report).await,
    }
}

fn not_settled(report: &mut Report, patience: Duration) {
    let mut waits: Vec<String> = report
        .counts
        .backlog
        .iter()
        .filter(|(_, backlog)| !backlog.is_drained())
        .map(|(service, backlog)| {
            let (outbox, pending, lag) = (backlog.outbox, backlog.pending, backlog.lag.unwrap_or_default());
            format!("{service}: {outbox} in the outbox, {pending} to do, {lag} unread")
        })
        .collect();
    waits.push(format!("{} in flight", report.counts.in_flight));
    report.add(Mismatch::of(
        Kind::NotSettled,
        "the backlog",
        waits.join("; "),
        format!("nothing on the way after {patience:?}"),
        "look for a service that does not run, an open breaker or long retries; then wait again",
    ));
}

/// A quick look: no outbox, no pending work, and all consumers at the end.
async fn is_drained(sources: &Sources) -> Result<bool> {
    for service in Service::ALL {
        let client = connect(sources.database(service)?).await?;
        let waits = "select exists (select from outbox) or exists (select from work where state = 'pending')";
        if client.query_one(waits, &[]).await?.try_get(0)? {
            return Ok(false);
        }
    }
    topics::are_consumed(&sources.brokers).await
}
