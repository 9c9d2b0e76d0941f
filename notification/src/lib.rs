//! The notification service: tells each user what becomes of the account, the orders and the money, once a fact.

mod app;
mod config;
/// Notifications and their wording; pure.
pub mod domain;
/// The facts that are told.
mod reactions;
/// The endpoints.
mod routes;
/// The database.
pub mod store;

pub use app::NotificationService;
