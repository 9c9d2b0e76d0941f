//! Lists by page: an opaque, signed cursor, a bounded limit, `Link: rel="next"`.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::UserId;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// Items a page when the client does not say.
pub const DEFAULT_LIMIT: u16 = 20;
/// Items a page at most.
pub const MAX_LIMIT: u16 = 100;

/// Between the reading of the clock for an id and for the time beside it.
const MOMENT: TimeDelta = TimeDelta::seconds(1);

/// Longest cursor that is read: no list hands out one that is nearly as long.
const CURSOR_LENGTH_MAX: usize = 512;
/// Bytes of a cursor's signature: HMAC-SHA256, cut to its half (RFC 2104, section 5).
const SIGNATURE_LENGTH: usize = 16;

/// What cursors are signed with; the same in every replica of a service.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl CursorKey {
    /// The key that `secret` makes; one of this process's own when it is empty.
    pub(crate) fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret();
        if !secret.is_empty() {
            return Self::of(secret.as_bytes());
        }
        tracing::warn!(
            "http.cursor_secret is not set: cursors of lists hold in this process only, until it ends"
        );
        let own: [u8; 32] = rand::random();
        Self::of(&own)
    }

    fn of(secret: &[u8]) -> Self {
        // as long as HMAC-SHA256's key is, whatever the secret's length
        Self(Hmac::new(&Sha512::digest(secret)))
    }
}

/// A list as one caller asks for it: the resource, what the caller wants of it, and who the caller is. A cursor leads on
/// in the list that handed it out and in no other.
pub struct List {
    signer: Hmac<Sha256>,
}

impl List {
    /// The list that `viewer` asks for by `request`: its path, and all parameters of its query that choose what is in it.
    ///
    /// # Errors
    /// A query that cannot be read; outside of a service.
    pub fn of(request: &HttpRequest, viewer: UserId) -> Result<Self, Problem> {
        let key = request
            .app_data::<CursorKey>()
            .ok_or_else(|| Problem::internal(anyhow::anyhow!("no cursor key in the app data")))?;
        Self::new(key, request.path(), request.query_string(), viewer)
    }

    fn new(key: &CursorKey, path: &str, query: &str, viewer: UserId) -> Result<Self, Problem> {
        let mut filter = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| Problem::new(Code::InvalidQuery).detail(error.to_string()))?
            .into_inner();
        // where in the list and how much of it at a time: the list stays the same
        filter.retain(|(name, _)| name != "cursor" && name != "limit");
        filter.sort();
        // JSON says where it ends: what is signed after it cannot be taken for a part of it
        let bound_to = serde_json::to_vec(&("cursor", path, viewer, filter)).map_err(Problem::internal)?;
        let mut signer = key.0.clone();
        signer.update(&bound_to);
        Ok(Self { signer })
    }

    /// A cursor that stands after `position`, which is whatever the list orders by.
    ///
    /// # Errors
    /// When `position` has no JSON form: a bug.
    pub fn after<T: Serialize>(&self, position: &T) -> Result<String, Problem> {
        let json = serde_json::to_vec(position).map_err(Problem::internal)?;
        let signature = self.signer.clone().chain_update(&json).finalize().into_bytes();
        let signed: Vec<u8> = signature.into_iter().take(SIGNATURE_LENGTH).chain(json).collect();
        Ok(URL_SAFE_NO_PAD.encode(signed))
    }

    /// Reads the cursor that the client sent back, if any.
    ///
    /// # Errors
    /// 400 when this list did not hand it out.
    pub fn position<T: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        cursor.map(|text| self.read(text)).transpose()
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, Problem> {
        let invalid = || Problem::new(Code::InvalidCursor);
        if text.len() > CURSOR_LENGTH_MAX {
            return Err(invalid());
        }
        let signed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| invalid().caused_by(error))?;
        let (signature, json) = signed.split_at_checked(SIGNATURE_LENGTH).ok_or_else(invalid)?;
        self.signer
            .clone()
            .chain_update(json)
            .verify_truncated_left(signature)
            .map_err(|_mismatch| invalid())?;
        serde_json::from_slice(json).map_err(|error| invalid().caused_by(error))
    }

    /// A page out of `limit` + 1 rows: the extra one says that there are more, and is cut off.
    /// `position` tells where the list goes on after an item.
    ///
    /// # Errors
    /// When a position has no JSON form: a bug.
    pub fn page<T, P: Serialize>(
        &self,
        mut items: Vec<T>,
        limit: u16,
        position: impl FnOnce(&T) -> P,
    ) -> Result<Page<T>, Problem> {
        let limit = usize::from(limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = match items.last() {
            Some(last) if more => Some(self.after(&position(last))?),
            Some(_) | None => None,
        };
        Ok(Page { items, next_cursor })
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Pass it as `cursor` to get the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with its items turned into something else, for example rows into views.
    pub fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(view).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

impl<T> Page<T> {
    /// Adds a `Link` to the next page to a response of another shape, when there is one.
    pub fn link(&self, request: &HttpRequest, response: &mut HttpResponseBuilder) {
        if let Some(cursor) = &self.next_cursor {
            response.insert_header((LINK, next_link(request.path(), request.query_string(), cursor)));
        }
    }
}

impl<T: Serialize> Page<T> {
    /// The response: 200 with the page, and a `Link` to the next one when there is one.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        self.link(request, &mut response);
        response.json(self)
    }
}

/// Ids are version 7 UUIDs and begin with the time at which they were made, which is that of what they name give or take
/// a moment: what was made at `from` or later has no id before this one. It lets a list that goes by ids begin there.
#[must_use]
pub fn first_id_about(from: DateTime<Utc>) -> Uuid {
    id_at(from.checked_sub_signed(MOMENT).unwrap_or(from))
}

/// The same for the other end: what was made before `to` has an id before this one.
#[must_use]
pub fn last_id_about(to: DateTime<Utc>) -> Uuid {
    id_at(to.checked_add_signed(MOMENT).unwrap_or(to))
}

/// The smallest id of a time.
#[must_use]
pub fn id_at(time: DateTime<Utc>) -> Uuid {
    const MILLIS_MAX: u64 = (1 << 48) - 1;
    let millis = u64::try_from(time.timestamp_millis())
        .unwrap_or_default()
        .min(MILLIS_MAX);
    Uuid::from_u128(u128::from(millis) << 80)
}

/// The least and the most of an amount that a list is asked for: exactly one, or a range of which each end may be open.
#[must_use]
pub fn range(exactly: Option<i64>, least: Option<i64>, most: Option<i64>) -> (Option<i64>, Option<i64>) {
    (
        exactly.into_iter().chain(least).max(),
        exactly.into_iter().chain(most).min(),
    )
}

/// The limit to use: the client's, bounded, or the default.
#[must_use]
pub fn limit(asked: Option<u16>) -> u16 {
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

/// Keeps the other parameters as they came. The cursor's alphabet needs no escaping.
fn next_link(path: &str, query: &str, cursor: &str) -> String {
    let kept = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let next = format!("cursor={cursor}");
    let query: Vec<_> = kept.chain([next.as_str()]).collect();
    format!("<{path}?{}>; rel=\"next\"", query.join("&"))
}

#[cfg(test)]
mod tests;
