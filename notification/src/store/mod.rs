//! Diesel: rows, and what is asked of them.

mod notifications;
#[allow(missing_docs, unreachable_pub, reason = "generated")]
mod schema;

pub use notifications::{ListFilter, NotificationRepository, Told, list, mark_read};
