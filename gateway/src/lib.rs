//! The gateway: the only entry to the platform. It checks who calls, how often and with what, and streams
//! the request to the service that answers. It also listens to every topic, and tells each saga's timeline.
//!
//! The map:
//! - [`domain`]: what it decides, without I/O: routes, headers, the order of a timeline
//! - [`edge`](self): what every request passes: its name, its limits, its token
//! - [`proxy`]: the exchange with a service
//! - [`limits`]: how often one address and one user may call
//! - [`config`], [`openapi`], [`metrics`]: what they say

pub mod config;
pub mod domain;
mod edge;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod proxy;
mod routes;
