//! What the services show and what was announced, to be compared.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{EventId, OrderId, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use gateway::domain::entry::Entry;
use gateway::store::timeline::TimelineRepository;
use messaging::{Change, Repository};
use serde_json::{Value, json};
use uuid::{NoContext, Timestamp, Uuid};

use super::PATH;
use crate::harness::upstream::documents;
use crate::harness::{Behaviour, Gateway, token};

/// What the services show, and what was announced.
#[derive(Default)]
pub(super) struct World {
    pub(super) orders: Vec<Value>,
    pub(super) payments: Vec<Value>,
    /// Open ones of payments that are in no window.
    pub(super) old_disputes: Vec<Value>,
    pub(super) entries: Vec<Entry>,
}

pub(super) fn id(at: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(at.timestamp()).unwrap();
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        seconds,
        at.timestamp_subsec_nanos(),
    ))
}

pub(super) fn ago(seconds: i64) -> DateTime<Utc> {
    chassis::clock::now() - TimeDelta::seconds(seconds)
}

pub(super) fn eur() -> Value {
    json!({"amount_minor": 1999, "currency": "EUR"})
}

pub(super) fn dispute(dispute: Uuid, payment: &Value, order: &Value, outcome: Option<&str>) -> Value {
    json!({
        "id": dispute, "payment_id": payment, "order_id": order, "amount": eur(),
        "status": outcome.unwrap_or("needs_response"), "reason": "fraudulent", "respond_by": "2036-01-01T00:00:00Z",
        "funds": "withdrawn", "provider_reference": "dp_1", "opened_at": ago(50), "closed_at": outcome.map(|_| ago(45)),
        "created_at": ago(40), "updated_at": ago(40),
    })
}

impl World {
    pub(super) fn announce(
        &mut self,
        order: Uuid,
        sequence: i64,
        at: DateTime<Utc>,
        cause: Uuid,
        kind: &str,
        data: Value,
    ) -> Uuid {
        let event = id(at);
        let mut body = json!({"order_id": order, "customer_id": token::CUSTOMER});
        body.as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        self.entries.push(Entry {
            event_id: EventId::new(event),
            order_id: Some(OrderId::new(order)),
            customer_id: Some(UserId::new(token::CUSTOMER.parse().unwrap())),
            kind: kind.to_owned(),
            source: kind.split('.').next().unwrap().to_owned(),
            occurred_at: at,
            causation_id: cause,
            correlation_id: order,
            sequence,
            data: body,
        });
        event
    }

    /// An order that was placed so long ago, with its payment.
    pub(super) fn order(
        &mut self,
        seconds: i64,
        status: &str,
        cancellation: Value,
        payment: &str,
        code: Option<&str>,
    ) -> Uuid {
        let at = ago(seconds);
        let (order, payment_id) = (id(at), id(at + TimeDelta::milliseconds(5)));
        let line = json!({"sku": "CABLE-USBC", "name": "Cable", "quantity": 1, "unit_price": eur()});
        self.orders.insert(0, json!({
            "id": order, "customer_id": token::CUSTOMER, "status": status, "items": [line], "total": eur(),
            "cancellation": cancellation, "payment_method": "pm", "created_at": at, "updated_at": at, "version": 2,
        }));
        let taken = payment == "completed";
        self.payments.insert(0, json!({
            "id": payment_id, "order_id": order, "customer_id": token::CUSTOMER, "amount": eur(), "status": payment,
            "provider": "simulated", "provider_reference": taken.then_some("ch"), "refund_reference": null,
            "failure_code": code, "payment_method": "pm", "attempts": 1, "disputes": [], "created_at": at,
            "updated_at": at, "version": 2,
        }));
        let created = json!({"items": [line], "total": eur(), "payment_method": "pm"});
        let created = self.announce(order, 1, at, id(at), "order.created", created);
        let mut paid = json!({"payment_id": payment_id, "amount": eur()});
        match payment {
            "completed" => {
                paid["provider"] = json!("simulated");
                paid["provider_reference"] = json!("ch");
                let paid = self.announce(order, 1, at, created, "payment.completed", paid);
                let confirmed = json!({"payment_id": payment_id, "total": eur()});
                self.announce(order, 2, at, paid, "order.confirmed", confirmed);
            }
            "failed" => {
                paid["failure_code"] = json!(code);
                let failed = self.announce(order, 1, at, created, "payment.failed", paid);
                let cancelled = json!({"total": eur(), "reason": "payment_failed", "code": code});
                self.announce(order, 2, at, failed, "order.cancelled", cancelled);
            }
            _ => {}
        }
        order
    }

