//! The saga on the real processes, a real broker and a real database, from the customer's side and from the books'.
//! Every test runs a platform of its own, one at a time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod bad_input;
mod crashes;
mod duplicates;
mod failover;
mod interface;
mod load;
mod outages;
mod provider;
mod replays;
mod standing;
mod stories;
mod telling;
mod tracing;
