//! Two kinds of failure, told apart by type. A [`Failure`] is a message's own: it is retried, then becomes
//! a dead letter, and the rest flows on. An [`Outage`] is the infrastructure's: nobody's attempt is counted,
//! work stops and goes on when it is back.

use std::any::Any;
use std::time::Duration;

use chassis::database::{is_of_data, is_passing};
use diesel::result::Error as DieselError;
use rdkafka::error::KafkaError;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why a message or action cannot be done; its own fault, so to speak.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Failure {
    /// Stable name of the kind of failure, `kebab-case`.
    pub class: String,
    /// What went wrong, for the operator.
    pub message: String,
}

impl Failure {
    /// A failure of the kind `class`.
    pub fn new(class: &str, message: impl ToString) -> Self {
        Self {
            class: class.to_owned(),
            message: message.to_string(),
        }
    }

    /// A handler's bug.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::new("panic", text)
    }

    /// What a message that was found to spoil its batch died of.
    pub(crate) fn of_spoiled(error: &Outage) -> Self {
        let Outage::Database(database) = error else {
            return Self::new("conflict", error);
        };
        let DieselError::DeserializationError(inner) = database else {
            return Self::new("database", database);
        };
        inner
            .downcast_ref::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::new("database", database))
    }

    /// Groups failures that likely have one cause: the first 16 hex digits of a SHA-256 over what failed, the
    /// class, and the message with everything that varies (digits and hex runs) blanked.
    #[must_use]
    pub fn fingerprint(&self, name: &str) -> String {
        let mut hash = Sha256::new();
        for part in [name, &self.class, &blanked(&self.message)] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The message without NUL, which PostgreSQL refuses, and cut to `max` characters.
    #[must_use]
    pub fn capped(&self, max: usize) -> String {
        self.message.chars().filter(|c| *c != '\0').take(max).collect()
    }
}

/// Words with a digit are ids, amounts, offsets: what differs between two victims of the same cause.
fn blanked(message: &str) -> String {
    message
        .split_whitespace()
        .map(|word| {
            if word.chars().any(|c| c.is_ascii_digit()) {
                "#"
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

impl From<contracts::Rejection> for Failure {
    fn from(rejection: contracts::Rejection) -> Self {
        Self::new(rejection.class, rejection.detail)
    }
}

/// Something that every message needs is down.
#[derive(Debug, Error)]
pub enum Outage {
    /// The database does not answer, or asks for the transaction to be tried again.
    #[error("database: {0}")]
    Database(#[from] DieselError),
    /// No connection could be had.
    #[error("database pool: {0}")]
    Pool(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server of this connection takes no writes any more.
    #[error("database: the server of this connection takes no writes any more")]
    NoWriter,
    /// Kafka does not answer.
    #[error("kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// The database holds a transaction up; nobody knows whether it was committed.
    #[error("database: no answer within {0:?}")]
    Stalled(Duration),
    /// The handler fails for key after key.
    #[error("the breaker is open: message after message fails, the last of them of class {0}")]
    Halted(String),
    /// Rows changed between loading and saving; the transaction must be tried again.
    #[error("conflict: {expected} rows to save, {saved} were as they had been loaded")]
    Conflict {
        /// How many rows were to be written.
        expected: usize,
        /// How many were.
        saved: usize,
    },
}

impl From<HandlerPanic> for DieselError {
    fn from(panic: HandlerPanic) -> Self {
        Self::DeserializationError(Box::new(panic.0))
    }
}

/// A panic in a repository, dressed as an error of the data: that is how it is told apart from an outage.
pub(crate) struct HandlerPanic(pub(crate) Failure);

/// Whose fault a database error is, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Certainly the data's: a constraint, a value that cannot be written or read.
    Message,
    /// Certainly the database's: the connection, a serialization failure, somebody else's lock.
    Infrastructure,
    /// Any other SQLSTATE, such as that of a table that is not there. Whether it is the message's shows when the same
    /// message fails alone while the database answers.
    Unclear,
}

pub(crate) fn blame(error: &DieselError) -> Blame {
    if is_passing(error) {
        Blame::Infrastructure
    } else if is_of_data(error) {
        Blame::Message
    } else {
        Blame::Unclear
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorKind;

    use super::*;

    #[test]
    fn victims_of_one_cause_share_a_fingerprint() {
        let one = Failure::new("rejected", "order 01936d9a-7c00 has no payment of 12 EUR");
        let two = Failure::new("rejected", "order 01936d9b-0000 has no payment of 99 EUR");
        let other = Failure::new("rejected", "order 01936d9b-0000 is unknown");
        assert_eq!(one.fingerprint("order.created"), two.fingerprint("order.created"));
        assert_ne!(
            one.fingerprint("order.created"),
            other.fingerprint("order.created")
        );
        assert_ne!(
            one.fingerprint("order.created"),
            one.fingerprint("order.cancelled")
        );
        assert_eq!(one.fingerprint("order.created").len(), 16);
    }

    #[test]
    fn a_lock_that_somebody_else_holds_is_nobodys_fault() {
        let of = |text: &str| {
            blame(&DieselError::DatabaseError(
                DatabaseErrorKind::Unknown,
                Box::new(text.to_owned()),
            ))
        };
        for text in [
            "[57014] storniere Anfrage wegen Zeitüberschreitung der Anfrage",
            "[57P01] terminating connection due to administrator command",
            "[40P01] deadlock detected",
        ] {
            assert_eq!(of(text), Blame::Infrastructure, "{text}");
        }
        assert_eq!(of("[22003] bigint out of range"), Blame::Message);
        assert_eq!(of("[42P01] relation does not exist"), Blame::Unclear);
    }

    #[test]
    fn a_message_is_cut_by_characters() {
        assert_eq!(Failure::new("x", "a\0öbc").capped(3), "aöb");
    }
}
