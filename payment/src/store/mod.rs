//! Diesel: rows, and what is asked of them.

mod disputes;
mod payments;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod schema;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
pub(crate) mod simulator_schema;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
pub(crate) mod stripe_schema;

pub use disputes::{DisputeFilter, DisputeRepository, StoredDispute, disputes_of, list_disputes};
pub use payments::{ListFilter, PaymentRepository, charges_of, find, list, provider_of};
