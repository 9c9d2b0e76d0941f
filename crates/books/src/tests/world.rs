//! Books that balance.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::events::{
    CancellationReason, DisputeOutcome, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine,
    PaymentCompleted, PaymentDisputeClosed, PaymentDisputed, PaymentFailed, PaymentRefunded, UserRegistered,
};
use contracts::{Currency, DisputeId, Event, Money, OrderId, PaymentId, UserId};
use uuid::{NoContext, Timestamp, Uuid};

use crate::Desk;
use crate::desk::{Work, consumers};
use crate::reading::*;

pub(super) const PRICE: i64 = 1999;

/// Books as they were read, and a clock for what is put into them.
pub(super) struct World {
    pub(super) reading: Reading,
    clock: DateTime<Utc>,
}

pub(super) fn at(time: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(time.timestamp()).unwrap();
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        time.timestamp_subsec_nanos(),
    ))
}

fn eur() -> Amount {
    Amount::new(PRICE, "EUR")
}

fn money() -> Money {
    Money::new(PRICE, Currency::EUR)
}

impl World {
    /// Nothing at all, read at noon.
    pub(super) fn empty() -> Self {
        let noon: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let services = ["auth", "gateway", "notification", "order", "payment"];
        let desks = services.map(|name| (name.to_owned(), Desk::default()));
        Self {
            clock: noon - TimeDelta::minutes(10),
            reading: Reading {
                begun_at: noon,
                ended_at: noon + TimeDelta::seconds(1),
                orders: Vec::new(),
                payments: Vec::new(),
                disputes: Vec::new(),
                charges: Some(Vec::new()),
                users: Some(Vec::new()),
                order_facts: Some(Vec::new()),
                notifications: Some(Vec::new()),
                deliveries: Some(Vec::new()),
                timeline: Some(Vec::new()),
                facts: Vec::new(),
                facts_from: FactsFrom::Topics,
                dead_letters: Vec::new(),
                unreadable: Vec::new(),
                unreadable_entries: 0,
                desks: BTreeMap::from(desks),
                accepted: HashSet::new(),
                horizon: None,
                letters_horizon: None,
                notes: Vec::new(),
            },
        }
    }

    /// A user whose orders were: 0 confirmed, 1 declined, 2 paid and taken back, 3 not answered by the provider. Of order 0 a
    /// dispute was lost, and of order 2 one is open.
    pub(super) fn of_every_ending() -> Self {
        let mut world = Self::empty();
        let user = world.user();
        world.confirmed(user);
        world.declined(user);
        world.refunded(user);
        world.disputed(0, Some(DisputeOutcome::Lost));
        world.disputed(2, None);
        world.stuck(user);
        world
    }

    pub(super) fn tick(&mut self) -> DateTime<Utc> {
        self.clock += TimeDelta::milliseconds(5);
        self.clock
    }

    pub(super) fn desk(&mut self, service: &str) -> &mut Desk {
        self.reading.desks.get_mut(service).unwrap()
    }

    pub(super) fn user(&mut self) -> Uuid {
        let now = self.tick();
        let id = at(now);
        self.reading.users.as_mut().unwrap().push(User {
            id,
            announced: 1,
            created_at: now,
            updated_at: now,
        });
        let fact = UserRegistered {
            user_id: UserId::new(id),
            email: "a@example.org".to_owned(),
            display_name: None,
        };
        self.announce("auth", 1, at(now), at(now), fact.into());
        id
    }

    /// Publishes a fact, and lets everybody consume it.
    pub(super) fn announce(
        &mut self,
        source: &str,
        sequence: u64,
        saga: Uuid,
        cause: Uuid,
        event: Event,
    ) -> Uuid {
        let time = self.tick();
        let id = at(time);
        let key = event.key();
        let topic = event.topic();
        let place = self.place(topic.name());
        for service in consumers(topic) {
            self.desk(service).processed.insert(id);
        }
        let of_saga = !matches!(event, Event::UserRegistered(_));
        if consumers(topic).contains(&"notification") {
            let kind = if of_saga {
                topic.name().replace('.', "_")
            } else {
                "welcome".to_owned()
            };
            let user_id = if of_saga { self.customer(key) } else { key };
            self.reading.notifications.as_mut().unwrap().push(Notification {
                id,
                user_id,
                order_id: of_saga.then_some(key),
                kind,
                created_at: time,
            });
        }
        if source == "order" {
            self.reading.order_facts.as_mut().unwrap().push(OrderFact {
                order_id: key,
                sequence,
                event: Some(event.clone()),
            });
        }
        self.reading.timeline.as_mut().unwrap().push(TimelineRow {
            event_id: id,
            order_id: of_saga.then_some(key),
            topic: topic.name().to_owned(),
            source: source.to_owned(),
            causation_id: cause,
            correlation_id: saga,
            sequence,
            event: of_saga.then(|| event.clone()),
            recorded_at: time,
        });
        self.reading.facts.push(Fact {
            id,
            source: source.to_owned(),
            key,
            sequence,
            time,
            correlation_id: saga,
            causation_id: cause,
            event,
            places: vec![place],
        });
        id
    }

