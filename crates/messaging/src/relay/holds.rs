//! Topics that refuse every record for now: one that is not there, or not yet there again after the broker's restart.
//! Their rows wait in the outbox, and are tried again until the topic takes one or the bound in time is over.
//!
//! Since when is kept in memory: the bound begins anew with another leader, so a restart gives nothing up sooner. The age
//! of the row would not do, since it may have waited for an absent broker for hours before it was first refused.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::settings::MessagingSettings;

/// What to do about a record that was refused because of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Leave it in the outbox; it is tried again.
    Wait,
    /// The bound is over.
    GiveUp,
}

#[derive(Debug)]
struct Hold {
    since: Instant,
    last: Instant,
    until: Instant,
    /// Whether it was due since the last refusal.
    tried: bool,
}

/// The topics that refuse, and since when.
#[derive(Debug)]
pub(super) struct Holds {
    topics: HashMap<String, Hold>,
    bound: Duration,
    pause: Duration,
}

impl Holds {
    pub(super) fn new(settings: &MessagingSettings) -> Self {
        Self {
            topics: HashMap::new(),
            bound: Duration::from_millis(settings.refusal_retry_ms),
            pause: Duration::from_millis(settings.backoff_max_ms),
        }
    }

    /// Takes in that `topic` has refused a record at `now`.
    pub(super) fn refused(&mut self, topic: &str, now: Instant) -> Decision {
        let hold = self.topics.entry(topic.to_owned()).or_insert(Hold {
            since: now,
            last: now,
            until: now,
            tried: false,
        });
        if now.duration_since(hold.last) > self.bound.max(self.pause.saturating_mul(2)) {
            // nothing was sent meanwhile: this is another time
            hold.since = now;
        }
        hold.last = now;
        hold.tried = false;
        if now.duration_since(hold.since) >= self.bound {
            // those behind it are not kept waiting either
            hold.until = now;
            return Decision::GiveUp;
        }
        hold.until = now + self.pause;
        Decision::Wait
    }

    /// Takes in that `topic` has taken a record. True when it had refused before.
    pub(super) fn acknowledged(&mut self, topic: &str) -> bool {
        !self.topics.is_empty() && self.topics.remove(topic).is_some()
    }

    /// Whether `topic` refuses.
    pub(super) fn contains(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Topics that are left alone at `now`.
    pub(super) fn waiting(&self, now: Instant) -> impl Iterator<Item = &str> {
        let waits = move |(_, hold): &(&String, &Hold)| hold.until > now;
        self.topics.iter().filter(waits).map(|(topic, _)| topic.as_str())
    }

    /// Topics that are tried again at `now`, each once after a refusal.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut topics = Vec::new();
        for (topic, hold) in &mut self.topics {
            if hold.until <= now && !hold.tried {
                hold.tried = true;
                topics.push(topic.clone());
            }
        }
        topics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds() -> Holds {
        Holds::new(&MessagingSettings {
            refusal_retry_ms: 1_000,
            backoff_max_ms: 100,
            ..MessagingSettings::default()
        })
    }

    #[test]
    fn a_topic_is_tried_again_after_each_pause_until_the_bound_is_over() {
        let (mut holds, begin) = (holds(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(holds.refused("t", at(0)), Decision::Wait);
        assert_eq!(holds.waiting(at(99)).collect::<Vec<_>>(), ["t"]);
        assert_eq!(holds.due(at(100)), ["t"]);
        assert!(holds.due(at(101)).is_empty(), "once");
        assert_eq!(holds.refused("t", at(999)), Decision::Wait);
        assert_eq!(holds.refused("t", at(1_000)), Decision::GiveUp);
        assert_eq!(
            holds.waiting(at(1_000)).count(),
            0,
            "the next one is not kept waiting"
        );
        assert_eq!(holds.refused("t", at(1_001)), Decision::GiveUp);
        assert_eq!(holds.refused("t", at(60_000)), Decision::Wait, "another time");
    }

    #[test]
    fn a_topic_that_takes_a_record_begins_anew() {
        let (mut holds, begin) = (holds(), Instant::now());
        assert!(!holds.acknowledged("t"));
        assert_eq!(holds.refused("t", begin), Decision::Wait);
        assert!(holds.contains("t") && !holds.contains("u"));
        assert!(holds.acknowledged("t") && !holds.contains("t"));
        let later = begin + Duration::from_secs(2);
        assert_eq!(holds.refused("t", later), Decision::Wait);
    }
}
