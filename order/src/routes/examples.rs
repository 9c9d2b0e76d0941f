//! Orders for the document to show, made as every order is shown: what cannot be is not in it.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::events::CancellationReason;
use contracts::{Currency, Money, OrderId, PaymentId, UserId};
use messaging::Versioned;
use uuid::Uuid;

use super::view::OrderView;
use crate::domain::{Line, Order, Status};

/// One that has just been placed.
pub(super) fn pending() -> OrderView {
    of(Status::Pending, 1)
}

/// One that is paid.
pub(super) fn confirmed() -> OrderView {
    let payment_id = PaymentId::new(Uuid::from_u128(0x019b_7b12_b2c8_7d02_8d5e_7a1f_3b0c_4d21));
    of(Status::Confirmed { payment_id }, 2)
}

/// One that its customer has taken back after it was paid.
pub(super) fn cancelled() -> OrderView {
    let status = Status::Cancelled {
        reason: CancellationReason::CustomerRequest,
        code: None,
        refunded: false,
    };
    of(status, 3)
}

fn of(status: Status, version: i64) -> OrderView {
    let placed_at = DateTime::<Utc>::from_timestamp_millis(1_767_268_800_000).unwrap_or_default();
    let price = Money::new(12_900, Currency::EUR);
    let keyboard = Line {
        sku: "KEYBOARD-TKL".to_owned(),
        name: "Tenkeyless mechanical keyboard".to_owned(),
        quantity: 1,
        unit_price: price,
    };
    let state = Order {
        id: OrderId::new(Uuid::from_u128(0x019b_7b12_b000_7408_a20e_0543_f83c_7e68)),
        customer_id: UserId::new(Uuid::from_u128(0x019b_7b12_4c70_7d3a_9c55_2f6d_0c6f_9a11)),
        lines: vec![keyboard],
        total: price,
        payment_method: "pm_card_visa".to_owned(),
        status,
        announced: u64::try_from(version).unwrap_or_default(),
        created_at: placed_at,
        updated_at: placed_at + TimeDelta::milliseconds((version - 1) * 350),
    };
    Versioned { version, state }.into()
}
