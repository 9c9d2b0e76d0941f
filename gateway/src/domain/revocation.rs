//! Logins that ended before their access tokens expired, and which tokens that ends.
//!
//! A login that ended on its own does not begin again: none of its tokens counts, whenever it says it was issued; clocks
//! of several processes differ. Where all logins of a user ended, the time decides between those and the next. A token
//! says when it was issued in whole seconds (`iat`), a revocation when it happened to the microsecond. A token issued in
//! an earlier second than the revocation's does not count, one of a later second does. Within the same second its id
//! decides: it is a version 7 UUID and tells the millisecond in which the token was made. So whoever logs in again right
//! after everybody was logged out is let in, and no token from before is.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contracts::events::SessionRevoked;
use contracts::{Aggregate, UserId};
use uuid::Uuid;

/// What ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ended {
    /// Every login of a user.
    User(UserId),
    /// One login.
    Session(Uuid),
}

/// One revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub user_id: UserId,
    /// The login, or `None` for all.
    pub session_id: Option<Uuid>,
    /// Access tokens issued up to then no longer count.
    pub revoked_at: DateTime<Utc>,
}

/// What a token says about itself, as far as revocations go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// Whom it speaks for.
    pub user_id: UserId,
    /// The login it came from.
    pub session_id: Uuid,
    /// `jti`
    pub token_id: Uuid,
    /// `iat`: a whole second.
    pub issued_at: DateTime<Utc>,
}

/// The revocations that still matter, in bounded memory. When there is no room, the oldest is forgotten and every token
/// issued up to then is refused, whoever's it is: nobody revoked gets in, some who are not must refresh their token.
#[derive(Debug)]
pub struct RevocationList {
    entries: HashMap<Ended, DateTime<Utc>>,
    by_time: BTreeSet<(DateTime<Utc>, Ended)>,
    entries_max: usize,
    floor: Option<DateTime<Utc>>,
}

impl From<SessionRevoked> for Revocation {
    fn from(fact: SessionRevoked) -> Self {
        Self {
            user_id: fact.user_id,
            session_id: fact.session_id,
            revoked_at: fact.revoked_at,
        }
    }
}

impl Aggregate for Revocation {
    /// It announces nothing.
    fn next_sequence(&mut self) -> u64 {
        0
    }
}

impl RevocationList {
    /// An empty list for at most `entries_max` entries.
    #[must_use]
    pub fn new(entries_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_time: BTreeSet::new(),
            entries_max,
            floor: None,
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Remembers a revocation. Of several of the same login, or of the same user, the latest counts.
    pub fn add(&mut self, revocation: &Revocation) {
        let ended = revocation
            .session_id
            .map_or(Ended::User(revocation.user_id), Ended::Session);
        match self.entries.get(&ended) {
            Some(known) if *known >= revocation.revoked_at => return,
            Some(known) => {
                self.by_time.remove(&(*known, ended));
            }
            None => {}
        }
        self.entries.insert(ended, revocation.revoked_at);
        self.by_time.insert((revocation.revoked_at, ended));
        while self.entries.len() > self.entries_max {
            let Some((revoked_at, oldest)) = self.by_time.pop_first() else {
                return;
            };
            self.entries.remove(&oldest);
            self.floor = self.floor.max(Some(revoked_at));
        }
    }

    /// Forgets what was revoked up to `time`: no token from then is left.
    pub fn forget_until(&mut self, time: DateTime<Utc>) {
        while let Some((revoked_at, _)) = self.by_time.first() {
            if *revoked_at > time {
                break;
            }
            if let Some((_, ended)) = self.by_time.pop_first() {
                self.entries.remove(&ended);
            }
        }
        self.floor = self.floor.filter(|floor| *floor > time);
    }

    /// Whether a token no longer counts.
    #[must_use]
    pub fn ends(&self, token: &Issued) -> bool {
        let user = self.entries.get(&Ended::User(token.user_id));
        self.entries.contains_key(&Ended::Session(token.session_id))
            || user.is_some_and(|revoked_at| is_before(token, *revoked_at))
            || self.floor.is_some_and(|floor| is_before(token, floor))
    }
}

fn second(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}

fn is_before(token: &Issued, revoked_at: DateTime<Utc>) -> bool {
    match second(token.issued_at).cmp(&second(revoked_at)) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => {
            made_at_ms(token.token_id).is_none_or(|made| made <= revoked_at.timestamp_millis())
        }
    }
}

/// When a token was made, by its id.
fn made_at_ms(token: Uuid) -> Option<i64> {
    if token.get_version_num() != 7 {
        return None;
    }
    i64::try_from(token.as_u128() >> 80).ok()
}

#[cfg(test)]
mod tests;
