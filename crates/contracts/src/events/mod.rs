//! The facts that services announce, one module an announcing service.
//!
//! A reader ignores fields it does not know, so that a fact may grow; a change that old readers would
//! misread gets a new major version.

mod auth;
mod order;
mod payment;

pub use auth::{RevocationReason, SessionRevoked, UserRegistered};
pub use order::{CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine};
pub use payment::{
    DisputeOutcome, PaymentCompleted, PaymentDisputeClosed, PaymentDisputed, PaymentFailed, PaymentRefunded,
};

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::schema::EventSchema;
use crate::topics::Topic;

/// One kind of fact: where it is announced and in which version.
pub trait Fact: Serialize + DeserializeOwned + Into<Event> + Clone + Send + Sync + 'static {
    /// The topic it travels on; its name is the event's name.
    const TOPIC: Topic;
    /// The major version this code reads and writes.
    const MAJOR: u32;
    /// The member of the body that is its key.
    const KEY: &'static str;
    /// The aggregate that the fact is about; the Kafka key.
    fn key(&self) -> Uuid;
}

/// Something to do with the kind of fact that a topic carries.
pub trait FactVisitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<F: Fact>(self) -> Self::Output;
}

macro_rules! facts {
    ($($fact:ident v $major:literal keyed by $key:ident),+ $(,)?) => {
        /// Any fact.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        #[allow(missing_docs, reason = "each variant is the fact of the same name")]
        pub enum Event {
            $($fact($fact)),+
        }

        impl Event {
            /// The topic it travels on.
            #[must_use]
            pub const fn topic(&self) -> Topic {
                match self {
                    $(Self::$fact(_) => <$fact as Fact>::TOPIC),+
                }
            }

            /// What the body of every kind of fact looks like.
            ///
            /// # Errors
            /// Only if a schema could not be written as JSON.
            pub(crate) fn schemas() -> serde_json::Result<Vec<EventSchema>> {
                Ok(vec![$(EventSchema::of::<$fact>()?),+])
            }

            /// The major version of its body.
            #[must_use]
            pub const fn major(&self) -> u32 {
                match self {
                    $(Self::$fact(_) => <$fact as Fact>::MAJOR),+
                }
            }

            /// The aggregate that it is about; the Kafka key.
            #[must_use]
            pub fn key(&self) -> Uuid {
                match self {
                    $(Self::$fact(fact) => fact.key()),+
                }
            }
        }

        impl Topic {
            /// Calls `visitor` with the kind of fact that the topic carries; none of a topic of dead letters.
            pub fn visit<V: FactVisitor>(self, visitor: V) -> Option<V::Output> {
                match self {
                    $(Self::$fact => Some(visitor.visit::<$fact>()),)+
                    Self::AuthDeadLetters
                    | Self::GatewayDeadLetters
                    | Self::NotificationDeadLetters
                    | Self::OrderDeadLetters
                    | Self::PaymentDeadLetters => None,
                }
            }
        }

        $(
            impl Fact for $fact {
                const TOPIC: Topic = Topic::$fact;
                const MAJOR: u32 = $major;
                const KEY: &'static str = stringify!($key);

                fn key(&self) -> Uuid {
                    self.$key.uuid()
                }
            }

            impl From<$fact> for Event {
                fn from(fact: $fact) -> Self {
                    Self::$fact(fact)
                }
            }
        )+
    };
}

facts! {
    OrderCreated v 1 keyed by order_id,
    OrderConfirmed v 1 keyed by order_id,
    OrderCancelled v 1 keyed by order_id,
    PaymentCompleted v 1 keyed by order_id,
    PaymentFailed v 1 keyed by order_id,
    PaymentRefunded v 1 keyed by order_id,
    PaymentDisputed v 1 keyed by order_id,
    PaymentDisputeClosed v 1 keyed by order_id,
    UserRegistered v 1 keyed by user_id,
    SessionRevoked v 1 keyed by user_id,
}
