//! The gateway: the only entry to the platform. It checks who calls, how often and with what, and streams
//! the request to the service that answers. It also listens to every topic, and tells each saga's timeline.
//!
//! The map:
//! - `app`: puts it together
//! - [`domain`]: what it decides, without I/O: routes, headers, the order of a timeline
//! - `edge`: what every request passes: its name and origin, its limits, its token, the logins that ended
//! - [`limits`]: how often one address and one user may call
//! - [`proxy`]: the exchange with a service: its endpoints, attempts, clocks and bodies
//! - `routes`: what it answers, itself or through a service
//! - [`reactions`], [`store`]: the timeline, from the topics into the database and out of it
//! - `reconciliation`: what the services show, read to be compared
//! - `jobs`: what happens by the clock
//! - [`config`], [`metrics`], [`openapi`]

mod app;
pub mod config;
pub mod domain;
mod edge;
mod jobs;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod proxy;
pub mod reactions;
mod reconciliation;
mod routes;
pub mod store;

pub use app::GatewayService;
