//! Limits and waits of the kernel; each has a default and may be configured under `messaging`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// Settings of one service's kernel. Times are in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessagingSettings {
    /// Messages in one consumer transaction at most (500).
    pub batch_max: usize,
    /// How long a batch waits for more messages after its first (5).
    pub batch_linger_ms: u64,
    /// Waits before each retry of a message or action (1000, 5000, 30000); as many retries as waits. Each
    /// wait is varied by up to a quarter. Written as a list or as text with commas.
    #[serde(deserialize_with = "milliseconds")]
    pub retry_delays_ms: Vec<u64>,
    /// Outbox rows in one batch of the relay (2000).
    pub relay_batch_max: i64,
    /// The relay polls after this long when there was work (5) …
    pub relay_poll_min_ms: u64,
    /// … and backs off to this when there is none (250).
    pub relay_poll_max_ms: u64,
    /// How often a replica that is not the relay's leader asks for the lead (1000).
    pub relay_lead_ms: u64,
    /// How long the relay waits for any acknowledgement before it starts over with a new client (30000).
    pub delivery_timeout_ms: u64,
    /// A round of the relay (250): what Kafka has not answered for so long stays under way, and rows of other topics
    /// are sent meanwhile.
    pub relay_round_ms: u64,
    /// How long records that their topic refuses for now (it is not there, nobody leads it) are tried again before they
    /// become dead letters (300000), every `backoff_max_ms`.
    pub refusal_retry_ms: u64,
    /// Bytes of a record, and of a batch of records, that the relay sends at most (1000000). Not more than the topics'
    /// `max.message.bytes` less 1024 for what goes around a batch, which is checked at the start.
    pub record_max_bytes: u32,
    /// Rows that the dispatcher claims at once (200).
    pub dispatch_batch_max: i64,
    /// Actions that are performed at the same time (64).
    pub actions_in_flight: usize,
    /// Actions of so many keys fail with no success in between (10), and all actions wait: what they need is down. The
    /// same for messages: their handler is broken.
    pub breaker_keys: usize,
    /// While they wait, one is tried this often (1000).
    pub breaker_probe_ms: u64,
    /// How long a claimed action is left alone before another replica may take it (60000). Longer than any
    /// action may take.
    pub action_lease_ms: u64,
    /// The dispatcher looks for due work this often when nothing wakes it (250).
    pub dispatch_poll_ms: u64,
    /// First wait after a failure of the infrastructure (100), doubled up to the next …
    pub backoff_min_ms: u64,
    /// … at most this (5000).
    pub backoff_max_ms: u64,
    /// How long one transaction of the kernel may take before it is given up (30000): a database that has
    /// vanished without a word must not hold a loop up for ever.
    pub transaction_timeout_ms: u64,
    /// How long the consumer group waits for a member that is not heard of any more (10000). It shows itself five
    /// times as often.
    pub session_timeout_ms: u64,
    /// How long a Kafka client may be without progress before it is dropped and made anew (20000). Doubled, up to eight
    /// times as long, for each in a row that makes none either.
    pub client_stall_ms: u64,
    /// How long a request to the broker may go unanswered before its connection is given up and the broker's name is
    /// resolved anew (6000). Shorter heals sooner from a broker that is silently gone; longer than a loaded broker takes for
    /// its slowest answer, such as an acknowledgement of all replicas.
    pub socket_timeout_ms: u64,
    /// How long connecting to a broker may take (3000).
    pub connect_timeout_ms: u64,
    /// How long a consumer may wait for its assignment, be paused or not know its lag before `/health` says `degraded`
    /// (10000).
    pub health_grace_ms: u64,
    /// How old the oldest row of the outbox may be before `/health` says `degraded` (30000).
    pub outbox_overdue_ms: u64,
    /// Ids of processed events that are remembered in memory (100000).
    pub dedupe_cache_entries: usize,
    /// Days that ids of processed events are remembered in the database (14). More than the topics keep.
    pub dedupe_retention_days: u32,
    /// Characters of an error that are kept and sent along (2000).
    pub error_max_chars: usize,
    /// How often gauges such as the outbox backlog are read from the database (5000).
    pub gauge_interval_ms: u64,
    /// How often a replica looks for bulk replays that are due (250).
    pub replay_poll_ms: u64,
    /// Letters of one bulk replay that are under way at the same time (100): it goes on when some of them have come to
    /// their end.
    pub replay_in_flight: u32,
    /// A bulk replay stops by itself once so many of its letters have failed again (5).
    pub replay_halt_after: u32,
    /// How often dead letters are looked for whose purpose is gone (5000).
    pub obsolete_check_ms: u64,
    /// Days that settled dead letters (replayed, discarded, superseded, obsolete) and ended bulk replays are remembered (90).
    pub dead_letter_retention_days: i32,
    /// Hours that an operator's request with an `Idempotency-Key` is remembered (24).
    pub operation_key_retention_hours: i32,
    /// How often partitions of processed events are made ahead and dropped behind, and old letters deleted (3600000).
    pub retention_interval_ms: u64,
    /// How long after a run that could not do everything, because a table was in use, the next one follows (60000).
    pub retention_retry_ms: u64,
    /// How long a statement of these waits for a lock before it gives up until the next run (500). Shorter than
    /// PostgreSQL's `deadlock_timeout` (1 s), so that nobody else is chosen as the victim of a deadlock with it.
    pub retention_lock_timeout_ms: u64,
}

