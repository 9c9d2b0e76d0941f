//! Calling addresses that users have given: which ones are called at all, how a call is signed, the call itself.

mod call;
mod connect;
mod guard;
mod signature;

pub(crate) use call::{CallError, Caller, Message};
#[cfg(test)]
pub(crate) use guard::Resolver;
pub(crate) use guard::{Guard, Refused};
pub(crate) use signature::{Secret, shown, signatures};
