//! Each payment against its order.

mod announced;

use crate::Kind;
use crate::index::Index;
use crate::letters::replay;
use crate::reading::{Order, OrderStatus, Payment, PaymentStatus, time_of};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    for order in index
        .reading
        .orders
        .iter()
        .filter(|order| index.is_still(order.id))
    {
        match index.payments.get(&order.id) {
            Some(payment) => {
                same(order, payment, found);
                follows(index, order, payment, found);
            }
            None => without_payment(index, order, found),
        }
    }
    never_made(index, found);
    for payment in &index.reading.payments {
        if !index.is_still(payment.order_id) {
            continue;
        }
        without_order(index, payment, found);
        idle(index, payment, found);
        if index.is_told(payment.order_id) {
            announced::check(index, payment, found);
        }
    }
}

fn without_payment(index: &Index<'_>, order: &Order, found: &mut Findings) {
    // the payment service may have the event and be unable to apply it
    let excused = index.is_excused("payment", order.id) && order.status != OrderStatus::Confirmed;
    if excused || index.reading.orders.is_empty() {
        return;
    }
    let repair = match order.status {
        OrderStatus::Confirmed => {
            "restore its row from a backup of the payment database; payment.completed and the provider's charge tell what \
             it was"
        }
        OrderStatus::Pending | OrderStatus::Cancelled => {
            "let the payment service consume order.created again: delete the event from its processed_event and set its \
             group back to the record"
        }
    };
    found.push(Mismatch::of_order(
        Kind::PaymentMissing,
        order.id,
        format!(
            "the order is {}, and there is no payment of it",
            order.status.as_str()
        ),
        "one payment",
        repair,
    ));
}

/// Payments that are spoken of, of orders that are not there either.
fn never_made(index: &Index<'_>, found: &mut Findings) {
    for (key, facts) in &index.facts {
        let absent = !index.payments.contains_key(key) && !index.orders.contains_key(key);
        let fact = facts.iter().find(|fact| fact.source == "payment");
        if let Some(fact) = fact.filter(|_| absent && index.is_still(*key) && index.is_told(*key)) {
            found.push(Mismatch::of_order(
                Kind::PaymentMissing,
                *key,
                format!(
                    "{} was announced, and the payment service does not have the payment",
                    fact.topic()
                ),
                "the payment, and its order",
                format!(
                    "find out who announced event {}; restore both rows from backups when it was us",
                    fact.id
                ),
            ));
        }
    }
}

fn same(order: &Order, payment: &Payment, found: &mut Findings) {
    if order.total != payment.amount {
        found.push(Mismatch::of_order(
            Kind::PaymentAmountDiffers,
            order.id,
            format!("payment {} is of {}", payment.id, payment.amount),
            format!("{}, the order's total", order.total),
            "correct the row that disagrees with order.created; give back or charge the difference at the provider",
        ));
    }
    if order.customer_id != payment.customer_id {
        found.push(Mismatch::of_order(
            Kind::PaymentCustomerDiffers,
            order.id,
            format!("payment {} is by customer {}", payment.id, payment.customer_id),
            format!("customer {}, whose order it is", order.customer_id),
            "correct the row that disagrees with order.created",
        ));
    }
    if let Some(named) = order.payment_id.filter(|named| *named != payment.id) {
        found.push(Mismatch::of_order(
            Kind::PaymentIdDiffers,
            order.id,
            format!("the order names payment {named}"),
            format!("{}, which pays for it", payment.id),
            "correct order.orders.payment_id after payment.completed",
        ));
    }
}

