//! The rules of accounts and logins. Pure: no I/O, no clock, no random.

pub mod email;
pub mod password;
pub mod session;
pub mod throttle;
pub mod user;

pub use email::EmailAddress;
pub use session::Session;
pub use user::{Role, User};
