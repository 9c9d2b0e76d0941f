//! The money, to the cent.

use std::collections::BTreeMap;

use crate::Kind;
use crate::disputes::{charged_back, written_off};
use crate::index::Index;
use crate::reading::{Amount, OrderStatus, PaymentStatus};
use crate::report::{Findings, Mismatch, Sum};

/// Adds up what is judged: captured less refunded must be what the confirmed orders cost, and what lost disputes took of it
/// must have been announced.
pub(crate) fn check(index: &Index<'_>, found: &mut Findings) -> Vec<Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for order in &index.reading.orders {
        if order.status == OrderStatus::Confirmed && index.is_still(order.id) {
            add(&mut sums, &order.total, |sum| &mut sum.confirmed_minor);
        }
    }
    match &index.reading.charges {
        Some(_) => by_charges(index, &mut sums),
        None => by_payments(index, &mut sums),
    }
    for dispute in charged_back(index) {
        add(&mut sums, &dispute.amount, |sum| &mut sum.charged_back_minor);
    }
    for amount in written_off(index) {
        add(&mut sums, &amount, |sum| &mut sum.written_off_minor);
    }
    for sum in sums.values_mut() {
        sum.difference_minor = sum
            .captured_minor
            .saturating_sub(sum.refunded_minor)
            .saturating_sub(sum.held_minor)
            .saturating_sub(sum.confirmed_minor)
            .saturating_sub(sum.charged_back_minor)
            .saturating_add(sum.written_off_minor);
        if sum.difference_minor != 0 {
            found.push(Mismatch::of(
                Kind::SumsDiffer,
                sum.currency.clone(),
                format!(
                    "captured {} less refunded {} and held {}, with {} charged back of which {} is announced, is off by {}",
                    sum.captured_minor,
                    sum.refunded_minor,
                    sum.held_minor,
                    sum.charged_back_minor,
                    sum.written_off_minor,
                    sum.difference_minor
                ),
                format!("{}, what the confirmed orders cost", sum.confirmed_minor),
                "the other mismatches tell where; a sum alone cannot be repaired",
            ));
        }
    }
    sums.into_values().collect()
}

fn add(sums: &mut BTreeMap<String, Sum>, amount: &Amount, column: impl Fn(&mut Sum) -> &mut i64) {
    let sum = sums.entry(amount.currency.clone()).or_insert_with(|| Sum {
        currency: amount.currency.clone(),
        confirmed_minor: 0,
        captured_minor: 0,
        refunded_minor: 0,
        held_minor: 0,
        charged_back_minor: 0,
        written_off_minor: 0,
        difference_minor: 0,
    });
    let column = column(sum);
    *column = column.saturating_add(amount.amount_minor);
}

fn by_charges(index: &Index<'_>, sums: &mut BTreeMap<String, Sum>) {
    for charge in index.reading.charges.iter().flatten() {
        let order = charge.order();
        if charge.status != "approved" || order.is_some_and(|order| !index.is_still(order)) {
            continue;
        }
        add(sums, &charge.amount, |sum| &mut sum.captured_minor);
        let payment = order.and_then(|order| index.payments.get(&order));
        if charge.refund_reference.is_some() {
            add(sums, &charge.amount, |sum| &mut sum.refunded_minor);
        } else if payment.is_some_and(|payment| payment.status.is_open()) {
            add(sums, &charge.amount, |sum| &mut sum.held_minor);
        }
    }
}

/// Where the provider's books are not shown, payments stand for them. Money on its way back is in flight there for as long
/// as it takes, and counted all the same: it is held and captured alike.
fn by_payments(index: &Index<'_>, sums: &mut BTreeMap<String, Sum>) {
    for payment in &index.reading.payments {
        let known = index.orders.contains_key(&payment.order_id);
        let counted = index.is_still(payment.order_id) || payment.status == PaymentStatus::Refunding;
        if !known || !counted || !payment.status.took_money() {
            continue;
        }
        add(sums, &payment.amount, |sum| &mut sum.captured_minor);
        match payment.status {
            PaymentStatus::Refunded => add(sums, &payment.amount, |sum| &mut sum.refunded_minor),
            PaymentStatus::Refunding => add(sums, &payment.amount, |sum| &mut sum.held_minor),
            PaymentStatus::Processing
            | PaymentStatus::Completed
            | PaymentStatus::Failed
            | PaymentStatus::Voided => {}
        }
    }
}
