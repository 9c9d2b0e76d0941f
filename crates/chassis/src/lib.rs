//! What every service process needs and no service should write twice: start and stop, configuration,
//! telemetry, health, database pool, problem+json, token verification, OpenAPI.
//!
//! The map:
//! - [`main`], [`Service`], [`Parts`], [`App`]: how a service becomes a process
//! - [`settings`]: layered configuration
//! - [`telemetry`]: logs and traces; [`Metrics`]: Prometheus
//! - [`database`]: pool and migrations
//! - [`problem`], [`json`], [`query`], [`page`], [`etag`]: the HTTP vocabulary
//! - [`auth`]: who is calling; [`clock`]: what time it is
//! - [`health`], [`Tasks`]: life and death of the process
//! - [`test`]: the same process inside a test; [`crossing`]: where a test lets it die

pub mod auth;
pub mod clock;
pub mod crossing;
pub mod database;
pub mod docs;
pub mod etag;
pub mod event_stream;
pub mod head;
pub mod health;
pub mod idempotency;
pub mod json;
mod log_format;
mod management;
pub mod metrics;
pub mod money;
pub mod page;
pub mod problem;
pub mod query;
mod run;
mod server;
mod service;
pub mod settings;
mod tasks;
pub mod telemetry;
pub mod test;
mod tls;
mod wording;

pub use database::{Connection, Pool};
pub use health::{Health, Probe};
pub use metrics::{Metrics, RouteTemplate};
pub use run::main;
pub use service::{App, NoCommand, Parts, Service};
pub use settings::CoreSettings;
pub use tasks::Tasks;
