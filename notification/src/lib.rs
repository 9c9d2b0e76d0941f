//! The notification service: tells each user what becomes of the account, the orders and the money, once a fact: in a
//! list and a live stream, by e-mail and by webhooks.

/// Attempts to deliver.
mod actions;
mod app;
mod config;
/// Notifications, their wording and their deliveries; pure.
pub mod domain;
/// Timers.
mod jobs;
/// Mails.
mod mail;
/// The facts that are told.
mod reactions;
/// The endpoints.
mod routes;
/// The database.
pub mod store;
/// Live streams.
mod streams;
/// Calls to addresses of users.
mod webhooks;

pub use app::NotificationService;
