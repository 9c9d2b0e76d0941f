//! Lists by page: an opaque cursor, a bounded limit, `Link: rel="next"`.

use actix_web::http::header::LINK;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// Items a page when the client does not say.
pub const DEFAULT_LIMIT: u16 = 20;
/// Items a page at most.
pub const MAX_LIMIT: u16 = 100;

/// Where a list goes on. Opaque to clients; inside, whatever the list orders by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor that stands after `position`.
    ///
    /// # Errors
    /// When `position` has no JSON form: a bug.
    pub fn after<T: Serialize>(position: &T) -> Result<Self, Problem> {
        let json = serde_json::to_vec(position).map_err(Problem::internal)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(json)))
    }

    /// Reads a cursor that the client sent back.
    ///
    /// # Errors
    /// 400 when this list did not hand it out.
    pub fn position<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
        let invalid = || Problem::new(Code::InvalidCursor);
        let json = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| invalid().caused_by(error))?;
        serde_json::from_slice(&json).map_err(|error| invalid().caused_by(error))
    }

    /// As it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
    /// A page out of `limit` + 1 rows: the extra one says that there are more, and is cut off.
    /// `position` tells where the list goes on after an item.
    ///
    /// # Errors
    /// When a position has no JSON form: a bug.
    pub fn from_rows<P: Serialize>(
        mut items: Vec<T>,
        limit: u16,
        position: impl FnOnce(&T) -> P,
    ) -> Result<Self, Problem> {
        let limit = usize::from(limit);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = match items.last() {
            Some(last) if more => Some(Cursor::after(&position(last))?.0),
            Some(_) | None => None,
        };
        Ok(Self { items, next_cursor })
    }

    /// The same page with its items turned into something else, for example rows into views.
    pub fn map<U>(self, view: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(view).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

impl<T: Serialize> Page<T> {
    /// The response: 200 with the page, and a `Link` to the next one when there is one.
    pub fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(cursor) = &self.next_cursor {
            response.insert_header((LINK, next_link(request.path(), request.query_string(), cursor)));
        }
        response.json(self)
    }
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
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor::after(&(17, "x")).unwrap();
        assert_eq!(
            Cursor::position::<(i32, String)>(cursor.as_str()).unwrap(),
            (17, "x".to_owned())
        );
    }

    #[test]
    fn a_forged_cursor_is_400() {
        for text in ["", "!!", "AAAA", "e30"] {
            assert_eq!(
                Cursor::position::<(i32, String)>(text).unwrap_err().code(),
                Code::InvalidCursor
            );
        }
    }

    #[test]
    fn only_a_full_page_with_more_behind_it_has_a_next() {
        let page = Page::from_rows(vec![1, 2, 3], 2, |last| *last).unwrap();
        assert_eq!(page.items, [1, 2]);
        assert_eq!(Cursor::position::<i32>(&page.next_cursor.unwrap()).unwrap(), 2);
        assert_eq!(
            Page::from_rows(vec![1, 2], 2, |last| *last).unwrap().next_cursor,
            None
        );
        assert_eq!(
            Page::from_rows(Vec::<i32>::new(), 2, |last| *last)
                .unwrap()
                .next_cursor,
            None
        );
    }

    #[test]
    fn the_link_keeps_the_other_parameters() {
        let link = next_link("/orders", "status=pending&cursor=old&limit=2", "new");
        assert_eq!(link, "</orders?status=pending&limit=2&cursor=new>; rel=\"next\"");
    }
}
