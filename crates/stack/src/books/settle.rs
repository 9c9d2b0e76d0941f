//! Waits until nothing is on the way any more.

use std::time::{Duration, Instant};

use ::books::report::Mismatch;
use ::books::{Kind, Report};

use super::{Options, Sources, confirm, look, topics};
use crate::error::Result;
use crate::postgres::connect;
use crate::service::Service;

const PAUSE: Duration = Duration::from_millis(200);

/// Compares once everything has come to rest, or the time is up.
pub(super) async fn balance(sources: &Sources, options: &Options, patience: Duration) -> Result<Report> {
    let deadline = Instant::now() + patience;
    loop {
        while !is_drained(sources).await? && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
        }
        let report = look(sources, options).await?;
        let settled = report.is_settled();
        if !settled && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let mut report = match report.balanced {
            true => report,
            false => confirm(sources, options, &report).await?,
        };
        if !settled {
            not_settled(&mut report, patience);
        }
        return Ok(report);
    }
}

fn not_settled(report: &mut Report, patience: Duration) {
    let mut waits: Vec<String> = report
        .counts
        .backlog
        .iter()
        .filter(|(_, backlog)| !backlog.is_drained())
        .map(|(service, backlog)| {
            let (outbox, pending, lag) = (backlog.outbox, backlog.pending, backlog.lag);
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
