//! The gateway as its clients and its services meet it: over HTTP, before real upstream servers and a real
//! database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod admission;
mod docs;
mod harness;
mod headers;
mod health;
mod limits;
mod proxy;
mod reconciliation;
mod recording;
mod streaming;
mod timeline;
mod timeouts;
