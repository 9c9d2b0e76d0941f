//! Chaos.

mod customer;
mod load;
mod proxy;

pub use load::{Load, Placed};
pub use proxy::Proxy;
