//! Reads what the platform's interfaces show: orders and payments from their services, in the caller's own name, and
//! the facts from the gateway's timeline. The comparison itself is `books`, as `stack books` has it.
//!
//! What no interface shows is not compared here: notifications and deliveries, the provider's charges, and what is on the
//! topics. Of outboxes and tables of work only the sizes are told.

mod backlog;
mod pages;
mod timeline;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use books::reading::{FactsFrom, time_of};
use books::{Limits, Reading, Report, compare};
use chassis::problem::Problem;
use chassis::{Pool, clock};
use chrono::{DateTime, Utc};
use messaging::operations::Operations;
use serde::Serialize;
use utoipa::ToSchema;

use crate::proxy::Proxy;

/// Which orders are compared.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Window {
    /// Only orders that were placed after this.
    pub(crate) since: DateTime<Utc>,
    /// Only so many of them, the newest.
    pub(crate) limit: usize,
    /// Whether these are all that were placed since the time that was asked for.
    pub(crate) complete: bool,
}

/// Where to read, and in whose name.
pub(crate) struct Reader<'a> {
    pub(crate) request: &'a HttpRequest,
    pub(crate) request_id: HeaderValue,
    pub(crate) proxy: &'a Proxy,
    pub(crate) pool: &'a Pool,
    pub(crate) operations: &'a Operations,
}

/// Reads and compares; a mismatch is told when two readings have it.
///
/// # Errors
/// What a service answers, or the database.
pub(crate) async fn balance(
    reader: &Reader<'_>,
    window: &Window,
    limits: &Limits,
) -> Result<(Report, Window), Problem> {
    let (reading, mut narrowed) = read(reader, window).await?;
    let mut report = compare(&reading, limits);
    if !report.balanced {
        let (reading, again) = read(reader, window).await?;
        report = compare(&reading, limits).confirming(&report);
        narrowed = again;
    }
    report.counts.backlog = reader.backlogs().await;
    Ok((report, narrowed))
}

/// Orders first, then payments, then the timeline: of an order that is read, nothing that was announced about it can be
/// missed later.
async fn read(reader: &Reader<'_>, window: &Window) -> Result<(Reading, Window), Problem> {
    let begun_at = clock::now();
    let mut horizon = window.since;
    let orders = reader.orders(&mut horizon, window.limit).await?;
    let payments = reader.payments(&mut horizon, window.limit).await?;
    let disputes = reader.disputes(&payments).await?;
    let told = timeline::read(reader.pool, &mut horizon, window.limit).await?;
    let in_window = |id| time_of(id).is_some_and(|time| time > horizon);
    let window = Window {
        since: horizon,
        limit: window.limit,
        complete: horizon <= window.since,
    };
    let reading = Reading {
        begun_at,
        ended_at: clock::now(),
        orders: orders.into_iter().filter(|order| in_window(order.id)).collect(),
        payments: payments
            .into_iter()
            .map(|view| view.payment)
            .filter(|payment| in_window(payment.order_id))
            .collect(),
        disputes: disputes.rows,
        charges: None,
        users: None,
        order_facts: None,
        notifications: None,
        deliveries: None,
        timeline: None,
        facts: told
            .facts
            .into_iter()
            .filter(|fact| in_window(fact.key))
            .collect(),
        facts_from: FactsFrom::Timeline,
        dead_letters: told
            .dead_letters
            .into_iter()
            .filter(|letter| letter.key.is_some_and(in_window))
            .collect(),
        unreadable: Vec::new(),
        unreadable_entries: told.malformed,
        desks: std::collections::BTreeMap::new(),
        accepted: std::collections::HashSet::new(),
        horizon: Some(horizon),
        letters_horizon: None,
        notes: notes(&window, told.malformed, disputes.complete),
    };
    Ok((reading, window))
}

fn notes(window: &Window, malformed: u64, disputes_complete: bool) -> Vec<String> {
    let mut notes = vec![
        "read from the services' interfaces and the gateway's timeline; not compared here, and only by `stack books`: \
         notifications, the provider's charges, rows of outboxes and work, and the topics"
            .to_owned(),
    ];
    if !window.complete {
        notes.push(format!(
            "the limit of {} orders was reached: only orders placed after {} are compared",
            window.limit, window.since
        ));
    }
    if !disputes_complete {
        notes.push(format!(
            "only the newest {} open disputes are shown: see GET /payments/disputes?state=open",
            pages::OPEN_DISPUTES_MAX
        ));
    }
    if malformed > 0 {
        notes.push(format!(
            "{malformed} entries of the timeline have a body that is no fact"
        ));
    }
    notes
}
