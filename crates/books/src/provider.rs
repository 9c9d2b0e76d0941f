//! Each payment against the provider's own books.

use std::collections::HashMap;

use uuid::Uuid;

use crate::Kind;
use crate::index::Index;
use crate::reading::{Charge, Payment, PaymentStatus};
use crate::report::{Findings, Mismatch};

/// The provider whose books are in payment's database.
pub(crate) const SIMULATED: &str = "simulated";

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    let Some(charges) = &index.reading.charges else {
        return;
    };
    for payment in &index.reading.payments {
        // another provider's books are not here to be read
        if payment.provider == SIMULATED && index.is_still(payment.order_id) {
            of_payment(payment, index.charges.get(&payment.order_id).copied(), found);
        }
    }
    let mut by_reference: HashMap<&str, &str> = HashMap::new();
    let mut approved: HashMap<Uuid, &str> = HashMap::new();
    for charge in charges {
        let order = charge.order().filter(|_| charge.status == "approved");
        if let Some(other) = order.and_then(|order| approved.insert(order, &charge.idempotency_key)) {
            found.push(twice(
                &charge.idempotency_key,
                format!("it has taken money, and so has the charge {other}"),
            ));
        }
        stray(index, charge, found);
        let Some(reference) = &charge.reference else {
            continue;
        };
        if let Some(other) = by_reference.insert(reference, &charge.idempotency_key) {
            let keys = format!("{other} and {}", charge.idempotency_key);
            found.push(twice(
                &charge.idempotency_key,
                format!("{reference} was charged under {keys}"),
            ));
        }
    }
}

fn twice(key: &str, is: String) -> Mismatch {
    let mut mismatch = Mismatch::of(
        Kind::ChargedTwice,
        format!("charge {key}"),
        is,
        "one charge an order that takes money",
        "refund the charge that no payment speaks of",
    );
    mismatch.order_id = order_within(key);
    mismatch
}

/// The order in a key, also when it is only the beginning of it.
fn order_within(key: &str) -> Option<Uuid> {
    key.get(..36)?.parse().ok()
}

fn stray(index: &Index<'_>, charge: &Charge, found: &mut Findings) {
    let key = charge.idempotency_key.as_str();
    let order = order_within(key);
    let exact = charge.order().is_some();
    if order.is_some_and(|order| !index.is_still(order)) || !index.is_settled(charge.created_at) {
        return;
    }
    let paid = order.is_some_and(|order| index.payments.contains_key(&order));
    // a void that came before the charge leaves an empty one; it took nothing
    if (exact && paid) || charge.status == "voided" {
        return;
    }
    let is = format!("{} of {} under the key {key}", charge.status, charge.amount);
    if paid {
        found.push(twice(key, is));
        return;
    }
    let mut mismatch = Mismatch::of(
        Kind::ChargeWithoutPayment,
        format!("charge {key}"),
        is,
        "a payment that speaks of it",
        "restore the payment from a backup or from payment.completed; without an order, refund the charge",
    );
    mismatch.order_id = order;
    found.push(mismatch);
}

fn of_payment(payment: &Payment, charge: Option<&Charge>, found: &mut Findings) {
    let mut say = |kind, is: String, should: &str, repair: &str| {
        found.push(Mismatch::of_order(kind, payment.order_id, is, should, repair));
    };
    let Some(charge) = charge else {
        if payment.status.took_money() || payment.status == PaymentStatus::Failed {
            say(
                Kind::ChargeMissing,
                format!(
                    "payment {} is {}, and the provider has no charge",
                    payment.id,
                    payment.status.as_str()
                ),
                "a charge under the order's id",
                "ask the provider; when nothing was ever taken, cancel the order",
            );
        }
        return;
    };
    let approved = charge.status == "approved";
    let given_back = charge.refund_reference.is_some();
    let is = format!(
        "payment {} is {}, the charge {}{}",
        payment.id,
        payment.status.as_str(),
        charge.status,
        if given_back { " and given back" } else { "" }
    );
    match payment.status {
        PaymentStatus::Completed | PaymentStatus::Refunding | PaymentStatus::Refunded if !approved => say(
            Kind::ChargeMissing,
            is,
            "an approved charge",
            "ask the provider; when nothing was ever taken, cancel the order",
        ),
        PaymentStatus::Completed | PaymentStatus::Processing if given_back => say(
            Kind::RefundUnfounded,
            is,
            "money that is kept while the order stands",
            "cancel the order, or charge it again",
        ),
        PaymentStatus::Refunded if !given_back => say(
            Kind::ChargeNotRefunded,
            is,
            "a charge that was given back",
            "refund the charge at the provider: the customer was told that the money is back",
        ),
        PaymentStatus::Failed | PaymentStatus::Voided if approved && !given_back => say(
            Kind::MoneyKept,
            is,
            "no money for an order that is not paid",
            "refund the charge at the provider",
        ),
        PaymentStatus::Processing
        | PaymentStatus::Completed
        | PaymentStatus::Failed
        | PaymentStatus::Voided
        | PaymentStatus::Refunding
        | PaymentStatus::Refunded => details(payment, charge, found),
    }
}

fn details(payment: &Payment, charge: &Charge, found: &mut Findings) {
    let mut differ = |what: &str, charged: String, paid: String| {
        if charged != paid {
            found.push(Mismatch::of_order(
                Kind::ChargeDiffers,
                payment.order_id,
                format!("the charge has {what} {charged}"),
                format!("{what} {paid}, as payment {}", payment.id),
                "the provider's books decide: correct the payment, and give back or charge the difference",
            ));
        }
    };
    // a void that came before the charge knows no amount
    if charge.status != "voided" {
        differ("amount", charge.amount.to_string(), payment.amount.to_string());
    }
    if payment.status.took_money() {
        differ(
            "reference",
            named(&charge.reference),
            named(&payment.provider_reference),
        );
    }
    if payment.status == PaymentStatus::Refunded {
        differ(
            "refund",
            named(&charge.refund_reference),
            named(&payment.refund_reference),
        );
    }
    if payment.status == PaymentStatus::Failed && charge.status == "declined" {
        differ(
            "failure code",
            named(&charge.failure_code),
            named(&payment.failure_code),
        );
    }
}

fn named(name: &Option<String>) -> String {
    name.clone().unwrap_or_else(|| "none".to_owned())
}
