//! Pure: no I/O, no clock, no ids of its own making.

mod action;
mod charge_key;
mod dispute;
mod notice;
mod payment;
mod provider;

pub use action::{Answer, ChargeAnswer, PaymentAction, VoidAnswer, is_wanted, precondition};
pub use charge_key::{ChargeKey, NoChargeKey};
pub use dispute::{
    Dispute, DisputeReport, DisputeStatus, DisputedPayment, Funds, Moved, on_dispute_reported,
};
pub use notice::Notice;
pub use payment::{
    Payment, Status, on_charge_corrected, on_charge_notice, on_order_cancelled, on_order_cancelled_at,
    on_order_created, on_order_created_at, on_provider_answer, on_provider_notice,
};
pub use provider::Provider;
