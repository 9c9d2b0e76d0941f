//! The order service as its callers meet it: over HTTP, on a real database, with the broker down unless a test needs one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod access;
mod bad_input;
mod broker;
mod cancelling;
mod catalogue;
mod deadline;
mod following;
mod harness;
mod held_back;
mod idempotency;
mod listing;
mod placing;
mod reading;
