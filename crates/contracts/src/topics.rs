//! The Kafka topics of the platform. They are created by an explicit command, never by a producer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A topic. Data topics are named after the fact they carry; a `.failed.dlq` topic after the service that
/// gave up on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// An order was placed.
    OrderCreated,
    /// An order's payment arrived.
    OrderConfirmed,
    /// An order ended without being fulfilled.
    OrderCancelled,
    /// A payment was captured.
    PaymentCompleted,
    /// A payment was refused for good.
    PaymentFailed,
    /// A captured payment was given back.
    PaymentRefunded,
    /// A payment is disputed.
    PaymentDisputed,
    /// A dispute of a payment ended.
    PaymentDisputeClosed,
    /// An account was made.
    UserRegistered,
    /// A login ended before its tokens expired.
    SessionRevoked,
    /// Messages that the auth service gave up on.
    AuthDeadLetters,
    /// Messages that the gateway gave up on.
    GatewayDeadLetters,
    /// Messages that the notification service gave up on.
    NotificationDeadLetters,
    /// Messages that the order service gave up on.
    OrderDeadLetters,
    /// Messages and actions that the payment service gave up on.
    PaymentDeadLetters,
}

/// The name is not one of the platform's topics.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown topic {0:?}")]
pub struct UnknownTopic(pub String);

impl Topic {
    /// Every topic, data topics first.
    pub const ALL: [Self; 15] = [
        Self::OrderCreated,
        Self::OrderConfirmed,
        Self::OrderCancelled,
        Self::PaymentCompleted,
        Self::PaymentFailed,
        Self::PaymentRefunded,
        Self::PaymentDisputed,
        Self::PaymentDisputeClosed,
        Self::UserRegistered,
        Self::SessionRevoked,
        Self::AuthDeadLetters,
        Self::GatewayDeadLetters,
        Self::NotificationDeadLetters,
        Self::OrderDeadLetters,
        Self::PaymentDeadLetters,
    ];

    /// The name on the broker.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderCreated => "order.created",
            Self::OrderConfirmed => "order.confirmed",
            Self::OrderCancelled => "order.cancelled",
            Self::PaymentCompleted => "payment.completed",
            Self::PaymentFailed => "payment.failed",
            Self::PaymentRefunded => "payment.refunded",
            Self::PaymentDisputed => "payment.disputed",
            Self::PaymentDisputeClosed => "payment.dispute_closed",
            Self::UserRegistered => "user.registered",
            Self::SessionRevoked => "session.revoked",
            Self::AuthDeadLetters => "auth.failed.dlq",
            Self::GatewayDeadLetters => "gateway.failed.dlq",
            Self::NotificationDeadLetters => "notification.failed.dlq",
            Self::OrderDeadLetters => "order.failed.dlq",
            Self::PaymentDeadLetters => "payment.failed.dlq",
        }
    }

    /// The service that writes to it, and nobody else.
    #[must_use]
    pub const fn announced_by(self) -> &'static str {
        match self {
            Self::OrderCreated | Self::OrderConfirmed | Self::OrderCancelled | Self::OrderDeadLetters => {
                "order"
            }
            Self::PaymentCompleted
            | Self::PaymentFailed
            | Self::PaymentRefunded
            | Self::PaymentDisputed
            | Self::PaymentDisputeClosed
            | Self::PaymentDeadLetters => "payment",
            Self::UserRegistered | Self::SessionRevoked | Self::AuthDeadLetters => "auth",
            Self::GatewayDeadLetters => "gateway",
            Self::NotificationDeadLetters => "notification",
        }
    }

    /// The services of the platform that consume it, each as the consumer group of its name. Others may, and nobody asks them.
    #[must_use]
    pub const fn received_by(self) -> &'static [&'static str] {
        match self {
            Self::OrderCreated | Self::OrderCancelled => &["gateway", "notification", "payment"],
            Self::OrderConfirmed | Self::UserRegistered => &["gateway", "notification"],
            Self::PaymentCompleted | Self::PaymentFailed | Self::PaymentRefunded => {
                &["gateway", "notification", "order"]
            }
            Self::PaymentDisputed
            | Self::PaymentDisputeClosed
            | Self::SessionRevoked
            | Self::AuthDeadLetters
            | Self::GatewayDeadLetters
            | Self::NotificationDeadLetters
            | Self::OrderDeadLetters
            | Self::PaymentDeadLetters => &["gateway"],
        }
    }

    /// Whether the topic carries dead letters instead of facts.
    #[must_use]
    pub fn is_dead_letter(self) -> bool {
        self.name().ends_with(".dlq")
    }
}

/// The name of the topic for dead letters of `service`; a service outside this repository has one too.
#[must_use]
pub fn dead_letter_topic(service: &str) -> String {
    format!("{service}.failed.dlq")
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Topic {
    type Err = UnknownTopic;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|topic| topic.name() == name)
            .ok_or_else(|| UnknownTopic(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for topic in Topic::ALL {
            assert_eq!(topic.name().parse(), Ok(topic));
        }
        assert!("order.created.v2".parse::<Topic>().is_err());
    }

    #[test]
    fn every_service_has_its_dead_letters() {
        for service in ["auth", "gateway", "notification", "order", "payment"] {
            let topic: Topic = dead_letter_topic(service).parse().unwrap();
            assert!(topic.is_dead_letter());
        }
    }
}