    /// The next place on a topic, consumed by everybody.
    pub(super) fn place(&mut self, topic: &str) -> Place {
        let mut next = HashMap::new();
        for service in consumers(topic.parse().unwrap()) {
            let committed = self
                .desk(service)
                .committed
                .entry((topic.to_owned(), 0))
                .or_default();
            *committed += 1;
            next.insert(*service, *committed);
        }
        Place {
            topic: topic.to_owned(),
            partition: 0,
            offset: next["gateway"] - 1,
        }
    }

    fn customer(&self, order: Uuid) -> Uuid {
        let order = self.reading.orders.iter().find(|row| row.id == order);
        order.unwrap().customer_id
    }

    fn placed(&mut self, customer: Uuid) -> (Uuid, Uuid) {
        let now = self.tick();
        let id = at(now);
        self.reading.orders.push(Order {
            id,
            customer_id: customer,
            status: OrderStatus::Pending,
            lines: vec![Line {
                sku: "CABLE-USBC".to_owned(),
                quantity: 1,
                unit_price: eur(),
            }],
            total: eur(),
            payment_method: "pm".to_owned(),
            payment_id: None,
            reason: None,
            code: None,
            refunded: false,
            announced: Some(1),
            created_at: now,
            updated_at: now,
        });
        let created = OrderCreated {
            order_id: OrderId::new(id),
            customer_id: UserId::new(customer),
            items: vec![OrderLine {
                sku: "CABLE-USBC".to_owned(),
                name: "Cable".to_owned(),
                quantity: 1,
                unit_price: money(),
            }],
            total: money(),
            payment_method: "pm".to_owned(),
        };
        self.reading.accepted.insert(id);
        let event = self.announce("order", 1, id, at(now), created.into());
        self.reading.payments.push(Payment {
            id: at(now),
            order_id: id,
            customer_id: customer,
            amount: eur(),
            status: PaymentStatus::Processing,
            provider: "simulated".to_owned(),
            provider_reference: None,
            refund_reference: None,
            failure_code: None,
            announced: Some(0),
            created_at: now,
            updated_at: now,
        });
        self.reading.charges.as_mut().unwrap().push(Charge {
            idempotency_key: id.to_string(),
            amount: eur(),
            status: "open".to_owned(),
            reference: None,
            failure_code: None,
            refund_reference: None,
            created_at: now,
        });
        (id, event)
    }

    fn last(&mut self) -> (&mut Order, &mut Payment, &mut Charge) {
        let reading = &mut self.reading;
        (
            reading.orders.last_mut().unwrap(),
            reading.payments.last_mut().unwrap(),
            reading.charges.as_mut().unwrap().last_mut().unwrap(),
        )
    }

    pub(super) fn confirmed(&mut self, customer: Uuid) -> Uuid {
        let (id, created) = self.placed(customer);
        let reference = format!("ch_{id}");
        let (order, payment, charge) = self.last();
        payment.status = PaymentStatus::Completed;
        payment.provider_reference = Some(reference.clone());
        payment.announced = Some(1);
        order.status = OrderStatus::Confirmed;
        order.payment_id = Some(payment.id);
        order.announced = Some(2);
        charge.status = "approved".to_owned();
        charge.reference = Some(reference.clone());
        let payment_id = PaymentId::new(payment.id);
        let (order_id, customer_id) = (OrderId::new(id), UserId::new(customer));
        let completed = PaymentCompleted {
            payment_id,
            order_id,
            customer_id,
            amount: money(),
            provider: "simulated".to_owned(),
            provider_reference: reference,
        };
        let paid = self.announce("payment", 1, id, created, completed.into());
        let confirmed = OrderConfirmed {
            order_id,
            customer_id,
            payment_id,
            total: money(),
        };
        self.announce("order", 2, id, paid, confirmed.into());
        id
    }

    fn declined(&mut self, customer: Uuid) {
        let (id, created) = self.placed(customer);
        let code = "card_declined".to_owned();
        let (order, payment, charge) = self.last();
        payment.status = PaymentStatus::Failed;
        payment.failure_code = Some(code.clone());
        payment.announced = Some(1);
        order.status = OrderStatus::Cancelled;
        order.reason = Some("payment_failed".to_owned());
        order.code = Some(code.clone());
        order.announced = Some(2);
        charge.status = "declined".to_owned();
        charge.failure_code = Some(code.clone());
        let failed = PaymentFailed {
            payment_id: PaymentId::new(payment.id),
            order_id: OrderId::new(id),
            customer_id: UserId::new(customer),
            amount: money(),
            failure_code: code.clone(),
        };
        let failed = self.announce("payment", 1, id, created, failed.into());
        self.cancelled(
            id,
            customer,
            2,
            failed,
            CancellationReason::PaymentFailed,
            Some(code),
        );
    }

