//! What failed logins cost whoever fails: after some that are free, each doubles the wait before the next
//! attempt, up to a longest. Nothing is locked for good.
//!
//! An attempt counts as failed from the moment it is let in, and is given back when it turns out right. So attempts
//! side by side share what is free: of a hundred sent at once as many are made as are free, and the others are
//! refused. An attempt that is refused costs nothing: whoever waits gets the next one.

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
    /// Yes, and it counts as failed from now on: these are the failures with it.
    Admitted(Failures),
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
        let past = past.filter(|failures| failures.expires_at > now);
        match past {
            // while failures are free there is no wait, whatever another replica's clock says
            Some(failures) if failures.count >= self.free && failures.blocked_until > now => {
                Judgement::Blocked {
                    until: failures.blocked_until,
                }
            }
            Some(_) | None => Judgement::Admitted(self.with_one_more(past, now)),
        }
    }

    fn with_one_more(&self, past: Option<Failures>, now: DateTime<Utc>) -> Failures {
        let count = past.map_or(0, |failures| failures.count).saturating_add(1);
        let blocked_until = now + self.wait_after(count);
        Failures {
            count,
            blocked_until,
            expires_at: blocked_until + self.memory,
        }
    }

    /// The failures without an attempt that has not failed after all; they were `admitted` with it. Its wait ends, but
    /// not that of another attempt that was let in since. None is left of one.
    #[must_use]
    pub fn given_back(&self, past: Failures, admitted: Failures, now: DateTime<Utc>) -> Option<Failures> {
        let count = past.count.checked_sub(1).filter(|count| *count > 0)?;
        let blocked_until = if past.blocked_until == admitted.blocked_until {
            now
        } else {
            past.blocked_until
        };
        Some(Failures {
            count,
            blocked_until,
            expires_at: blocked_until.max(now) + self.memory,
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

#[cfg(test)]
mod tests;
