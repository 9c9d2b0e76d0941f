//! A login, and the rule by which its refresh tokens follow each other.
//!
//! Each token is used once and then replaced by the next generation's. A token that comes back after its
//! successor has been used is in two hands: the whole family ends. A client that merely missed the answer
//! sends the same token again at once, before anyone used the successor: it gets another successor, and the
//! one that was lost is overtaken. At any time one token of a family is live.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::UserId;
use uuid::Uuid;

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, `sid` in access tokens.
    pub id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// Generation of the live token.
    pub generation: i32,
    /// When the live token ends.
    pub expires_at: DateTime<Utc>,
    /// Whether it was ended by logout, reuse or an admin.
    pub ended: bool,
}

/// A refresh token as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken {
    /// Which in the row of its family's tokens.
    pub generation: i32,
    /// When it was used or overtaken.
    pub spent_at: Option<DateTime<Utc>>,
}

/// What happens to a refresh token that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It is spent, and a token of this generation takes its place.
    Rotate {
        /// The new token's generation.
        generation: i32,
    },
    /// A retry: another token of the live generation overtakes the one whose answer was lost.
    Retry {
        /// The new token's generation.
        generation: i32,
    },
    /// It is in two hands: the family ends.
    Reuse,
    /// The login is over.
    Over,
}

impl Session {
    /// A new login.
    #[must_use]
    pub fn begin(id: Uuid, user_id: UserId, now: DateTime<Utc>, refresh_ttl: TimeDelta) -> Self {
        Self {
            id,
            user_id,
            generation: 1,
            expires_at: now + refresh_ttl,
            ended: false,
        }
    }

    /// Judges a token of this login.
    #[must_use]
    pub fn refresh(&self, token: PresentedToken, now: DateTime<Utc>, retry_grace: TimeDelta) -> Refresh {
        if self.ended || self.expires_at <= now {
            return Refresh::Over;
        }
        let Some(spent_at) = token.spent_at else {
            return Refresh::Rotate {
                generation: self.generation.saturating_add(1),
            };
        };
        let successor_is_unused = token.generation >= self.generation.saturating_sub(1);
        if successor_is_unused && now - spent_at <= retry_grace {
            Refresh::Retry {
                generation: self.generation,
            }
        } else {
            Refresh::Reuse
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: TimeDelta = TimeDelta::seconds(10);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn session(generation: i32) -> Session {
        let ttl = TimeDelta::days(30);
        Session {
            generation,
            ..Session::begin(Uuid::from_u128(1), UserId::new(Uuid::from_u128(2)), at(0), ttl)
        }
    }

    fn token(generation: i32, spent_at: Option<i64>) -> PresentedToken {
        PresentedToken {
            generation,
            spent_at: spent_at.map(at),
        }
    }

    #[test]
    fn the_live_token_makes_the_next() {
        let refresh = session(3).refresh(token(3, None), at(60), GRACE);
        assert_eq!(refresh, Refresh::Rotate { generation: 4 });
    }

    #[test]
    fn a_retry_whose_successor_is_unused_gets_another() {
        let refresh = session(4).refresh(token(3, Some(60)), at(70), GRACE);
        assert_eq!(refresh, Refresh::Retry { generation: 4 });
    }

    #[test]
    fn a_spent_token_is_reuse_when_late_or_when_its_successor_was_used() {
        assert_eq!(
            session(4).refresh(token(3, Some(60)), at(71), GRACE),
            Refresh::Reuse
        );
        assert_eq!(
            session(5).refresh(token(3, Some(60)), at(61), GRACE),
            Refresh::Reuse
        );
    }

    #[test]
    fn a_login_that_is_over_stays_over() {
        let ended = Session {
            ended: true,
            ..session(1)
        };
        assert_eq!(ended.refresh(token(1, None), at(1), GRACE), Refresh::Over);
        assert_eq!(
            session(1).refresh(token(1, None), at(30 * 86_400), GRACE),
            Refresh::Over
        );
    }
}
