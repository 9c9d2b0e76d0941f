//! What librdkafka says, as log lines: each by its own severity, with its subject as fields, and the same one only so often.
//! A broker that is away is worth a line a minute, not one for each attempt of each client.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use tracing::{debug, error, info, warn};

/// How long the same is not said again.
const QUIET: Duration = Duration::from_secs(60);
/// Subjects that are remembered at most; beyond them nothing is held back.
const SUBJECTS_MAX: usize = 1_000;

static LINES: LazyLock<Mutex<Lines>> = LazyLock::new(Mutex::default);

/// Writes one line of librdkafka's, unless the same was written a moment ago.
pub(crate) fn write(level: RDKafkaLogLevel, facility: &str, message: &str) {
    let (thread, text) = parts(message);
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(withheld) = lines.pass(facility, thread, Instant::now()) else {
        return;
    };
    drop(lines);
    macro_rules! line {
        ($write:ident) => {
            $write!(
                target: "librdkafka",
                { kafka.facility = facility, kafka.thread = thread, withheld },
                "{text}"
            )
        };
    }
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            line!(error);
        }
        RDKafkaLogLevel::Warning => line!(warn),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => line!(info),
        RDKafkaLogLevel::Debug => line!(debug),
    }
}

/// `[thrd:<broker or job>]: <text>`
fn parts(message: &str) -> (&str, &str) {
    message
        .strip_prefix("[thrd:")
        .and_then(|rest| rest.split_once("]: "))
        .unwrap_or(("", message))
}

/// When each subject was last written, and how often it was held back since.
#[derive(Default)]
struct Lines(HashMap<(String, String), (Instant, u64)>);

impl Lines {
    /// How many lines were held back before this one; none when it is to be held back.
    fn pass(&mut self, facility: &str, thread: &str, now: Instant) -> Option<u64> {
        let subject = (facility.to_owned(), thread.to_owned());
        if let Some((last, withheld)) = self.0.get_mut(&subject) {
            if now.saturating_duration_since(*last) < QUIET {
                *withheld = withheld.saturating_add(1);
                return None;
            }
            *last = now;
            return Some(std::mem::take(withheld));
        }
        if self.0.len() >= SUBJECTS_MAX {
            self.0
                .retain(|_, (last, _)| now.saturating_duration_since(*last) < QUIET);
        }
        if self.0.len() < SUBJECTS_MAX {
            self.0.insert(subject, (now, 0));
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute_with_how_often_it_was_not() {
        let (mut lines, begin) = (Lines::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(lines.pass("FAIL", "one:9092/1", begin), Some(0));
        assert_eq!(lines.pass("FAIL", "one:9092/1", at(1)), None);
        assert_eq!(lines.pass("FAIL", "one:9092/1", at(59)), None);
        assert_eq!(
            lines.pass("FAIL", "two:9092/2", at(59)),
            Some(0),
            "another broker"
        );
        assert_eq!(
            lines.pass("REQTMOUT", "one:9092/1", at(59)),
            Some(0),
            "another matter"
        );
        assert_eq!(lines.pass("FAIL", "one:9092/1", at(60)), Some(2));
        assert_eq!(lines.pass("FAIL", "one:9092/1", at(61)), None);
    }

    #[test]
    fn no_more_subjects_are_remembered_than_there_is_room_for() {
        let (mut lines, begin) = (Lines::default(), Instant::now());
        for number in 0..2 * SUBJECTS_MAX {
            assert_eq!(lines.pass("FAIL", &number.to_string(), begin), Some(0));
        }
        assert_eq!(lines.0.len(), SUBJECTS_MAX);
        assert_eq!(lines.pass("FAIL", "late", begin + QUIET), Some(0));
        assert_eq!(lines.0.len(), 1);
    }

    #[test]
    fn a_line_tells_its_thread() {
        let line = "[thrd:127.0.0.1:9092/1]: 127.0.0.1:9092/1: Connect failed";
        assert_eq!(
            parts(line),
            ("127.0.0.1:9092/1", "127.0.0.1:9092/1: Connect failed")
        );
        assert_eq!(parts("plain"), ("", "plain"));
    }
}
