//! The `Idempotency-Key` header: bare or quoted, printable, 255 characters at most.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

pub(crate) const HEADER: &str = "idempotency-key";
const MAX_CHARS: usize = 255;

/// The request's key, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

/// How the header is documented: `params(IdempotencyHeader)`.
#[derive(Debug, Serialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyHeader {
    /// 1 to 255 printable characters, bare or in quotes: sending the same again with it does nothing again, and gets the
    /// stored answer
    #[serde(rename = "Idempotency-Key")]
    #[param(
        min_length = 1,
        max_length = 257,
        pattern = r#"^([!#-~]{1,255}|"[!#-~]{1,255}")$"#
    )]
    pub idempotency_key: Option<String>,
}

/// What a key is held against when it comes again: a hash of the request as it was understood, so that white space and the
/// order of members do not matter.
///
/// # Errors
/// When the request cannot be written as JSON: a bug.
pub fn request_hash(request: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let canonical = serde_json::to_vec(request).map_err(Problem::internal)?;
    Ok(Sha256::digest(canonical).to_vec())
}

/// The header of an answer that was given before.
pub const REPLAYED: (&str, &str) = ("Idempotent-Replayed", "true");

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all(HEADER);
        ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => value
                .to_str()
                .ok()
                .and_then(parse)
                .map(|key| Self(Some(key)))
                .ok_or_else(malformed),
            (Some(_), Some(_)) => Err(malformed()),
        })
    }
}

fn parse(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let fits =
        (1..=MAX_CHARS).contains(&bare.len()) && bare.chars().all(|c| c.is_ascii_graphic() && c != '"');
    fits.then(|| bare.to_owned())
}

fn malformed() -> Problem {
    Problem::new(Code::BadRequest)
        .detail("Idempotency-Key must be one value of 1 to 255 printable characters, bare or in quotes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_the_same_bare_and_quoted(key in "[!#-~]{1,255}") {
            prop_assert_eq!(parse(&key), Some(key.clone()));
            prop_assert_eq!(parse(&format!("\"{key}\"")), Some(key));
        }

        #[test]
        fn whatever_comes_is_a_key_of_printable_characters_or_none(text in r#"\PC{0,300}|[ -~]{0,300}|"[ -~]{0,300}""#) {
            if let Some(key) = parse(&text) {
                prop_assert!((1..=MAX_CHARS).contains(&key.len()));
                prop_assert!(key.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'"'));
                let quoted = format!("\"{key}\"");
                prop_assert!([key, quoted].contains(&text.trim().to_owned()));
            }
        }
    }

    #[test]
    fn bare_and_quoted_are_the_same_key() {
        assert_eq!(parse("abc-1"), Some("abc-1".to_owned()));
        assert_eq!(parse("\"abc-1\""), Some("abc-1".to_owned()));
        let too_long = "x".repeat(256);
        for bad in ["", "\"\"", "\"", "a b", "a\"b", too_long.as_str()] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
