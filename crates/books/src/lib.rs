//! Whether the books balance: orders against payments, payments against the provider, all of them against the facts
//! that were announced, and each fact against everybody who consumes it.
//!
//! Pure: [`compare`] takes what was read out ([`Reading`]) and answers with a [`Report`]. The whole platform is read by
//! `stack books`; the gateway reads what the services' interfaces and its own timeline show. Where a reading does not
//! contain a part (the provider's books, the services' tables), whatever needs that part is not compared.
//!
//! The platform may be running meanwhile. Sagas that are moving are told apart ("in flight") by what is recent, by
//! outbox rows and pending work of their key, and by records that a consumer has not come to yet. They are counted,
//! not judged; what stays so for too long is a mismatch of its own.
//!
//! The map:
//! - [`reading`]: what was read out; [`desk`]: of one service's tables
//! - [`wire`]: facts from their bodies
//! - [`report`], [`kind`]: the answer, and the names of what may be wrong
//! - `index`, `flight`: the reading by key, and what is in motion
//! - the comparisons: `orders`, `facts`, `followed`, `payments`, `provider`, `disputes`, `sums`, `consumption`, `deliveries`,
//!   `letters`, `overdue`

mod consumption;
mod deliveries;
pub mod desk;
mod disputes;
mod facts;
mod flight;
mod followed;
mod index;
pub mod kind;
mod letters;
mod orders;
mod overdue;
mod payments;
mod provider;
pub mod reading;
pub mod report;
mod sums;
pub mod wire;

pub use desk::{Desk, consumers};
pub use kind::Kind;
pub use reading::{Limits, Reading};
pub use report::{Mismatch, Report};

use index::Index;
use report::Findings;

/// Compares everything with everything.
#[must_use]
pub fn compare(reading: &Reading, limits: &Limits) -> Report {
    let index = Index::of(reading, limits);
    let mut found = Findings::default();
    // first: what is lost here is not told again as its consequences
    letters::check(&index, &mut found);
    orders::check(&index, &mut found);
    payments::check(&index, &mut found);
    provider::check(&index, &mut found);
    disputes::check(&index, &mut found);
    facts::check(&index, &mut found);
    followed::check(&index, &mut found);
    deliveries::check(&index, &mut found);
    consumption::check(&index, &mut found);
    overdue::check(&index, &mut found);
    let sums = sums::check(&index, &mut found);
    Report::of(&index, found, sums)
}

#[cfg(test)]
mod tests;
