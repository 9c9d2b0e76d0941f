//! Diesel: rows, and what is asked of them.

/// What was announced of orders.
pub mod facts;
/// The endpoints' memory of idempotency keys.
pub mod idempotency;
mod orders;
/// Orders whose deadline has passed.
pub mod overdue;
/// The catalogue.
pub mod products;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod schema;

pub use orders::{ListFilter, OrderRepository, find, list};
