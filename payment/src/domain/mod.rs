//! Pure: no I/O, no clock, no ids of its own making.

mod action;
mod notice;
mod payment;
mod provider;

pub use action::{Answer, ChargeAnswer, PaymentAction, VoidAnswer, is_wanted};
pub use notice::Notice;
pub use payment::{
    Payment, Status, on_order_cancelled, on_order_cancelled_at, on_order_created, on_order_created_at,
    on_provider_answer, on_provider_notice,
};
pub use provider::Provider;
