//! Each payment against what was announced about it.

use contracts::events::{PaymentCompleted, PaymentFailed, PaymentRefunded};
use contracts::{Event, Topic};

use crate::Kind;
use crate::facts::{ROW_IS_RIGHT, expect_one, unfounded};
use crate::index::Index;
use crate::orders::differs;
use crate::reading::{Fact, Payment, PaymentStatus};
use crate::report::{Findings, Mismatch};

pub(super) fn check(index: &Index<'_>, payment: &Payment, found: &mut Findings) {
    let (key, state) = (payment.order_id, payment.status.as_str());
    let after_all = took_money_after_all(index, payment);
    if payment.status.took_money() && !after_all {
        let fact = expect_one(index, key, Topic::PaymentCompleted, "the money was taken", found);
        if let Some(Event::PaymentCompleted(said)) = fact.map(|fact| &fact.event) {
            tell(payment, fact, &completed(payment, said), found);
        }
    } else {
        unfounded(index, key, Topic::PaymentCompleted, state, found);
    }
    match payment.status {
        PaymentStatus::Failed => {
            let fact = expect_one(index, key, Topic::PaymentFailed, "the payment failed", found);
            if let Some(Event::PaymentFailed(said)) = fact.map(|fact| &fact.event) {
                tell(payment, fact, &failed(payment, said), found);
            }
        }
        PaymentStatus::Refunding | PaymentStatus::Refunded if after_all => {
            expect_one(
                index,
                key,
                Topic::PaymentFailed,
                "the payment failed first",
                found,
            );
        }
        PaymentStatus::Processing
        | PaymentStatus::Completed
        | PaymentStatus::Voided
        | PaymentStatus::Refunding
        | PaymentStatus::Refunded => {
            unfounded(index, key, Topic::PaymentFailed, state, found);
        }
    }
    if payment.status == PaymentStatus::Refunded {
        let fact = expect_one(
            index,
            key,
            Topic::PaymentRefunded,
            "the money was given back",
            found,
        );
        if let Some(Event::PaymentRefunded(said)) = fact.map(|fact| &fact.event) {
            tell(payment, fact, &refunded(payment, said), found);
        }
    } else {
        unfounded(index, key, Topic::PaymentRefunded, state, found);
    }
}

/// An approval that came after the failure was announced: the money goes back, and was never announced as taken.
fn took_money_after_all(index: &Index<'_>, payment: &Payment) -> bool {
    let goes_back = matches!(payment.status, PaymentStatus::Refunding | PaymentStatus::Refunded);
    goes_back && !index.said(payment.order_id, Topic::PaymentFailed).is_empty()
}

type Difference = Option<(String, String)>;

fn tell(payment: &Payment, fact: Option<&Fact>, differences: &[Difference], found: &mut Findings) {
    let Some(fact) = fact else { return };
    for (is, should) in differences.iter().flatten() {
        let is = format!("payment {}: {is}", payment.id);
        found.push(Mismatch::of_fact(
            Kind::FactDiffers,
            fact,
            is,
            should,
            ROW_IS_RIGHT,
        ));
    }
}

fn named(name: Option<&String>) -> String {
    name.cloned().unwrap_or_else(|| "none".to_owned())
}

fn completed(payment: &Payment, said: &PaymentCompleted) -> [Difference; 4] {
    [
        differs("id", &payment.id, &said.payment_id.uuid()),
        differs("amount", &payment.amount, &said.amount.into()),
        differs("customer", &payment.customer_id, &said.customer_id.uuid()),
        differs(
            "charge",
            &named(payment.provider_reference.as_ref()),
            &said.provider_reference,
        ),
    ]
}

fn failed(payment: &Payment, said: &PaymentFailed) -> [Difference; 4] {
    [
        differs("id", &payment.id, &said.payment_id.uuid()),
        differs("amount", &payment.amount, &said.amount.into()),
        differs("customer", &payment.customer_id, &said.customer_id.uuid()),
        differs(
            "failure code",
            &named(payment.failure_code.as_ref()),
            &said.failure_code,
        ),
    ]
}

fn refunded(payment: &Payment, said: &PaymentRefunded) -> [Difference; 4] {
    [
        differs("id", &payment.id, &said.payment_id.uuid()),
        differs("amount", &payment.amount, &said.amount.into()),
        differs("customer", &payment.customer_id, &said.customer_id.uuid()),
        differs(
            "refund",
            &named(payment.refund_reference.as_ref()),
            &said.refund_reference,
        ),
    ]
}
