//! Record headers as they travel between Kafka and the database: in order, with values kept byte by byte.

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rdkafka::message::{Header as KafkaHeader, Headers as KafkaHeaders, OwnedHeaders};
use serde::{Deserialize, Serialize};

/// Headers of one record, in order; a name may repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(Vec<(String, Value)>);

/// JSON has no bytes: a value that is not text is written as base64 under a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { base64: String },
    Null,
}

impl Headers {
    /// The last header called `name`: Kafka's own rule for repeated names.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0
            .iter()
            .rev()
            .find(|(found, _)| found == name)
            .and_then(|(_, value)| value.bytes())
    }

    /// The last header called `name`, when it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(found, _)| found == name)
            .and_then(|(_, value)| match value {
                Value::Text(text) => Some(text.as_str()),
                Value::Bytes { .. } | Value::Null => None,
            })
    }

    /// Sets `name` to one text value, in place of whatever it had.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(found, _)| found != name);
        self.0.push((name.to_owned(), Value::Text(value.into())));
    }

    /// Reads the headers of a Kafka record.
    #[must_use]
    pub fn from_kafka(headers: Option<&impl KafkaHeaders>) -> Self {
        let Some(headers) = headers else {
            return Self::default();
        };
        Self(
            (0..headers.count())
                .filter_map(|index| read_header(headers, index))
                .collect(),
        )
    }

    /// The headers for a record to produce.
    #[must_use]
    pub fn to_kafka(&self) -> OwnedHeaders {
        self.0.iter().fold(
            OwnedHeaders::new_with_capacity(self.0.len()),
            |headers, (key, value)| {
                let bytes = value.bytes();
                headers.insert(KafkaHeader {
                    key,
                    value: bytes.as_ref(),
                })
            },
        )
    }

    /// The JSON that is stored in a `jsonb` column.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Array(
            self.0
                .iter()
                .map(|(name, value)| serde_json::json!([name, value]))
                .collect(),
        )
    }
}

/// rdkafka panics over a header whose name is not text. Such a one is kept as `�`, without its value: a record
/// must not be able to stop its consumer.
fn read_header(headers: &impl KafkaHeaders, index: usize) -> Option<(String, Value)> {
    let read = || {
        let header = headers.try_get(index)?;
        Some((header.key.to_owned(), Value::from_bytes(header.value)))
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_panic| Some(("\u{fffd}".to_owned(), Value::Null)))
}

impl Value {
    fn from_bytes(bytes: Option<&[u8]>) -> Self {
        match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => Self::Null,
            // PostgreSQL's jsonb cannot hold a NUL character
            Some((_, Ok(text))) if !text.contains('\0') => Self::Text(text.to_owned()),
            Some((bytes, _)) => Self::Bytes {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Bytes { base64 } => STANDARD.decode(base64).ok(),
            Self::Null => None,
        }
    }
}

impl FromIterator<(&'static str, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'static str, String)>>(headers: I) -> Self {
        Self(
            headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), Value::Text(value)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_survive_json_and_kafka(values: Vec<(String, Option<Vec<u8>>)>) {
            let names = values.iter().map(|(name, _)| name.replace('\0', ""));
            let sent = names.zip(&values).fold(OwnedHeaders::new(), |headers, (name, (_, value))| {
                headers.insert(KafkaHeader { key: &name, value: value.as_ref() })
            });
            let headers = Headers::from_kafka(Some(&sent));
            let read: Headers = serde_json::from_value(headers.to_json()).unwrap();
            prop_assert_eq!(&read, &headers);
            let back = read.to_kafka();
            for (index, (_, value)) in values.iter().enumerate() {
                prop_assert_eq!(back.get(index).value, value.as_deref());
            }
        }
    }

    /// Headers as rdkafka shows them when a name is not UTF-8.
    struct Unreadable;

    impl KafkaHeaders for Unreadable {
        fn count(&self) -> usize {
            2
        }

        fn try_get(&self, index: usize) -> Option<KafkaHeader<'_, &[u8]>> {
            assert_eq!(index, 1, "a name that is not text");
            Some(KafkaHeader {
                key: "ce_id",
                value: Some(b"1"),
            })
        }
    }

    #[test]
    fn a_name_that_is_not_text_does_not_stop_the_consumer() {
        let headers = Headers::from_kafka(Some(&Unreadable));
        assert_eq!(
            headers.to_json(),
            serde_json::json!([["\u{fffd}", null], ["ce_id", "1"]])
        );
    }

    #[test]
    fn a_set_header_stands_once() {
        let mut headers: Headers = [
            ("a", "1".to_owned()),
            ("b", "2".to_owned()),
            ("a", "3".to_owned()),
        ]
        .into_iter()
        .collect();
        assert_eq!(headers.text("a"), Some("3"));
        headers.set("a", "4");
        assert_eq!(headers.to_json(), serde_json::json!([["b", "2"], ["a", "4"]]));
    }
}
