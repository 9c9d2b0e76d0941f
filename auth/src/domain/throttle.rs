//! What failed logins cost whoever fails: after some that are free, each doubles the wait before the next
//! attempt, up to a longest. Nothing is locked for good.
//!
//! While failures are free, attempts run side by side and are counted when they have failed. After that an
//! attempt is counted before it is made, so that a hundred sent at once are one attempt and ninety-nine
//! refusals. An attempt that is refused costs nothing: whoever waits gets the next one.

use chrono::{DateTime, TimeDelta, Utc};

/// Most doublings: the wait is at its longest long before.
const DOUBLINGS_MAX: u32 = 30;

/// What failures of one kind of subject cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How the interface calls it.
    pub name: &'static str,
    /// Failures without a wait.
    pub free: u32,
    /// The first wait.
    pub delay: TimeDelta,
    /// The longest.
    pub delay_max: TimeDelta,
    /// How long after the last one failures are forgotten.
    pub memory: TimeDelta,
}

/// The failures of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// No attempt before.
    pub blocked_until: DateTime<Utc>,
    /// Forgotten from then on.
    pub expires_at: DateTime<Utc>,
}

/// Whether an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Yes; it is counted when it has failed.
    Free,
    /// Yes, and it counts as failed from now on: these are the failures with it.
    Charged(Failures),
    /// Not before then.
    Blocked {
        /// When the next attempt may be made.
        until: DateTime<Utc>,
    },
}

impl Policy {
    /// Judges an attempt of a subject with this past.
    #[must_use]
    pub fn judge(&self, past: Option<Failures>, now: DateTime<Utc>) -> Judgement {
        match remembered(past, now) {
            Some(failures) if failures.blocked_until > now => Judgement::Blocked {
                until: failures.blocked_until,
            },
            Some(failures) if failures.count >= self.free => Judgement::Charged(self.failed(past, now)),
            Some(_) | None => Judgement::Free,
        }
    }

    /// The failures with one more.
    #[must_use]
    pub fn failed(&self, past: Option<Failures>, now: DateTime<Utc>) -> Failures {
        let past = remembered(past, now);
        let count = past.map_or(0, |failures| failures.count).saturating_add(1);
        let blocked_until = now + self.wait_after(count);
        // Of failures side by side, one that ends late does not shorten the wait.
        let blocked_until = past.map_or(blocked_until, |failures| {
            failures.blocked_until.max(blocked_until)
        });
        Failures {
            count,
            blocked_until,
            expires_at: blocked_until + self.memory,
        }
    }

    /// The failures when an attempt that was counted before it was made has not failed. None is left of one.
    #[must_use]
    pub fn withdrawn(&self, charged: Failures, now: DateTime<Utc>) -> Option<Failures> {
        let count = charged.count.checked_sub(1).filter(|count| *count > 0)?;
        Some(Failures {
            count,
            blocked_until: now,
            expires_at: now + self.memory,
        })
    }

    /// The wait after so many failures.
    #[must_use]
    pub fn wait_after(&self, count: u32) -> TimeDelta {
        let Some(doublings) = count.checked_sub(self.free) else {
            return TimeDelta::zero();
        };
        let factor = 1_i32 << doublings.min(DOUBLINGS_MAX);
        self.delay
            .checked_mul(factor)
            .unwrap_or(self.delay_max)
            .min(self.delay_max)
    }
}

fn remembered(past: Option<Failures>, now: DateTime<Utc>) -> Option<Failures> {
    past.filter(|failures| failures.expires_at > now)
}

#[cfg(test)]
mod tests;
