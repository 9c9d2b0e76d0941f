//! A record as it came from Kafka, owned and undecoded.

use chrono::{DateTime, Utc};
use contracts::{Envelope, EnvelopeError};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use uuid::Uuid;

use crate::dead_letter;
use crate::headers::Headers;

/// Where a record lies in Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When it was produced, as the record says.
    pub timestamp: Option<DateTime<Utc>>,
}

/// A record with its place.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where it lies.
    pub origin: Origin,
    /// The key, byte by byte.
    pub key: Option<Vec<u8>>,
    /// The headers.
    pub headers: Headers,
    /// The body, byte by byte.
    pub payload: Option<Vec<u8>>,
}

impl Record {
    /// Copies a record out of librdkafka's memory.
    #[must_use]
    pub fn from_kafka(message: &BorrowedMessage<'_>) -> Self {
        Self {
            origin: Origin {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
                timestamp: message
                    .timestamp()
                    .to_millis()
                    .and_then(DateTime::from_timestamp_millis),
            },
            key: message.key().map(<[u8]>::to_vec),
            headers: Headers::from_kafka(message.headers()),
            payload: message.payload().map(<[u8]>::to_vec),
        }
    }

    /// Reads the envelope. A dead letter has the headers of the message that died, so its own identity is
    /// read from the headers that were added at its death.
    ///
    /// # Errors
    /// [`EnvelopeError`] names the header that is missing or malformed.
    pub fn envelope(&self) -> Result<Envelope, EnvelopeError> {
        if self.origin.topic.ends_with(".dlq") {
            return dead_letter::envelope(&self.origin.topic, self.key.as_deref(), &self.headers);
        }
        envelope(&self.headers)
    }
}

/// Reads the envelope of an event from its headers.
///
/// # Errors
/// [`EnvelopeError`] names the header that is missing or malformed.
pub(crate) fn envelope(headers: &Headers) -> Result<Envelope, EnvelopeError> {
    Envelope::from_headers(|name| headers.text(name).map(str::as_bytes))
}

/// Reads a Kafka key that holds a UUID as text.
#[must_use]
pub fn uuid_key(key: Option<&[u8]>) -> Option<Uuid> {
    std::str::from_utf8(key?).ok()?.parse().ok()
}
