//! What happens to the platform here happens to it by force: processes that abort at every boundary of the kernel, and
//! a seeded schedule of everything that goes wrong in a machine room. Each test ends with the books.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a panic in a test is its report"
)]

mod backlog;
mod crossings;
mod list;
mod migrations;
mod plan;
mod seeded;
mod settled;
mod starved;
mod topology;
