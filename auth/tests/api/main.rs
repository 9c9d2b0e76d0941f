//! The auth service's interface, against a real Postgres.

mod admin;
mod harness;
mod interface;
mod login;
mod logout;
mod refresh;
mod register;
