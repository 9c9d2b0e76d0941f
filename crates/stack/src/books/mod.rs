//! Reads the whole platform from outside, its five databases and all of Kafka, and compares everything with
//! everything.
//!
//! The platform may be running. What makes that safe is the order of reading: first the offsets that consumers have
//! committed (what they claim to have done), then each database in one snapshot, then the ends of the topics, and last
//! the topics up to those ends. So whatever a snapshot shows as published is read, and whatever a consumer claims to
//! have done is in its snapshot. What moves meanwhile is in flight (see `::books`). A mismatch counts when a second
//! reading finds it again.

mod databases;
mod records;
mod settle;
pub(crate) mod topics;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use ::books::{Desk, Limits, Reading, Report, compare};
use chrono::{DateTime, Utc};

use crate::error::{Error, Result};
use crate::platform::Stack;
use crate::service::Service;
use crate::state::State;

/// The pure comparison.
pub use ::books as comparison;

/// Where the platform keeps what is compared.
#[derive(Debug, Clone)]
pub struct Sources {
    /// URL of each service's database.
    pub databases: BTreeMap<Service, String>,
    /// Address of a broker.
    pub brokers: String,
}

/// How the books are read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How long what may take.
    pub limits: Limits,
    /// Wait this long for the backlog to drain; what has not by then is a mismatch.
    pub settle: Option<Duration>,
    /// Orders that clients were told of, besides those in the stored answers of idempotency keys.
    pub accepted: HashSet<uuid::Uuid>,
}

impl Sources {
    /// Those of a stack that `stack up` has started.
    pub fn of_state(state: &State) -> Result<Self> {
        let broker = state.broker.as_ref().ok_or_else(|| missing("broker"))?;
        let url = |service: Service| {
            let entry = state.entry(service.name());
            let url = entry.and_then(|entry| entry.database_url.clone());
            url.map(|url| (service, url))
                .ok_or_else(|| missing(service.name()))
        };
        Ok(Self {
            databases: Service::ALL.into_iter().map(url).collect::<Result<_>>()?,
            brokers: broker.address.clone(),
        })
    }

    fn database(&self, service: Service) -> Result<&str> {
        let url = self.databases.get(&service).map(String::as_str);
        url.ok_or_else(|| missing(service.name()))
    }
}

impl From<&Stack> for Sources {
    fn from(stack: &Stack) -> Self {
        let url = |service| (service, stack.database_url(service).to_owned());
        Self {
            databases: Service::ALL.into_iter().map(url).collect(),
            brokers: stack.brokers().to_owned(),
        }
    }
}

fn missing(what: &str) -> Error {
    Error::Missing {
        what: format!("{what} in stack.json"),
        hint: "start the platform with make up, or say where it is with --database and --brokers".to_owned(),
    }
}

/// Reads and compares; a mismatch is told when two readings have it.
///
/// # Errors
/// When a database or the broker cannot be read.
pub async fn balance(sources: &Sources, options: &Options) -> Result<Report> {
    if let Some(patience) = options.settle {
        return settle::balance(sources, options, patience).await;
    }
    let first = look(sources, options).await?;
    if first.balanced {
        return Ok(first);
    }
    confirm(sources, options, &first).await
}

/// What is still so after a moment.
async fn confirm(sources: &Sources, options: &Options, first: &Report) -> Result<Report> {
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(look(sources, options).await?.confirming(first))
}

async fn look(sources: &Sources, options: &Options) -> Result<Report> {
    let reading = read(sources, options).await?;
    let limits = options.limits;
    crate::kafka::blocking(move || compare(&reading, &limits)).await
}

/// Reads everything once.
///
/// # Errors
/// When a database or the broker cannot be read.
pub async fn read(sources: &Sources, options: &Options) -> Result<Reading> {
    let begun_at = now();
    let layout = topics::layout(&sources.brokers).await?;
    let mut desks: BTreeMap<String, Desk> = BTreeMap::new();
    for (service, committed) in topics::all_committed(&sources.brokers, &layout).await? {
        let desk = Desk {
            committed,
            ..Desk::default()
        };
        desks.insert(service.name().to_owned(), desk);
    }
    let mut rows = databases::read(sources, &mut desks).await?;
    let told = topics::read(&sources.brokers, &layout).await?;
    rows.accepted.extend(&options.accepted);
    Ok(Reading {
        begun_at,
        ended_at: now(),
        orders: rows.orders,
        payments: rows.payments,
        disputes: rows.disputes,
        charges: Some(rows.charges),
        users: Some(rows.users),
        order_facts: Some(rows.order_facts),
        notifications: Some(rows.notifications),
        deliveries: Some(rows.deliveries),
        timeline: Some(rows.timeline),
        facts: told.facts,
        facts_from: comparison::reading::FactsFrom::Topics,
        dead_letters: told.dead_letters,
        unreadable: told.unreadable,
        unreadable_entries: 0,
        desks,
        accepted: rows.accepted,
        horizon: told.horizon,
        letters_horizon: told.letters_horizon,
        notes: told.notes,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the machine is what the rows were written by"
)]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}