/// Whether order and payment are where the saga can have brought both.
fn follows(index: &Index<'_>, order: &Order, payment: &Payment, found: &mut Findings) {
    let is = format!(
        "the order is {}, its payment {}",
        order.status.as_str(),
        payment.status.as_str()
    );
    let mut say = |kind, should: &str, repair: String| {
        found.push(Mismatch::of_order(kind, order.id, is.clone(), should, repair));
    };
    match (order.status, payment.status) {
        (OrderStatus::Pending, PaymentStatus::Processing)
        | (OrderStatus::Confirmed, PaymentStatus::Completed) => {}
        (OrderStatus::Pending, _) => {
            if !index.is_excused("order", order.id) {
                let repair = "let the order service consume the payment's last fact again: delete the event from its \
                              processed_event and set its group back to the record";
                say(
                    Kind::OrderBehind,
                    "an order that has followed its payment",
                    repair.to_owned(),
                );
            }
        }
        (OrderStatus::Confirmed, _) => {
            let repair = "ask the provider for the charge: when the money is there, correct the payment after \
                          payment.completed; when it is not, cancel the order (POST /orders/{id}/cancel)";
            say(
                Kind::ConfirmedNotPaid,
                "one completed payment of exactly the total",
                repair.replace("{id}", &order.id.to_string()),
            );
        }
        (OrderStatus::Cancelled, PaymentStatus::Completed) => {
            let repair = replay(index, "payment", order.id).unwrap_or_else(|| {
                "let the payment service consume order.cancelled again: delete the event from its processed_event and \
                 set its group back to the record; it will give the money back"
                    .to_owned()
            });
            say(
                Kind::MoneyKept,
                "a payment that failed, was voided or is given back",
                repair,
            );
        }
        (
            OrderStatus::Cancelled,
            PaymentStatus::Processing
            | PaymentStatus::Failed
            | PaymentStatus::Voided
            | PaymentStatus::Refunding
            | PaymentStatus::Refunded,
        ) => cancelled(index, order, payment, found),
    }
}

fn cancelled(index: &Index<'_>, order: &Order, payment: &Payment, found: &mut Findings) {
    let for_payment = order.reason.as_deref() == Some("payment_failed");
    let can_be = match payment.status {
        PaymentStatus::Failed => !for_payment || order.code == payment.failure_code,
        // an approval that came after all
        PaymentStatus::Refunding | PaymentStatus::Refunded => true,
        PaymentStatus::Processing | PaymentStatus::Voided | PaymentStatus::Completed => !for_payment,
    };
    if !can_be {
        found.push(Mismatch::of_order(
            Kind::CancellationDiffers,
            order.id,
            format!(
                "the order was cancelled for {} ({}), its payment is {} ({})",
                order.reason.as_deref().unwrap_or("nothing"),
                order.code.as_deref().unwrap_or("no code"),
                payment.status.as_str(),
                payment.failure_code.as_deref().unwrap_or("no code"),
            ),
            "the payment's failure, with its code",
            "correct the row that disagrees with payment.failed",
        ));
    }
    let refunded = payment.status == PaymentStatus::Refunded;
    if refunded != order.refunded && !(refunded && index.is_excused("order", order.id)) {
        let knows = if order.refunded {
            "knows of"
        } else {
            "does not know of"
        };
        found.push(Mismatch::of_order(
            Kind::RefundDiffers,
            order.id,
            format!(
                "the order {knows} a refund, its payment is {}",
                payment.status.as_str()
            ),
            "an order that knows of its refund once it is made",
            "correct order.orders.refunded after payment.refunded, when that was announced",
        ));
    }
}

fn without_order(index: &Index<'_>, payment: &Payment, found: &mut Findings) {
    let known = index.orders.contains_key(&payment.order_id);
    let in_window = !index.desks_are_hidden() || index.after_horizon(time_of(payment.order_id));
    if !known && in_window {
        found.push(Mismatch::of_order(
            Kind::PaymentWithoutOrder,
            payment.order_id,
            format!("payment {} of {} is {}", payment.id, payment.amount, payment.status.as_str()),
            "an order that it pays for",
            "restore the order from a backup or from order.created; without one, void or refund the payment at the provider",
        ));
    }
    if index
        .payments
        .get(&payment.order_id)
        .is_some_and(|other| other.id != payment.id)
    {
        found.push(Mismatch::of_order(
            Kind::PaymentRepeated,
            payment.order_id,
            format!("payment {} besides another", payment.id),
            "one payment an order",
            "refund the one that the order does not name",
        ));
    }
}

/// What is open has an action on its way, or one that was given up.
fn idle(index: &Index<'_>, payment: &Payment, found: &mut Findings) {
    if !payment.status.is_open() || index.desks_are_hidden() || found.is_lost("payment", payment.order_id) {
        return;
    }
    let rows = index.work_on_key("payment", payment.order_id);
    if rows.iter().any(|work| work.kind == "action" && work.excuses()) {
        return;
    }
    let action = if payment.status == PaymentStatus::Refunding {
        "refund"
    } else {
        "charge or void"
    };
    found.push(Mismatch::of_order(
        Kind::ActionMissing,
        payment.order_id,
        format!("payment {} is {}, and no action is on its way", payment.id, payment.status.as_str()),
        format!("a {action} in payment.work"),
        format!(
            "write the {action} of this order into payment.work; the provider knows it by the order's id and does it once"
        ),
    ));
}
