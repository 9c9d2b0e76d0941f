//! Pure: no I/O, no clock, no ids of its own making.

mod delivery;
mod details;
mod notification;
mod wording;

pub use delivery::{
    ATTEMPTS_MAX, Attempted, Delivery, DeliveryAction, Outcome, ResendError, Status, Target, Way, on_outcome,
    precondition, resend, resume, start,
};
pub use details::{Detailed, Details};
pub use notification::{Address, Channel, Kind, Notification, Wording, notify, webhook_disabled};
