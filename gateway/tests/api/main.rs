//! The gateway as its clients and its services meet it: over HTTP, before real upstream servers and a real
//! database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod admission;
mod audit;
mod browsers;
mod clients;
mod constants;
mod docs;
mod drain;
mod harness;
mod headers;
mod health;
mod limits;
mod lists;
mod process;
mod proxy;
mod reconciliation;
mod recording;
mod resilience;
mod revocation;
mod route_classes;
mod streaming;
mod timeline;
mod timeouts;
mod tls;
