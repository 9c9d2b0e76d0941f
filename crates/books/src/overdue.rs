//! What has been on its way for too long. Being in flight is no excuse here.

use chrono::{DateTime, TimeDelta, Utc};

use crate::Kind;
use crate::desk::{Work, consumers};
use crate::index::Index;
use crate::letters::{replay, status_of};
use crate::reading::{Order, OrderStatus};
use crate::report::{Findings, Mismatch};

pub(crate) fn check(index: &Index<'_>, found: &mut Findings) {
    orders(index, found);
    payments(index, found);
    for (service, desk) in &index.reading.desks {
        let waits = desk.outbox.iter().map(|row| row.created_at);
        if let Some(late) = Late::of(index, waits) {
            found.push(late.tell(
                Kind::OutboxOverdue,
                format!("the outbox of {service}"),
                "records that leave within seconds",
                format!(
                    "see {}: is the broker up, has a replica the relay's lead?",
                    status_of(service)
                ),
            ));
        }
        let due = desk.work.iter().filter(|work| work.is_pending());
        if let Some(late) = Late::of(index, due.map(|work| work.next_attempt_at)) {
            found.push(late.tell(
                Kind::WorkOverdue,
                format!("the work of {service}"),
                "work that is taken up when it is due",
                format!(
                    "see {}: is a replica up, is its breaker open?",
                    status_of(service)
                ),
            ));
        }
    }
    for (service, records, oldest) in index.lags() {
        if let Some(mut late) = Late::of(index, std::iter::once(oldest)) {
            late.many = records;
            found.push(late.tell(
                Kind::ConsumerOverdue,
                format!("the consumers of {service}"),
                "records that are consumed within seconds",
                format!(
                    "see {}: is a replica up, is its breaker open?",
                    status_of(service)
                ),
            ));
        }
    }
}

/// What waits for longer than it may.
struct Late {
    many: u64,
    since: DateTime<Utc>,
}

impl Late {
    fn of(index: &Index<'_>, times: impl Iterator<Item = DateTime<Utc>>) -> Option<Self> {
        let limit = index.reading.begun_at - index.limits.backlog;
        times
            .filter(|time| *time < limit)
            .fold(None, |late, time| match late {
                None => Some(Self { many: 1, since: time }),
                Some(late) => Some(Self {
                    many: late.many.saturating_add(1),
                    since: late.since.min(time),
                }),
            })
    }

    fn tell(&self, kind: Kind, subject: String, should: &str, repair: String) -> Mismatch {
        let is = format!("{} waiting, the oldest since {}", self.many, self.since);
        Mismatch::of(kind, subject, is, should, repair)
    }
}

fn is_over(index: &Index<'_>, since: DateTime<Utc>, limit: TimeDelta) -> bool {
    since < index.reading.begun_at - limit
}

/// Whether the order service may not judge the order yet: it has records about payments to read, or a message about the
/// order to apply. Both are reported on their own when they are late. Where its tables are hidden, what was announced of the
/// order's payment tells.
fn is_held_back(index: &Index<'_>, order: &Order) -> bool {
    if index.desks_are_hidden() {
        let mut facts = index.facts_of(order.id).iter();
        return facts.any(|fact| consumers(fact.event.topic()).contains(&"order"));
    }
    let is_parked = |work: &&Work| work.kind == "message" && work.is_pending();
    index.lag_of("order") > 0 || index.work_on_key("order", order.id).iter().any(is_parked)
}

fn orders(index: &Index<'_>, found: &mut Findings) {
    for order in &index.reading.orders {
        let late = is_over(index, order.created_at, index.limits.order_deadline);
        if order.status != OrderStatus::Pending || !late {
            continue;
        }
        let bound = index.limits.order_deadline + index.limits.held_back;
        if is_held_back(index, order) && !is_over(index, order.created_at, bound) {
            continue;
        }
        let repair = replay(index, "payment", order.id)
            .or_else(|| replay(index, "order", order.id))
            .unwrap_or_else(|| {
                format!(
                    "see `held_back` in GET /orders/events/status: its payment may not be read yet; an operator may \
                     cancel it: POST /orders/{}/cancel",
                    order.id
                )
            });
        found.push(Mismatch::of_order(
            Kind::OrderOverdue,
            order.id,
            format!("pending since {}", order.created_at),
            format!(
                "confirmed or cancelled within {} s",
                index.limits.order_deadline.num_seconds()
            ),
            repair,
        ));
    }
}

fn payments(index: &Index<'_>, found: &mut Findings) {
    for payment in &index.reading.payments {
        let late = is_over(index, payment.updated_at, index.limits.payment_deadline);
        if !payment.status.is_open() || !late {
            continue;
        }
        let repair = replay(index, "payment", payment.order_id)
            .unwrap_or_else(|| "see GET /payments/events/status, and the provider".to_owned());
        found.push(Mismatch::of_order(
            Kind::PaymentOverdue,
            payment.order_id,
            format!(
                "payment {} is {} since {}",
                payment.id,
                payment.status.as_str(),
                payment.updated_at
            ),
            format!(
                "a final state within {} s",
                index.limits.payment_deadline.num_seconds()
            ),
            repair,
        ));
    }
}
