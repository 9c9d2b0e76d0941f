//! The envelope of an event: `CloudEvents` 1.0 in Kafka's binary mode, attributes as `ce_*` headers, the body
//! as plain JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::EventId;

/// `content-type` of every event body.
pub const CONTENT_TYPE: &str = "application/json";
const SPEC_VERSION: &str = "1.0";

/// Everything about an event but its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `ce_id`: unique for each announced event; consumers deduplicate by it.
    pub id: EventId,
    /// `ce_type` without its version: `order.created`.
    pub name: String,
    /// The major version at the end of `ce_type`: `.v1`.
    pub major: u32,
    /// `ce_source`: the service that announced it.
    pub source: String,
    /// `ce_time`: when it was announced.
    pub time: DateTime<Utc>,
    /// `ce_subject` and `ce_partitionkey`, and the Kafka key: the aggregate that the saga is about.
    pub key: Uuid,
    /// `ce_sequence`: the announcing aggregate's event number, from 1.
    pub sequence: u64,
    /// `ce_correlationid`: constant from the first request to the last event of a saga.
    pub correlation_id: Uuid,
    /// `ce_causationid`: the event or request that led to this one.
    pub causation_id: Uuid,
    /// W3C trace context, where the announcer was traced.
    pub traceparent: Option<String>,
    /// W3C trace state, beside `traceparent`.
    pub tracestate: Option<String>,
}

/// Why headers are not an envelope of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeError {
    /// A required header is absent.
    #[error("header {0} is missing")]
    Missing(&'static str),
    /// A header's value cannot be read.
    #[error("header {name} is malformed: {reason}")]
    Malformed {
        /// The header.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Envelope {
    /// The headers of a record that carries this event, `content-type` included.
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let key = self.key.to_string();
        let mut headers = vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            ("ce_specversion", SPEC_VERSION.to_owned()),
            ("ce_id", self.id.to_string()),
            ("ce_type", format!("{}.v{}", self.name, self.major)),
            ("ce_source", self.source.clone()),
            ("ce_time", self.time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ("ce_subject", key.clone()),
            ("ce_partitionkey", key),
            ("ce_sequence", format!("{:020}", self.sequence)),
            ("ce_correlationid", self.correlation_id.to_string()),
            ("ce_causationid", self.causation_id.to_string()),
        ];
        headers.extend(self.traceparent.clone().map(|value| ("traceparent", value)));
        headers.extend(self.tracestate.clone().map(|value| ("tracestate", value)));
        headers
    }

    /// Reads an envelope from a record's headers; `header` looks one up by its name.
    ///
    /// # Errors
    /// [`EnvelopeError`] names the first header that is missing or malformed. The id must be a `UUIDv7`: its
    /// time decides how long consumers remember it.
    pub fn from_headers<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, EnvelopeError> {
        let reader = Reader { header };
        let version = reader.text("ce_specversion")?;
        if version != SPEC_VERSION {
            return Err(malformed(
                "ce_specversion",
                format!("{version:?} is not {SPEC_VERSION}"),
            ));
        }
        let id: Uuid = reader.parsed("ce_id")?;
        if id.get_version_num() != 7 {
            return Err(malformed("ce_id", "not a version 7 uuid"));
        }
        let (name, major) = split_type(reader.text("ce_type")?)?;
        Ok(Self {
            id: EventId::new(id),
            name: name.to_owned(),
            major,
            source: reader.text("ce_source")?.to_owned(),
            time: reader.parsed("ce_time")?,
            key: reader.parsed("ce_partitionkey")?,
            sequence: reader.parsed("ce_sequence")?,
            correlation_id: reader.parsed("ce_correlationid")?,
            causation_id: reader.parsed("ce_causationid")?,
            traceparent: reader.optional("traceparent"),
            tracestate: reader.optional("tracestate"),
        })
    }
}

struct Reader<F> {
    header: F,
}

impl<'a, F: Fn(&str) -> Option<&'a [u8]>> Reader<F> {
    fn text(&self, name: &'static str) -> Result<&'a str, EnvelopeError> {
        let bytes = (self.header)(name).ok_or(EnvelopeError::Missing(name))?;
        std::str::from_utf8(bytes).map_err(|error| malformed(name, error))
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &'static str,
    ) -> Result<T, EnvelopeError> {
        self.text(name)?.parse().map_err(|error| malformed(name, error))
    }

    /// Trace context is a courtesy: what cannot be read is as good as absent.
    fn optional(&self, name: &'static str) -> Option<String> {
        self.text(name).ok().map(ToOwned::to_owned)
    }
}

fn split_type(text: &str) -> Result<(&str, u32), EnvelopeError> {
    text.rsplit_once(".v")
        .and_then(|(name, major)| Some((name, major.parse().ok()?)))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| malformed("ce_type", format!("{text:?} does not end in .v<major>")))
}

fn malformed(name: &'static str, reason: impl ToString) -> EnvelopeError {
    EnvelopeError::Malformed {
        name,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn sample() -> Envelope {
        Envelope {
            id: "01936d9a-7c00-7000-8000-000000000001".parse().unwrap(),
            name: "order.created".into(),
            major: 1,
            source: "order".into(),
            time: "2026-11-21T10:00:00.000001Z".parse().unwrap(),
            key: "01936d9a-7c00-7000-8000-000000000002".parse().unwrap(),
            sequence: 1,
            correlation_id: "01936d9a-7c00-7000-8000-000000000003".parse().unwrap(),
            causation_id: "01936d9a-7c00-7000-8000-000000000004".parse().unwrap(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            tracestate: None,
        }
    }

    fn headers() -> HashMap<String, Vec<u8>> {
        let own = |(name, value): (&str, String)| (name.to_owned(), value.into_bytes());
        sample().to_headers().into_iter().map(own).collect()
    }

    fn read(headers: &HashMap<String, Vec<u8>>) -> Result<Envelope, EnvelopeError> {
        Envelope::from_headers(|name| headers.get(name).map(Vec::as_slice))
    }

    #[test]
    fn headers_read_back() {
        assert_eq!(read(&headers()), Ok(sample()));
    }

    #[test]
    fn each_required_header_is_missed_by_name() {
        for (name, _) in sample().to_headers() {
            let mut headers = headers();
            headers.remove(name);
            match name {
                // our own consumers take the key from ce_partitionkey
                "content-type" | "ce_subject" => assert!(read(&headers).is_ok()),
                "traceparent" => assert_eq!(read(&headers).unwrap().traceparent, None),
                required => assert_eq!(read(&headers), Err(EnvelopeError::Missing(required))),
            }
        }
    }

    #[test]
    fn a_foreign_type_or_id_is_named() {
        for (name, value) in [
            ("ce_type", "order.created"),
            ("ce_type", ".v1"),
            ("ce_type", "order.created.v-1"),
            ("ce_id", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"),
            ("ce_specversion", "0.3"),
            ("ce_time", "yesterday"),
        ] {
            let mut headers = headers();
            headers.insert(name.into(), value.into());
            let error = read(&headers).unwrap_err();
            assert!(
                matches!(error, EnvelopeError::Malformed { name: found, .. } if found == name),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(name in 0_usize..13, bytes: Vec<u8>) {
            let mut headers = headers();
            let names: Vec<_> = sample().to_headers().into_iter().map(|(name, _)| name).collect();
            headers.insert(names[name % names.len()].to_owned(), bytes);
            let _ = read(&headers);
        }
    }
}
