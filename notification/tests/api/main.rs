//! The notification service as its callers and the broker meet it: over HTTP and Kafka, on a real database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod access;
mod conditional;
mod delivery;
mod email;
mod facts;
mod harness;
mod listing;
mod operating;
mod preferences;
mod reading;
mod receiver;
mod smtp;
mod streaming;
mod webhook_requests;
mod webhook_safety;
mod webhooks;
