//! What the gateway decides, without I/O: where a request goes, what it may carry, who it is counted
//! against, and in which order a saga's events are told.

pub mod client_address;
pub mod entry;
pub mod headers;
pub mod interface;
pub mod request_id;
pub mod revocation;
pub(crate) mod route_class;
pub mod routing;
pub mod template;
pub mod timeline;
pub mod whole_interface;