    pub(super) fn confirmed(&mut self, seconds: i64) -> Uuid {
        self.order(seconds, "confirmed", Value::Null, "completed", None)
    }

    pub(super) fn declined(&mut self, seconds: i64) -> Uuid {
        let cancellation = json!({"reason": "payment_failed", "code": "card_declined", "refunded": false});
        self.order(
            seconds,
            "cancelled",
            cancellation,
            "failed",
            Some("card_declined"),
        )
    }

    /// One of each ending, and one that waits for the provider.
    pub(super) fn of_every_ending() -> Self {
        let mut world = Self::default();
        world.confirmed(300);
        world.declined(200);
        world.order(100, "pending", Value::Null, "processing", None);
        world
    }

    /// The newest payment is disputed, and the dispute ends so; or it does not end.
    pub(super) fn disputed(&mut self, outcome: Option<&str>) -> Uuid {
        let payment = &self.payments[0];
        let order: Uuid = payment["order_id"].as_str().unwrap().parse().unwrap();
        let dispute = dispute(id(ago(40)), &payment["id"], &payment["order_id"], outcome);
        let said = json!({
            "payment_id": payment["id"], "dispute_id": dispute["id"], "amount": eur(), "reason": "fraudulent",
            "provider_reference": "dp_1", "outcome": outcome,
        });
        let dispute_id = dispute["id"].as_str().unwrap().parse().unwrap();
        self.payments[0]["disputes"] = json!([dispute]);
        self.announce(order, 2, ago(40), order, "payment.disputed", said.clone());
        if outcome.is_some() {
            self.announce(order, 3, ago(39), order, "payment.dispute_closed", said);
        }
        dispute_id
    }

    /// A dead letter of a service about an order.
    pub(super) fn letter(&mut self, service: &str, order: Uuid) {
        let data = json!({"dead_letter_id": Uuid::new_v4(), "kind": "action", "name": "charge"});
        let topic = format!("{service}.failed.dlq");
        self.announce(order, 0, ago(50), order, &topic, data);
    }

    pub(super) async fn shown(self) -> Gateway {
        let list = |items: &[Value]| json!({"items": items, "next_cursor": null}).to_string();
        let status = |rows: i64, pending: i64, dead: i64| {
            let outbox = json!({"rows": rows, "oldest_age_seconds": 0.5});
            json!({"outbox": outbox, "pending": pending, "dead_letters": dead, "breaker": "closed"})
                .to_string()
        };
        let (orders, payments, disputes) =
            (list(&self.orders), list(&self.payments), list(&self.old_disputes));
        let services = documents(&[
            ("/orders", 200, &orders),
            ("/payments", 200, &payments),
            ("/payments/disputes", 200, &disputes),
            ("/orders/events/status", 200, &status(7, 0, 0)),
            ("/payments/events/status", 200, &status(0, 3, 2)),
            ("/auth/events/status", 200, &status(0, 0, 0)),
            ("/notifications/events/status", 503, "{}"),
        ]);
        self.shown_by(services).await
    }

    pub(super) async fn shown_by(self, services: Behaviour) -> Gateway {
        let gateway = Gateway::before(services).await;
        let mut connection = AsyncPgConnection::establish(gateway.database_url())
            .await
            .unwrap();
        let change = |state: Entry| Change {
            id: state.event_id.uuid(),
            version: 1,
            state,
        };
        let changes: Vec<_> = self.entries.into_iter().map(change).collect();
        TimelineRepository.save(&mut connection, &changes).await.unwrap();
        gateway
    }

    pub(super) async fn report(self) -> Value {
        let answer = self.shown().await.admin().get(PATH).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}
