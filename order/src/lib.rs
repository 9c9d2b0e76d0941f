//! The order service: takes orders, and lets them be confirmed or cancelled by what becomes of their payment.

mod app;
mod config;
/// Orders and the catalogue; pure.
pub mod domain;
/// Timers.
mod jobs;
/// The endpoints.
mod routes;
/// The database.
pub mod store;
/// Those who follow an order.
mod streams;

pub use app::OrderService;
