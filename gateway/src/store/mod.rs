//! The gateway's database.

pub mod revocations;
mod schema;
pub mod timeline;
