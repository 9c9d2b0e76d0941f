//! What the gateway does about events: it writes them down.

mod timeline;

pub use timeline::participant;
