//! The gateway's database.

mod schema;
pub mod timeline;
