//! Pure: no I/O, no clock, no ids of its own making.

mod action;
mod payment;

pub use action::{Answer, ChargeAnswer, PaymentAction, VoidAnswer, is_wanted};
pub use payment::{Payment, Status, on_order_cancelled, on_order_created, on_provider_answer};
