//! Errors as RFC 9457 problems: `application/problem+json` with a stable `type` for each code.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod catalogue;
mod code;

pub use catalogue::catalogue;
pub use code::Code;

use crate::telemetry;

/// The content type of every problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// An error on its way to the client. Handlers return it as their error type.
///
/// A server error (5xx) never shows its cause; the cause chain is logged once, when the response is made.
pub struct Problem {
    code: Code,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    violated_policies: Box<[&'static str]>,
    headers: Vec<(HeaderName, HeaderValue)>,
    trace_id: Option<Box<str>>,
    source: Option<anyhow::Error>,
    logged: AtomicBool,
}

/// One thing wrong with the request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer to the member, for example `/items/0/quantity`.
    #[schema(example = "/items/0/quantity")]
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// A problem's body (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "https://quadrille.dev/problems/not-found",
    "title": "There is no such resource",
    "status": 404,
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}))]
pub struct ProblemBody {
    /// Stable for each kind of problem: `https://quadrille.dev/problems/<code>`.
    #[serde(rename = "type")]
    #[schema(example = "https://quadrille.dev/problems/not-found")]
    pub kind: String,
    /// The same for every problem of its type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is particular to this occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Finds this request in logs and traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Each thing wrong with the body, when that is the problem.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The rate limits that turned the request away, as `RateLimit-Policy` names them, when that is the problem.
    #[serde(rename = "violated-policies", default, skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<String>,
}

impl Problem {
    /// A problem of the given kind.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            violated_policies: Box::default(),
            headers: Vec::new(),
            trace_id: telemetry::current_trace_id().map(String::into_boxed_str),
            source: None,
            logged: AtomicBool::new(false),
        }
    }

    /// A server error with its cause, which is logged and not shown.
    #[must_use]
    pub fn internal(source: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Internal).caused_by(source)
    }

    /// Something this service needs is not there right now; the cause is logged and not shown.
    #[must_use]
    pub fn unavailable(source: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Unavailable).retry_after(1).caused_by(source)
    }

    /// One member of the body is wrong.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::Validation).error(pointer, detail)
    }

    /// Says what is particular to this occurrence. Never put personal data or a cause of a 5xx here.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds one wrong member of the body.
    #[must_use]
    pub fn error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Names a rate limit that turns the request away (draft-ietf-httpapi-ratelimit-headers-11, `violated-policies`).
    #[must_use]
    pub fn violates(mut self, policy: &'static str) -> Self {
        let mut policies = std::mem::take(&mut self.violated_policies).into_vec();
        policies.push(policy);
        self.violated_policies = policies.into_boxed_slice();
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Tells the client when to try again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Someone logged the cause already.
    #[must_use]
    pub fn already_logged(self) -> Self {
        self.logged.store(true, Ordering::Relaxed);
        self
    }

    /// What kind of problem this is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The wrong members of the body.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The response's body.
    #[must_use]
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: self.code.type_uri(),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.as_ref().map(ToString::to_string),
            trace_id: self
                .trace_id
                .clone()
                .map(String::from)
                .or_else(telemetry::current_trace_id),
            errors: self.errors.clone(),
            violated_policies: self.violated_policies.iter().map(ToString::to_string).collect(),
        }
    }

    /// Logs the cause chain of a server error, the first time it is called. What passes by itself is a warning.
    fn log(&self) {
        let status = self.code.status();
        if !status.is_server_error() || self.logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let code = self.code.as_str();
        let cause = self.source.as_ref().map(|source| format!("{source:#}"));
        let cause = cause.as_deref().or(self.detail.as_deref()).unwrap_or_default();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(problem.code = code, error.message = cause, "request failed");
        } else {
            tracing::error!(problem.code = code, error.message = cause, "request failed");
        }
    }
}

/// Middleware writes an error down in this form, at every one of them. So it is short: of the cause what it says, and not the
/// backtrace that `RUST_BACKTRACE` has it carry. Finding the names of its frames takes longer than a request does, and where
/// many requests fail because something is overloaded, that would be what keeps it so.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.source.as_ref().map(|source| format!("{source:#}"));
        f.debug_struct("Problem")
            .field("code", &self.code)
            .field("detail", &self.detail)
            .field("errors", &self.errors)
            .field("source", &cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code.as_str())?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(AsRef::as_ref)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.headers {
            response.append_header((name.clone(), value.clone()));
        }
        response.content_type(CONTENT_TYPE);
        match serde_json::to_string(&self.body()) {
            Ok(body) => response.body(body),
            Err(_) => response.finish(),
        }
    }
}

impl From<diesel::result::Error> for Problem {
    fn from(error: diesel::result::Error) -> Self {
        match crate::database::is_passing(&error) {
            true => Self::unavailable(anyhow::Error::new(error).context("the database broke off")),
            false => Self::internal(error),
        }
    }
}

impl From<crate::database::PoolError> for Problem {
    fn from(error: crate::database::PoolError) -> Self {
        Self::unavailable(anyhow::Error::new(error).context("no database connection"))
    }
}

#[cfg(test)]
mod tests;
