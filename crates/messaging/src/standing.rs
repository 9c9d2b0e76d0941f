//! What the consumer and the relay of this process do, for `/health`, the status of operators and metrics. Written by the
//! loops that do the work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::clock;
use chassis::health::{ConsumerHealth, ConsumerState, OverallStatus, RelayHealth, RelayRole};
use chrono::{DateTime, TimeDelta, Utc};

use crate::MessagingSettings;

/// A loop that has not come round for so long does not consume, whatever it last said.
const STUCK_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What the consumer does, as its loop last said; clones share it.
#[derive(Clone)]
pub(crate) struct ConsumerStanding(Arc<Mutex<Standing>>);

struct Standing {
    state: ConsumerState,
    since: DateTime<Utc>,
    reason: String,
    partitions: usize,
    looked: DateTime<Utc>,
}

impl Default for ConsumerStanding {
    fn default() -> Self {
        let now = clock::now();
        Self(Arc::new(Mutex::new(Standing {
            state: ConsumerState::Waiting,
            since: now,
            reason: "it has not joined its group yet".to_owned(),
            partitions: 0,
            looked: now,
        })))
    }
}

impl ConsumerStanding {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This is how it is. `reason` says why it does not consume, if it does not.
    pub(crate) fn set(&self, state: ConsumerState, partitions: usize, reason: String) {
        let mut standing = self.standing();
        standing.looked = clock::now();
        if standing.state != state {
            standing.state = state;
            standing.since = standing.looked;
        }
        standing.partitions = partitions;
        standing.reason = reason;
    }

    pub(crate) fn health(&self, grace: TimeDelta) -> ConsumerHealth {
        let standing = self.standing();
        health(&standing, grace, clock::now())
    }
}

fn health(standing: &Standing, grace: TimeDelta, now: DateTime<Utc>) -> ConsumerHealth {
    let consumes = match standing.state {
        ConsumerState::Assigned | ConsumerState::Standby => true,
        ConsumerState::Waiting | ConsumerState::Paused | ConsumerState::LagUnknown => false,
    };
    let stuck = now - standing.looked > STUCK_AFTER;
    let overdue = !consumes && now - standing.since > grace;
    let reason = if stuck {
        let looked = standing.looked.format("%FT%TZ");
        Some(format!("busy with one batch since {looked}"))
    } else if consumes {
        None
    } else {
        let since = standing.since.format("%FT%TZ");
        Some(format!("{} (since {since})", standing.reason))
    };
    ConsumerHealth {
        status: if stuck || overdue {
            OverallStatus::Degraded
        } else {
            OverallStatus::Ok
        },
        state: standing.state,
        since: standing.since,
        partitions: standing.partitions,
        reason,
    }
}

/// The age of the outbox's oldest row, as last read; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutboxAge(Arc<Mutex<Option<Read>>>);

#[derive(Debug, Clone, Copy)]
struct Read {
    at: DateTime<Utc>,
    seconds: i64,
}

impl OutboxAge {
    pub(crate) fn read(&self, seconds: i64) {
        let read = Read {
            at: clock::now(),
            seconds,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
    }

    pub(crate) fn health(&self, settings: &MessagingSettings, leads: bool) -> RelayHealth {
        let read = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // three readings missed in a row are none
        let fresh = milliseconds(Duration::from_millis(settings.gauge_interval_ms).saturating_mul(3));
        let seconds = read
            .filter(|read| clock::now() - read.at <= fresh)
            .map(|read| read.seconds);
        relay(seconds, settings, leads)
    }
}

fn relay(seconds: Option<i64>, settings: &MessagingSettings, leads: bool) -> RelayHealth {
    let overdue = i64::try_from(settings.outbox_overdue_ms / 1_000).unwrap_or(i64::MAX);
    let late = seconds.filter(|seconds| *seconds > overdue);
    RelayHealth {
        status: late.map_or(OverallStatus::Ok, |_| OverallStatus::Degraded),
        role: if leads {
            RelayRole::Leader
        } else {
            RelayRole::Follower
        },
        oldest_row_seconds: seconds,
        reason: late.map(|seconds| format!("the oldest row of the outbox is {seconds} s old")),
    }
}

/// Of a setting; as long as can be, when it is longer.
pub(crate) fn milliseconds(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: TimeDelta = TimeDelta::seconds(10);

    fn standing(state: ConsumerState, since: DateTime<Utc>) -> Standing {
        Standing {
            state,
            since,
            reason: "no broker".to_owned(),
            partitions: 0,
            looked: since + TimeDelta::seconds(9),
        }
    }

    #[test]
    fn a_consumer_has_a_while_to_get_its_assignment_and_standing_by_is_no_fault() {
        let begin = DateTime::UNIX_EPOCH;
        let at = |state, seconds| {
            health(
                &standing(state, begin),
                GRACE,
                begin + TimeDelta::seconds(seconds),
            )
        };
        let waiting = at(ConsumerState::Waiting, 9);
        assert_eq!(waiting.status, OverallStatus::Ok);
        assert_eq!(
            waiting.reason.as_deref(),
            Some("no broker (since 1970-01-01T00:00:00Z)")
        );
        assert_eq!(at(ConsumerState::Waiting, 11).status, OverallStatus::Degraded);
        assert_eq!(at(ConsumerState::LagUnknown, 11).status, OverallStatus::Degraded);
        assert_eq!(at(ConsumerState::Paused, 11).status, OverallStatus::Degraded);
        let standby = at(ConsumerState::Standby, 11);
        assert_eq!((standby.status, standby.reason), (OverallStatus::Ok, None));
        // a loop that does not come round has no say
        assert_eq!(at(ConsumerState::Assigned, 70).status, OverallStatus::Degraded);
    }

    #[test]
    fn an_outbox_whose_rows_grow_old_degrades() {
        let settings = MessagingSettings::default();
        assert_eq!(relay(Some(30), &settings, true).status, OverallStatus::Ok);
        assert_eq!(
            relay(None, &settings, true).status,
            OverallStatus::Ok,
            "the database is told apart"
        );
        let late = relay(Some(31), &settings, false);
        assert_eq!(
            (late.status, late.role),
            (OverallStatus::Degraded, RelayRole::Follower)
        );
    }
}
