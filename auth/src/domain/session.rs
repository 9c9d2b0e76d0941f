//! A login, and the rule by which its refresh tokens follow each other.
//!
//! Each token has exactly one successor. Whoever repeats a token within the grace, because the answer was lost or because
//! two tabs share it, gets that same successor again. Once the successor was used, or after the grace, a token that comes
//! back is in two hands: the whole family ends. At any time one token of a family is live.

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
    /// What became of it until now.
    pub state: TokenState,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Nothing yet.
    Live,
    /// It was exchanged for the next generation's.
    Used {
        /// When.
        at: DateTime<Utc>,
    },
}

/// What happens to a refresh token that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It is spent, and a token of this generation takes its place.
    Rotate {
        /// The new token's generation.
        generation: i32,
    },
    /// It was exchanged a moment ago, and its successor is unused: the same answer again.
    Repeat,
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

    /// Decides what a token of this login is answered with.
    #[must_use]
    pub fn refresh(&self, token: PresentedToken, now: DateTime<Utc>, grace: TimeDelta) -> Refresh {
        if self.ended || self.expires_at <= now {
            return Refresh::Over;
        }
        let successor_is_unused = token.generation.saturating_add(1) == self.generation;
        match token.state {
            TokenState::Live => Refresh::Rotate {
                generation: self.generation.saturating_add(1),
            },
            TokenState::Used { at } if successor_is_unused && now - at <= grace => Refresh::Repeat,
            TokenState::Used { .. } => Refresh::Reuse,
        }
    }
}

#[cfg(test)]
mod tests;
