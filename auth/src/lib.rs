//! Accounts, logins and access tokens.
//!
//! - [`config`]: the settings
//! - [`app`]: the composition root
//! - [`domain`]: e-mail, password and role rules, the life of an account and of a login; pure
//! - `crypto`: password hashing off the HTTP workers, signing, sealing
//! - `signing`: which key signs, which are published, how they follow each other
//! - `throttle`: what failed logins cost
//! - `bulkhead`: the database connections of requests with a password
//! - `client`: who a request comes from
//! - `store`: rows
//! - `routes`: one file an endpoint
//! - `jobs`: retention, reading the keys again
//! - `metrics`: what is counted
//! - `command`: `create-admin`, `keys`

pub mod app;
mod bulkhead;
mod client;
mod command;
pub mod config;
mod crypto;
pub mod domain;
mod jobs;
mod metrics;
mod routes;
mod signing;
mod store;
mod throttle;

pub use app::AuthService;
