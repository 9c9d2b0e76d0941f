//! The payment service as its callers, the broker and the provider meet it: on a real database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod access;
mod acting;
mod bad_input;
mod correcting;
mod forcing;
mod harness;
mod kafka;
mod listing;
mod provider;
mod provider_harness;
mod reading;
mod saga;
mod simulator;
mod stripe;
