//! The payment service: charges placed orders, and gives the money back when they are cancelled.

/// Charging, voiding and refunding at the provider.
pub mod actions;
mod app;
mod config;
/// Payments; pure.
pub mod domain;
mod jobs;
mod metrics;
/// The payment provider: the seam, the simulated one, and Stripe.
pub mod provider;
/// The endpoints.
mod routes;
/// The database.
pub mod store;

pub use app::PaymentService;
