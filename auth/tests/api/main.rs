//! The auth service's interface, against a real Postgres.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod admin;
mod announced;
mod harness;
mod interface;
mod keys;
mod login;
mod logout;
mod memory;
mod password;
mod process;
mod refresh;
mod register;
mod secrets;
mod sessions;
mod starved;
mod throttle;
