//! Every event's body, as it stands on the wire, is kept in `golden/`. A change of an event shows up here
//! before it reaches a consumer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

use contracts::events::{
    CancellationReason, DisputeOutcome, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine,
    PaymentCompleted, PaymentDisputeClosed, PaymentDisputed, PaymentFailed, PaymentRefunded,
    RevocationReason, SessionRevoked, UserRegistered,
};
use contracts::{Currency, DisputeId, Event, Fact, Money, OrderId, PaymentId, Topic, UserId};
use serde_json::Value;
use uuid::Uuid;

const ORDER: OrderId = OrderId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0001));
const PAYMENT: PaymentId = PaymentId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0002));
const CUSTOMER: UserId = UserId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0003));
const DISPUTE: DisputeId = DisputeId::new(Uuid::from_u128(0x0193_6d9a_7c00_7000_8000_0000_0000_0005));
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
        Topic::PaymentDisputed => PaymentDisputed {
            payment_id: PAYMENT,
            order_id: ORDER,
            customer_id: CUSTOMER,
            dispute_id: DISPUTE,
            amount: total,
            reason: "fraudulent".into(),
            provider_reference: "dp_1".into(),
        }
        .into(),
        Topic::PaymentDisputeClosed => PaymentDisputeClosed {
            payment_id: PAYMENT,
            order_id: ORDER,
            customer_id: CUSTOMER,
            dispute_id: DISPUTE,
            amount: total,
            outcome: DisputeOutcome::Lost,
            provider_reference: "dp_1".into(),
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

fn directory() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn golden(topic: Topic, major: u32) -> (std::path::PathBuf, String) {
    let path = directory().join(format!("{topic}.v{major}.json"));
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
            if !expected.is_empty() && expected != written {
                keep(&event, &expected);
            }
            std::fs::write(&path, &written).unwrap();
        } else {
            assert_eq!(
                written,
                expected,
                "{} differs; set UPDATE_GOLDEN=1 when that is meant: the old one is kept in golden/past, and must be \
                 read for ever",
                path.display()
            );
        }
    }
}

/// What was on the wire once is in somebody's Kafka still: `golden/past/order.created.v1.2.json`.
fn keep(event: &Event, text: &str) {
    let past = directory().join("past");
    std::fs::create_dir_all(&past).unwrap();
    let free = (1..)
        .map(|number| past.join(format!("{}.v{}.{number}.json", event.topic(), event.major())))
        .find(|path| !path.exists());
    std::fs::write(free.unwrap(), text).unwrap();
}

type Reader = fn(&str) -> Result<Event, serde_json::Error>;

/// How a consumer of today reads a topic's events of one major version. A golden file that nothing here reads fails:
/// a major version that is left behind keeps its type, and its line here.
fn reader(topic: Topic, major: u32) -> Option<Reader> {
    fn read<F: Fact + Into<Event>>(text: &str) -> Result<Event, serde_json::Error> {
        serde_json::from_str::<F>(text).map(Into::into)
    }
    match (topic, major) {
        (Topic::OrderCreated, OrderCreated::MAJOR) => Some(read::<OrderCreated>),
        (Topic::OrderConfirmed, OrderConfirmed::MAJOR) => Some(read::<OrderConfirmed>),
        (Topic::OrderCancelled, OrderCancelled::MAJOR) => Some(read::<OrderCancelled>),
        (Topic::PaymentCompleted, PaymentCompleted::MAJOR) => Some(read::<PaymentCompleted>),
        (Topic::PaymentFailed, PaymentFailed::MAJOR) => Some(read::<PaymentFailed>),
        (Topic::PaymentRefunded, PaymentRefunded::MAJOR) => Some(read::<PaymentRefunded>),
        (Topic::PaymentDisputed, PaymentDisputed::MAJOR) => Some(read::<PaymentDisputed>),
        (Topic::PaymentDisputeClosed, PaymentDisputeClosed::MAJOR) => Some(read::<PaymentDisputeClosed>),
        (Topic::UserRegistered, UserRegistered::MAJOR) => Some(read::<UserRegistered>),
        (Topic::SessionRevoked, SessionRevoked::MAJOR) => Some(read::<SessionRevoked>),
        _ => None,
    }
}

/// Every golden file there is, of today and of the past, with its reader.
fn every_golden() -> Vec<(String, String, Reader)> {
    let past = std::fs::read_dir(directory().join("past")).into_iter().flatten();
    let files = std::fs::read_dir(directory()).unwrap().chain(past);
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (topic, version) = name.strip_suffix(".json").unwrap().split_once(".v").unwrap();
            let major = version.split('.').next().unwrap().parse().unwrap();
            let reader = reader(topic.parse().unwrap(), major)
                .unwrap_or_else(|| panic!("{name}: nothing reads version {major} of {topic} any more"));
            (name, std::fs::read_to_string(&path).unwrap(), reader)
        })
        .collect()
}

#[test]
fn every_golden_file_of_any_time_is_read_by_the_code_of_today() {
    let goldens = every_golden();
    assert!(goldens.len() >= 8);
    for (name, text, read) in goldens {
        let event = read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if name == format!("{}.v{}.json", event.topic(), event.major()) {
            assert_eq!(Some(event.clone()), sample(event.topic()));
        }
        assert!(name.starts_with(event.topic().name()));
    }
}

#[test]
fn members_from_the_future_are_ignored_wherever_they_are() {
    fn grow(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.values_mut().for_each(grow);
                members.insert("from_the_future".into(), serde_json::json!({"points": [12]}));
            }
            Value::Array(items) => items.iter_mut().for_each(grow),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for (name, text, read) in every_golden() {
        let mut body: Value = serde_json::from_str(&text).unwrap();
        grow(&mut body);
        let read_from_grown = read(&body.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read_from_grown, read(&text).unwrap(), "{name}");
    }
}

#[test]
fn what_may_be_absent_may_be_absent() {
    let body = r#"{"user_id":"01936d9a-7c00-7000-8000-000000000003","email":"ada@example.com"}"#;
    let user: UserRegistered = serde_json::from_str(body).unwrap();
    assert_eq!(user.display_name, None);
    assert!(serde_json::from_str::<UserRegistered>(r#"{"email":"ada@example.com"}"#).is_err());
}

/// The schema tells of each golden file's members, and asks for none that it does not have.
#[test]
fn the_schemas_are_those_of_the_golden_files() {
    fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
        let schema = schema["$ref"]
            .as_str()
            .map_or(schema, |target| document.pointer(&target[1..]).unwrap());
        let types = schema["type"].as_array();
        let types = types.cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(
            types.contains(&found.into()),
            "{at}: {found} is none of {types:?}"
        );
        if let Value::Object(members) = value {
            for name in schema["required"].as_array().unwrap() {
                assert!(members.contains_key(name.as_str().unwrap()), "{at}: {name}");
            }
            for (name, member) in members {
                let inside = schema["properties"]
                    .get(name)
                    .unwrap_or_else(|| panic!("{at}/{name}"));
                check(document, inside, member, &format!("{at}/{name}"));
            }
        }
        if let Value::Array(items) = value {
            items
                .iter()
                .for_each(|item| check(document, &schema["items"], item, at));
        }
        if let Some(choices) = schema["enum"].as_array() {
            assert!(choices.contains(value), "{at}: {value}");
        }
    }
    for event in contracts::schema::all().unwrap() {
        let (_, text) = golden(event.topic, event.major);
        let body = serde_json::from_str(&text).unwrap();
        check(&event.schema, &event.schema, &body, &event.message());
    }
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
