//! Two gateways before two order services, on the real processes: what a deployment does to them, and how soon both know
//! of a logout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod pair;
mod restarts;
mod revocations;
