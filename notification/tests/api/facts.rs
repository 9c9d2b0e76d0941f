//! Facts as other services announce them, as records on Kafka.

use std::time::Duration;

use chassis::clock;
use contracts::events::{
    CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, PaymentCompleted,
    PaymentFailed, PaymentRefunded, UserRegistered,
};
use contracts::{Currency, Envelope, Event, EventId, Money, OrderId, PaymentId, UserId};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

const PRICE: Money = Money::new(1_999, Currency::EUR);

/// An event on its way.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub(crate) envelope: Envelope,
    pub(crate) event: Event,
}

/// Announces a fact, which has just happened.
pub(crate) fn announce(event: impl Into<Event>) -> Announced {
    let event = event.into();
    Announced {
        envelope: Envelope {
            id: EventId::new(clock::new_id()),
            name: event.topic().name().to_owned(),
            major: event.major(),
            source: "test".to_owned(),
            time: clock::now(),
            key: event.key(),
            sequence: 1,
            correlation_id: event.key(),
            causation_id: clock::new_id(),
            traceparent: None,
            tracestate: None,
        },
        event,
    }
}

/// Writes the event to its topic, as often as asked.
pub(crate) async fn deliver(producer: &FutureProducer, announced: &Announced, times: usize) {
    let key = announced.envelope.key.to_string();
    let payload = serde_json::to_vec(&announced.event).unwrap();
    let headers = announced.envelope.to_headers();
    let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        let value = Some(value);
        headers.insert(Header { key, value })
    });
    for _ in 0..times {
        let record = FutureRecord::to(announced.event.topic().name())
            .key(&key)
            .payload(&payload)
            .headers(headers.clone());
        producer.send(record, Duration::from_secs(20)).await.unwrap();
    }
}

/// One fact of each kind that the service tells, all of one user and one order.
pub(crate) fn every_fact(user_id: UserId, order_id: OrderId) -> Vec<Announced> {
    let (customer_id, payment_id) = (user_id, PaymentId::new(clock::new_id()));
    let line = OrderLine {
        sku: "CABLE-USBC".to_owned(),
        name: "USB-C cable, 2 m".to_owned(),
        quantity: 1,
        unit_price: PRICE,
    };
    vec![
        announce(UserRegistered {
            user_id,
            email: "ada@example.org".to_owned(),
            display_name: Some("Ada".to_owned()),
        }),
        announce(OrderCreated {
            order_id,
            customer_id,
            items: vec![line],
            total: PRICE,
            payment_method: "pm_card_visa".to_owned(),
        }),
        announce(PaymentCompleted {
            payment_id,
            order_id,
            customer_id,
            amount: PRICE,
            provider: "simulated".to_owned(),
            provider_reference: "ch_1".to_owned(),
        }),
        announce(OrderConfirmed {
            order_id,
            customer_id,
            payment_id,
            total: PRICE,
        }),
        announce(PaymentFailed {
            payment_id,
            order_id,
            customer_id,
            amount: PRICE,
            failure_code: "card_declined".to_owned(),
        }),
        announce(OrderCancelled {
            order_id,
            customer_id,
            total: PRICE,
            reason: CancellationReason::CustomerRequest,
            code: None,
        }),
        announce(PaymentRefunded {
            payment_id,
            order_id,
            customer_id,
            amount: PRICE,
            refund_reference: "re_1".to_owned(),
        }),
    ]
}
