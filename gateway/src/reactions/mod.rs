//! What the gateway does about events: it writes them down.

pub mod revocations;
pub mod timeline;
