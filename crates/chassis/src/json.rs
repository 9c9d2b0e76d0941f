//! A strict JSON body: bounded, declared as JSON, no unknown members, valid.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures::StreamExt;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::decided;
use crate::problem::{Code, Problem};
use crate::wording;

mod missing;
mod objects;
pub mod pointer;

/// Longest body when the server did not say otherwise, in bytes.
const DEFAULT_LIMIT_BYTES: usize = 262_144;

/// How long a body may be, in bytes. In the app data of every server the chassis starts.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

/// Extracts the body as `T`.
///
/// 415 when it is not declared as JSON, 413 over the limit, 400 when it is not JSON, 422 with a pointer for
/// each thing wrong when it does not fit `T` or its `garde` rules. `T` must refuse what it does not know:
/// give it `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The body.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> FromRequest for Json<T>
where
    T: DeserializeOwned + Validate + ToSchema + 'static,
    T::Context: Default,
{
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            decided(&request).await;
            require_json(&request)?;
            require_plain(&request)?;
            let body = read_body(&request, payload).await?;
            parse(&body).map(Self)
        })
    }
}

/// Reads and validates `T` from JSON text: the same rules for bodies that did not come as a request's.
///
/// # Errors
/// 400 when it is not JSON, 422 when it does not fit.
pub fn parse<T>(body: &[u8]) -> Result<T, Problem>
where
    T: DeserializeOwned + Validate + ToSchema,
    T::Context: Default,
{
    let value: T = deserialize(body, unfit::<T>)?;
    value
        .validate()
        .map_err(|report| validation_problem(&report, body))?;
    Ok(value)
}

/// As [`parse`], for what has no rules besides its type and no schema: the first thing that does not fit is told.
///
/// # Errors
/// 400 when it is not JSON, 422 when it does not fit.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    deserialize(body, |_, message, at| {
        Problem::invalid(at, wording::of_type(message))
    })
}

fn deserialize<T: DeserializeOwned>(
    body: &[u8],
    unfit: impl Fn(&[u8], &str, &str) -> Problem,
) -> Result<T, Problem> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        // serde would read an array as a struct's members in their order.
        serde_json::from_slice::<serde::de::IgnoredAny>(body)
            .map_err(|error| read_problem(&error, String::new()))?;
        return Err(Problem::invalid("", "must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(objects::Objects(&mut json)).map_err(|error| {
        let pointer = pointer::of_path(error.path());
        if error.inner().is_syntax() && is_json(body) {
            // well-formed, but serde_json calls it so when an enum's name is no string, or a number beyond all floats
            let out_of_range = error.inner().to_string().starts_with("number out of range");
            let reason = if out_of_range {
                "is out of range"
            } else {
                "must be a string"
            };
            Problem::invalid(pointer, reason)
        } else if error.inner().is_data() {
            unfit(body, &error.inner().to_string(), &pointer)
        } else {
            read_problem(error.inner(), pointer)
        }
    })?;
    json.end().map_err(|error| read_problem(&error, String::new()))?;
    Ok(value)
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// A 422 with what serde stopped at, and every member that is missing.
fn unfit<T: ToSchema>(body: &[u8], message: &str, at: &str) -> Problem {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Problem::invalid(at, wording::of_type(message));
    };
    let mut missing = missing::of::<T>(&value);
    let mut problem = Problem::new(Code::Validation);
    if message.starts_with("missing field") {
        // the schema knows it, unless it was written by hand
        let stopped_at = pointer::below(at, wording::named(message).unwrap_or_default());
        if !missing.contains(&stopped_at) {
            missing.push(stopped_at);
        }
    } else {
        problem = problem.error(at, wording::of_type(message));
    }
    missing
        .into_iter()
        .fold(problem, |problem, pointer| problem.error(pointer, "is missing"))
}

/// A 422 with a pointer for each rule that was broken.
fn validation_problem(report: &garde::Report, body: &[u8]) -> Problem {
    let value = serde_json::from_slice::<Value>(body).unwrap_or_default();
    report
        .iter()
        .fold(Problem::new(Code::Validation), |problem, (path, error)| {
            let pointer = pointer::of_dotted(&path.to_string());
            let words = wording::of_rule(error.message(), value.pointer(&pointer));
            problem.error(pointer, words)
        })
}

fn read_problem(error: &serde_json::Error, pointer: String) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => Problem::invalid(pointer, wording::of_type(&error.to_string())),
        serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof
        | serde_json::error::Category::Io => Problem::new(Code::MalformedJson).detail(format!(
            "line {}, column {}",
            error.line(),
            error.column()
        )),
    }
}

fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let essence = request.content_type().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = if request.headers().contains_key(CONTENT_TYPE) {
        "content-type is not application/json"
    } else {
        "content-type is missing"
    };
    Err(Problem::new(Code::UnsupportedMediaType).detail(detail))
}

/// Bodies are not decoded: a short one could become a long one.
///
/// # Errors
/// 415 with what is taken instead (RFC 9110, section 15.5.16).
pub fn require_plain(request: &HttpRequest) -> Result<(), Problem> {
    let mut codings = request.headers().get_all(CONTENT_ENCODING);
    if codings.all(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Problem::new(Code::UnsupportedMediaType)
        .detail("the body has a Content-Encoding: send it as it is, without one")
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity")))
}

async fn read_body(request: &HttpRequest, mut payload: Payload) -> Result<Bytes, Problem> {
    let limit = request
        .app_data::<BodyLimit>()
        .map_or(DEFAULT_LIMIT_BYTES, |limit| limit.0);
    let too_large = || Problem::new(Code::PayloadTooLarge).detail(format!("the limit is {limit} bytes"));
    if declared_length(request).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::BadRequest)
                .detail("the body could not be read")
                .caused_by(error)
        })?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn declared_length(request: &HttpRequest) -> Option<usize> {
    request
        .headers()
        .get(actix_web::http::header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests;
