//! Pure: no I/O, no clock, no ids of its own making.

mod notification;
mod wording;

pub use notification::{Channel, Kind, Notification, Wording, notify};