impl Default for MessagingSettings {
    fn default() -> Self {
        Self {
            batch_max: 500,
            batch_linger_ms: 5,
            retry_delays_ms: vec![1_000, 5_000, 30_000],
            relay_batch_max: 2_000,
            relay_poll_min_ms: 5,
            relay_poll_max_ms: 250,
            relay_lead_ms: 1_000,
            delivery_timeout_ms: 30_000,
            relay_round_ms: 250,
            refusal_retry_ms: 300_000,
            record_max_bytes: 1_000_000,
            dispatch_batch_max: 200,
            actions_in_flight: 64,
            breaker_keys: 10,
            breaker_probe_ms: 1_000,
            action_lease_ms: 60_000,
            dispatch_poll_ms: 250,
            backoff_min_ms: 100,
            backoff_max_ms: 5_000,
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 10_000,
            client_stall_ms: 20_000,
            socket_timeout_ms: 6_000,
            connect_timeout_ms: 3_000,
            health_grace_ms: 10_000,
            outbox_overdue_ms: 30_000,
            dedupe_cache_entries: 100_000,
            dedupe_retention_days: 14,
            error_max_chars: 2_000,
            gauge_interval_ms: 5_000,
            replay_poll_ms: 250,
            replay_in_flight: 100,
            replay_halt_after: 5,
            obsolete_check_ms: 5_000,
            dead_letter_retention_days: 90,
            operation_key_retention_hours: 24,
            retention_interval_ms: 3_600_000,
            retention_retry_ms: 60_000,
            retention_lock_timeout_ms: 500,
        }
    }
}

impl MessagingSettings {
    /// The defaults as the section that they are configured in: `{"messaging": {"batch_max": 500, …}}`.
    #[must_use]
    pub fn defaults() -> Value {
        json!({"messaging": Self::default()})
    }

    /// The wait before retry number `retry` (from 1), before it is varied; none when retries are spent.
    #[must_use]
    pub fn retry_delay(&self, retry: usize) -> Option<Duration> {
        self.retry_delays_ms
            .get(retry.checked_sub(1)?)
            .copied()
            .map(Duration::from_millis)
    }

    /// The wait between attempts of what is never given up.
    pub(crate) fn longest_delay(&self) -> Duration {
        let longest = self.retry_delays_ms.iter().copied().max();
        Duration::from_millis(longest.unwrap_or(self.backoff_max_ms))
    }
}

/// Environment variables carry only text: `"1000,5000"` means the same as `[1000, 5000]`.
fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<u64>),
        One(u64),
        Text(String),
    }
    match Form::deserialize(deserializer)? {
        Form::List(list) => Ok(list),
        Form::One(one) => Ok(vec![one]),
        Form::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.parse()
                    .map_err(|error| serde::de::Error::custom(format!("{part:?}: {error}")))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays_come_as_list_or_text() {
        let read = |json: serde_json::Value| serde_json::from_value::<MessagingSettings>(json);
        let list = read(serde_json::json!({"retry_delays_ms": [1, 2]})).unwrap();
        let text = read(serde_json::json!({"retry_delays_ms": "1, 2"})).unwrap();
        assert_eq!(list.retry_delays_ms, text.retry_delays_ms);
        assert_eq!(text.retry_delay(2), Some(Duration::from_millis(2)));
        assert_eq!((text.retry_delay(0), text.retry_delay(3)), (None, None));
        assert!(read(serde_json::json!({"retry_delays_ms": "1s"})).is_err());
        assert!(
            read(serde_json::json!({"retry_delay_ms": [1]})).is_err(),
            "a misspelt key is refused"
        );
    }
}
