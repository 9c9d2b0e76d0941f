//! The stack's parts on real programs: PostgreSQL, Apache Kafka, processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod books;
mod kafka;
mod platform;
mod postgres;
mod process;
