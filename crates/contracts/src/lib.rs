//! The wire vocabulary that all services share: ids, money, the event envelope, topics and events, and
//! the shape of a pure reaction; and the documents that tell it to others. No I/O, no clock, no random.

pub mod asyncapi;
pub mod compatibility;
pub mod envelope;
pub mod events;
pub mod ids;
pub mod money;
pub mod reaction;
pub mod schema;
pub mod topics;

pub use envelope::{Envelope, EnvelopeError};
pub use events::{Event, Fact, FactVisitor};
pub use ids::{DisputeId, EventId, OrderId, PaymentId, UserId};
pub use money::{Currency, Money, MoneyError, is_paid_with};
pub use reaction::{
    Aggregate, Context, InvalidField, NoAction, Obsolete, Reaction, Rejection, Step, Transition,
};
pub use topics::Topic;
