//! The auth service's interface, against a real Postgres.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod admin;
mod harness;
mod interface;
mod login;
mod logout;
mod process;
mod refresh;
mod register;
