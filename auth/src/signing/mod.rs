//! The keys that sign access tokens: which one signs, which are published, how they follow each other.
//!
//! A key is a row that says from when it signs. Of the keys whose time has come the newest signs; a new key is added
//! with a time to come, so that it is published, and known wherever tokens are verified, before its first token; an old
//! one stays published until its last token has expired. Nobody switches anything: every replica reads the rows from
//! time to time and decides by the clock.

mod ring;
mod rotation;

pub(crate) use ring::{KeyRing, encryption, overlap};
pub(crate) use rotation::{KeyState, ensure_one, list, remove_old, reseal, rotate};