    fn cancelled(
        &mut self,
        id: Uuid,
        customer: Uuid,
        sequence: u64,
        cause: Uuid,
        reason: CancellationReason,
        code: Option<String>,
    ) -> Uuid {
        let cancelled = OrderCancelled {
            order_id: OrderId::new(id),
            customer_id: UserId::new(customer),
            total: money(),
            reason,
            code,
        };
        self.announce("order", sequence, id, cause, cancelled.into())
    }

    fn refunded(&mut self, customer: Uuid) {
        let id = self.confirmed(customer);
        let request = at(self.tick());
        let cause = self.cancelled(
            id,
            customer,
            3,
            request,
            CancellationReason::CustomerRequest,
            None,
        );
        let (order, payment, charge) = self.last();
        order.status = OrderStatus::Cancelled;
        order.reason = Some("customer_request".to_owned());
        order.refunded = true;
        order.announced = Some(3);
        payment.status = PaymentStatus::Refunded;
        payment.refund_reference = Some("re".to_owned());
        payment.announced = Some(2);
        charge.refund_reference = Some("re".to_owned());
        let refunded = PaymentRefunded {
            payment_id: PaymentId::new(payment.id),
            order_id: OrderId::new(id),
            customer_id: UserId::new(customer),
            amount: money(),
            refund_reference: "re".to_owned(),
        };
        self.announce("payment", 2, id, cause, refunded.into());
    }

    /// The payment of that place is disputed, and the dispute ends so; or it does not end.
    pub(super) fn disputed(&mut self, payment: usize, outcome: Option<DisputeOutcome>) {
        let now = self.tick();
        let id = at(now);
        let payment = &mut self.reading.payments[payment];
        let (order, payment_id, customer) = (payment.order_id, payment.id, payment.customer_id);
        let first = payment.announced.unwrap() + 1;
        payment.announced = Some(first + u64::from(outcome.is_some()));
        self.reading.disputes.push(Dispute {
            id,
            payment_id,
            order_id: order,
            amount: eur(),
            status: outcome
                .map_or("needs_response", DisputeOutcome::as_str)
                .to_owned(),
            reason: Some("fraudulent".to_owned()),
            respond_by: Some(now + TimeDelta::days(7)),
            provider_reference: Some("dp".to_owned()),
            created_at: now,
            updated_at: now,
        });
        let (payment_id, order_id) = (PaymentId::new(payment_id), OrderId::new(order));
        let (customer_id, dispute_id) = (UserId::new(customer), DisputeId::new(id));
        let disputed = PaymentDisputed {
            payment_id,
            order_id,
            customer_id,
            dispute_id,
            amount: money(),
            reason: "fraudulent".to_owned(),
            provider_reference: "dp".to_owned(),
        };
        self.announce("payment", first, order, at(now), disputed.into());
        if let Some(outcome) = outcome {
            let closed = PaymentDisputeClosed {
                payment_id,
                order_id,
                customer_id,
                dispute_id,
                amount: money(),
                outcome,
                provider_reference: "dp".to_owned(),
            };
            self.announce("payment", first + 1, order, at(now), closed.into());
        }
    }

    fn stuck(&mut self, customer: Uuid) {
        let (id, created) = self.placed(customer);
        let time = self.tick();
        let work_id = at(time);
        let record_id = at(time);
        self.desk("payment").work.push(Work {
            id: work_id,
            kind: "action".to_owned(),
            name: "charge".to_owned(),
            key: Some(id.to_string()),
            event_id: Some(created),
            state: "dead".to_owned(),
            origin_topic: None,
            origin_partition: None,
            origin_offset: None,
            next_attempt_at: time,
            last_failed_at: Some(time),
        });
        let place = self.place("payment.failed.dlq");
        self.desk("gateway").processed.insert(record_id);
        self.reading.timeline.as_mut().unwrap().push(TimelineRow {
            event_id: record_id,
            order_id: Some(id),
            topic: place.topic.clone(),
            source: "payment".to_owned(),
            causation_id: created,
            correlation_id: id,
            sequence: 0,
            event: None,
            recorded_at: time,
        });
        self.reading.dead_letters.push(DeadLetter {
            record_id,
            service: "payment".to_owned(),
            work_id,
            kind: "action".to_owned(),
            name: "charge".to_owned(),
            key: Some(id),
            event_id: Some(created),
            time,
            places: vec![place],
        });
    }
}
