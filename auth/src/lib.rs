//! Accounts, logins and access tokens.
//!
//! - [`config`]: the settings
//! - [`app`]: the composition root
//! - [`domain`]: e-mail, password and role rules, the life of an account and of a login; pure
//! - `crypto`: password hashing and signing, off the HTTP workers
//! - `store`: rows
//! - `routes`: one file an endpoint
//! - `jobs`: retention
//! - `command`: `create-admin`

pub mod app;
mod command;
pub mod config;
mod crypto;
pub mod domain;
mod jobs;
mod routes;
mod store;

pub use app::AuthService;
