//! A payment for the document to show, made as every payment is shown: what cannot be is not in it.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{Currency, Money, OrderId, PaymentId, UserId};
use messaging::Versioned;
use uuid::Uuid;

use super::view::PaymentView;
use crate::domain::{Payment, Status};

/// One that has been taken.
pub(super) fn completed() -> PaymentView {
    let heard_at = DateTime::<Utc>::from_timestamp_millis(1_767_268_800_712).unwrap_or_default();
    let state = Payment {
        id: PaymentId::new(Uuid::from_u128(0x019b_7b12_b2c8_7d02_8d5e_7a1f_3b0c_4d21)),
        order_id: OrderId::new(Uuid::from_u128(0x019b_7b12_b000_7408_a20e_0543_f83c_7e68)),
        customer_id: UserId::new(Uuid::from_u128(0x019b_7b12_4c70_7d3a_9c55_2f6d_0c6f_9a11)),
        amount: Money::new(12_900, Currency::EUR),
        payment_method: "pm_card_visa".to_owned(),
        corrections: Vec::new(),
        provider: "simulated".to_owned(),
        status: Status::Completed {
            reference: "sim_019b7b12b0007408a20e0543f83c7e68".to_owned(),
        },
        attempts: 1,
        announced: 1,
        created_at: heard_at,
        updated_at: heard_at + TimeDelta::milliseconds(120),
    };
    PaymentView::new(Versioned { version: 2, state }, None, Vec::new())
}
