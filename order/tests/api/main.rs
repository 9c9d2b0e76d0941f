//! The order service as its callers meet it: over HTTP, on a real database, with the broker down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod access;
mod bad_input;
mod cancelling;
mod catalogue;
mod deadline;
mod following;
mod harness;
mod idempotency;
mod listing;
mod placing;
mod reading;
