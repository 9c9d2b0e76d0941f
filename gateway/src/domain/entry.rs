//! One event as the timeline keeps it, and what of it is shown to whom.

use chrono::{DateTime, Utc};
use contracts::{Aggregate, EventId, NoAction, OrderId, Reaction, Topic, Transition, UserId};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::timeline::Position;

/// What a customer sees of a dispute.
const OF_A_DISPUTE: [&str; 6] = [
    "payment_id",
    "order_id",
    "customer_id",
    "dispute_id",
    "amount",
    "outcome",
];

/// One event. It never changes once it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The event.
    pub event_id: EventId,
    /// The order it is about, unless it is about an account.
    pub order_id: Option<OrderId>,
    /// Whose order or account, where the event says so.
    pub customer_id: Option<UserId>,
    /// The topic's name: `order.created`, `payment.failed.dlq`.
    pub kind: String,
    /// The service that announced it.
    pub source: String,
    /// When it was announced.
    pub occurred_at: DateTime<Utc>,
    /// The event or request that led to it.
    pub causation_id: Uuid,
    /// Constant over the saga.
    pub correlation_id: Uuid,
    /// Its number among the events of its aggregate.
    pub sequence: i64,
    /// The body of a fact; the circumstances of a dead letter.
    pub data: Value,
}

/// An entry announces nothing.
impl Aggregate for Entry {
    fn next_sequence(&mut self) -> u64 {
        0
    }
}

impl Entry {
    /// Where it stands in its saga.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            event_id: self.event_id,
            causation_id: self.causation_id,
            occurred_at: self.occurred_at,
            sequence: self.sequence,
        }
    }

    /// The data as somebody without a role in operations may see it: of a dead letter only that there is one, what
    /// about, and how often it was tried; of a dispute how it stands, and not what the bank says. What a dead letter died of
    /// is the inside of a service.
    #[must_use]
    pub fn public_data(&self) -> Value {
        let of_disputes = [Topic::PaymentDisputed, Topic::PaymentDisputeClosed];
        let members: &[&str] = if self.kind.ends_with(".dlq") {
            &["name", "retries"]
        } else if of_disputes.iter().any(|topic| topic.name() == self.kind) {
            &OF_A_DISPUTE
        } else {
            return self.data.clone();
        };
        let shown = |name: &&str| Some(((*name).to_owned(), self.data.get(*name)?.clone()));
        Value::Object(members.iter().filter_map(shown).collect())
    }
}

/// Records an entry, once.
///
/// # Errors
/// None: whatever was announced is worth telling.
pub fn record(recorded: Option<Entry>, entry: Entry) -> Reaction<Entry, NoAction> {
    Ok(match recorded {
        Some(_) => contracts::Step::Unchanged,
        None => Transition::to(entry).into(),
    })
}

/// The order that a fact is about; `subject` is the topic that a dead letter died on, or the action.
#[must_use]
pub fn order_of(topic: Topic, subject: Option<&str>, key: Option<Uuid>) -> Option<OrderId> {
    match topic {
        Topic::OrderCreated
        | Topic::OrderConfirmed
        | Topic::OrderCancelled
        | Topic::PaymentCompleted
        | Topic::PaymentFailed
        | Topic::PaymentRefunded
        | Topic::PaymentDisputed
        | Topic::PaymentDisputeClosed => key.map(OrderId::new),
        Topic::UserRegistered | Topic::SessionRevoked => None,
        Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => match subject.map(str::parse) {
            Some(Ok(Topic::UserRegistered | Topic::SessionRevoked)) | None => None,
            Some(_) => key.map(OrderId::new),
        },
    }
}

/// What of a fact's body is kept: all about orders and payments, of accounts only whose they are. The timeline is
/// no place for e-mail addresses.
#[must_use]
pub fn kept(topic: Topic, body: Value) -> Value {
    match (topic, body) {
        (Topic::UserRegistered | Topic::SessionRevoked, Value::Object(mut body)) => {
            let user = body.remove_entry("user_id");
            Value::Object(user.into_iter().collect::<Map<_, _>>())
        }
        (_, body) => body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::Step;
    use serde_json::json;

    fn entry(kind: &str, data: Value) -> Entry {
        Entry {
            event_id: EventId::new(Uuid::from_u128(1)),
            order_id: None,
            customer_id: None,
            kind: kind.to_owned(),
            source: "payment".to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            causation_id: Uuid::from_u128(2),
            correlation_id: Uuid::from_u128(3),
            sequence: 1,
            data,
        }
    }

    #[test]
    fn an_event_is_recorded_once() {
        let event = entry("order.created", json!({}));
        let Ok(Step::Next(first)) = record(None, event.clone()) else {
            panic!("not recorded")
        };
        assert_eq!(first.state, event);
        assert_eq!(record(Some(first.state), event), Ok(Step::Unchanged));
    }

    #[test]
    fn the_owner_sees_facts_whole_and_dead_letters_in_outline() {
        let fact = entry("payment.failed", json!({"failure_code": "card_declined"}));
        assert_eq!(fact.public_data(), fact.data);
        let details =
            json!({"name": "charge", "error_class": "provider", "retries": 3, "error_message": "10.0.0.7"});
        assert_eq!(
            entry("payment.failed.dlq", details).public_data(),
            json!({"name": "charge", "retries": 3})
        );
    }

    #[test]
    fn the_owner_sees_how_a_dispute_stands_and_not_what_the_bank_says() {
        let said = json!({"dispute_id": "d", "amount": {"amount_minor": 5}, "reason": "fraudulent",
            "provider_reference": "dp_1"});
        assert_eq!(
            entry("payment.disputed", said).public_data(),
            json!({"dispute_id": "d", "amount": {"amount_minor": 5}})
        );
        let said = json!({"dispute_id": "d", "outcome": "lost", "provider_reference": "dp_1"});
        assert_eq!(
            entry("payment.dispute_closed", said).public_data(),
            json!({"dispute_id": "d", "outcome": "lost"})
        );
    }

    #[test]
    fn what_is_about_an_order_is_told_apart() {
        let key = Some(Uuid::from_u128(7));
        let order = key.map(OrderId::new);
        assert_eq!(order_of(Topic::PaymentFailed, None, key), order);
        assert_eq!(order_of(Topic::PaymentFailed, None, None), None);
        assert_eq!(order_of(Topic::UserRegistered, None, key), None);
        assert_eq!(order_of(Topic::PaymentDeadLetters, Some("charge"), key), order);
        assert_eq!(
            order_of(Topic::NotificationDeadLetters, Some("order.created"), key),
            order
        );
        assert_eq!(
            order_of(Topic::NotificationDeadLetters, Some("user.registered"), key),
            None
        );
    }

    #[test]
    fn no_personal_data_of_accounts_is_kept() {
        let body = json!({"user_id": "u", "email": "a@example.org", "display_name": "A"});
        assert_eq!(kept(Topic::UserRegistered, body.clone()), json!({"user_id": "u"}));
        assert_eq!(kept(Topic::OrderCreated, body.clone()), body);
    }
}
