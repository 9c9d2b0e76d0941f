//! Facts from their bodies.

use contracts::events::{
    OrderCancelled, OrderConfirmed, OrderCreated, PaymentCompleted, PaymentFailed, PaymentRefunded,
    SessionRevoked, UserRegistered,
};
use contracts::{Event, Fact, Topic};
use serde_json::{Error, Value};

/// The fact in a body on `topic`; none on topics of dead letters.
///
/// # Errors
/// When the body is not such a fact.
pub fn event(topic: Topic, body: Value) -> Result<Option<Event>, Error> {
    fn read<F: Fact + Into<Event>>(body: Value) -> Result<Option<Event>, Error> {
        serde_json::from_value::<F>(body).map(|fact| Some(fact.into()))
    }
    match topic {
        Topic::OrderCreated => read::<OrderCreated>(body),
        Topic::OrderConfirmed => read::<OrderConfirmed>(body),
        Topic::OrderCancelled => read::<OrderCancelled>(body),
        Topic::PaymentCompleted => read::<PaymentCompleted>(body),
        Topic::PaymentFailed => read::<PaymentFailed>(body),
        Topic::PaymentRefunded => read::<PaymentRefunded>(body),
        Topic::UserRegistered => read::<UserRegistered>(body),
        Topic::SessionRevoked => read::<SessionRevoked>(body),
        Topic::AuthDeadLetters
        | Topic::GatewayDeadLetters
        | Topic::NotificationDeadLetters
        | Topic::OrderDeadLetters
        | Topic::PaymentDeadLetters => Ok(None),
    }
}
