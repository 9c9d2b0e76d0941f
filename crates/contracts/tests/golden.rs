//! Every event's body, as it stands on the wire, is kept in `golden/`. A change of an event shows up here
//! before it reaches a consumer.
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use contracts::events::{
    CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, PaymentCompleted,
    PaymentFailed, PaymentRefunded, RevocationReason, SessionRevoked, UserRegistered,
};
use contracts::{Currency, Event, Fact, Money, OrderId, PaymentId, Topic, UserId};
use uuid::Uuid;

const ORDER: OrderId = OrderId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0001));
const PAYMENT: PaymentId = PaymentId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0002));
const CUSTOMER: UserId = UserId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0003));
const SESSION: Uuid = Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0004);

/// Adding a variant without a sample does not compile, and a sample without a golden file fails.
fn sample(topic: Topic) -> Option<Event> {
    let total = Money::new(4997, Currency::EUR);
    Some(match topic {
        Topic::OrderCreated => OrderCreated {
            order_id: ORDER,
            customer_id: CUSTOMER,
            items: vec![
                line("KEYBOARD-TKL", "Tenkeyless keyboard", 1, 2999),
                line("MOUSE-PAD", "Mouse pad", 2, 999),
            ],
            total,
            payment_method: "pm_card_visa".into(),
        }
        .into(),
        Topic::OrderConfirmed => OrderConfirmed {
            order_id: ORDER,
            customer_id: CUSTOMER,
            payment_id: PAYMENT,
            total,
        }
        .into(),
        Topic::OrderCancelled => OrderCancelled {
            order_id: ORDER,
            customer_id: CUSTOMER,
            total,
            reason: CancellationReason::PaymentFailed,
            code: Some("card_declined".into()),
        }
        .into(),
        Topic::PaymentCompleted => PaymentCompleted {
            payment_id: PAYMENT,
            order_id: ORDER,
            customer_id: CUSTOMER,
            amount: total,
            provider: "simulated".into(),
            provider_reference: "sim_ch_1".into(),
        }
        .into(),
        Topic::PaymentFailed => PaymentFailed {
            payment_id: PAYMENT,
            order_id: ORDER,
            customer_id: CUSTOMER,
            amount: total,
            failure_code: "card_declined".into(),
        }
        .into(),
        Topic::PaymentRefunded => PaymentRefunded {
            payment_id: PAYMENT,
            order_id: ORDER,
            customer_id: CUSTOMER,
            amount: total,
            refund_reference: "sim_re_1".into(),
        }
        .into(),
        Topic::UserRegistered => UserRegistered {
            user_id: CUSTOMER,
            email: "ada@example.com".into(),
            display_name: Some("Ada".into()),
        }
        .into(),
        Topic::SessionRevoked => SessionRevoked {
            user_id: CUSTOMER,
            session_id: Some(SESSION),
            revoked_at: "2026-11-21T10:00:00Z".parse().unwrap(),
            reason: RevocationReason::Logout,
        }
        .into(),
        Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => return None,
    })
}

fn line(sku: &str, name: &str, quantity: i32, minor: i64) -> OrderLine {
    OrderLine {
        sku: sku.into(),
        name: name.into(),
        quantity,
        unit_price: Money::new(minor, Currency::EUR),
    }
}

fn golden(topic: Topic, major: u32) -> (std::path::PathBuf, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{topic}.v{major}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, text)
}

#[test]
fn every_event_is_written_as_its_golden_file_says() {
    for event in Topic::ALL.into_iter().filter_map(sample) {
        let (path, expected) = golden(event.topic(), event.major());
        let written = serde_json::to_string_pretty(&event).unwrap() + "\n";
        #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting")]
        let update = std::env::var_os("UPDATE_GOLDEN").is_some();
        if update {
            std::fs::write(&path, &written).unwrap();
        } else {
            assert_eq!(
                written,
                expected,
                "{} differs; set UPDATE_GOLDEN=1 when that is meant",
                path.display()
            );
        }
    }
}

#[test]
fn every_golden_file_is_read_by_the_code_of_today() {
    fn read<F: Fact + PartialEq + std::fmt::Debug + Into<Event>>() {
        let (path, text) = golden(F::TOPIC, F::MAJOR);
        let fact: F =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(Some(fact.into()), sample(F::TOPIC));
    }
    read::<OrderCreated>();
    read::<OrderConfirmed>();
    read::<OrderCancelled>();
    read::<PaymentCompleted>();
    read::<PaymentFailed>();
    read::<PaymentRefunded>();
    read::<UserRegistered>();
    read::<SessionRevoked>();
}

#[test]
fn a_field_from_the_future_is_ignored() {
    let (_, text) = golden(Topic::OrderConfirmed, 1);
    let mut body: serde_json::Value = serde_json::from_str(&text).unwrap();
    body["loyalty_points"] = 12.into();
    assert!(serde_json::from_value::<OrderConfirmed>(body).is_ok());
}

#[test]
fn an_event_travels_on_the_topic_it_is_named_after() {
    for event in Topic::ALL.into_iter().filter_map(sample) {
        let is_about_the_order =
            event.topic().name().starts_with("order.") || event.topic().name().starts_with("payment.");
        let expected = if is_about_the_order {
            ORDER.uuid()
        } else {
            CUSTOMER.uuid()
        };
        assert_eq!(event.key(), expected, "{}", event.topic());
    }
}
