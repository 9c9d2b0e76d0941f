//! What an answer must be.

use crate::Stop;
use crate::exchange::{Exchange, Response};

impl Exchange {
    /// The failure of this exchange.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> Stop {
        Stop::Failed(format!("        {why}\n{}", self.shown()))
    }

    /// The one response.
    pub(crate) fn response(&self) -> Result<Response, Stop> {
        let mut responses = self.responses();
        match (responses.pop(), responses.is_empty()) {
            (Some(response), true) => Ok(response),
            (None, _) => Err(self.wrong("there is no answer")),
            (Some(_), false) => Err(self.wrong("there is more than one answer")),
        }
    }

    /// The one response, which has one of these statuses and leaks nothing.
    pub(crate) fn status(&self, statuses: &[u16]) -> Result<Response, Stop> {
        let response = self.response()?;
        if !statuses.contains(&response.status) {
            return Err(self.wrong(format!("{} where one of {statuses:?} is right", response.status)));
        }
        self.leaks_nothing()?;
        Ok(response)
    }

    /// The one response: a problem of this status and code.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Result<Response, Stop> {
        let response = self.status(&[status])?;
        let content_type = response.header("content-type").unwrap_or_default();
        let found = response.json();
        let kind = found
            .get("type")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        if !content_type.starts_with("application/problem+json") || !kind.ends_with(&format!("/{code}")) {
            return Err(self.wrong(format!("the answer is no problem `{code}`")));
        }
        Ok(response)
    }

    /// Refused as a message: at most one answer, 4xx, 501 or 505, and the connection is closed.
    pub(crate) fn refused(&self) -> Result<(), Stop> {
        let responses = self.responses();
        if let Some(taken) = responses
            .iter()
            .find(|response| !matches!(response.status, 400..=499 | 501 | 505))
        {
            return Err(self.wrong(format!("taken with {}", taken.status)));
        }
        if responses.len() > 1 {
            return Err(self.wrong("one message became two"));
        }
        if responses.is_empty() && !self.is_silent() {
            return Err(self.wrong("the answer is no HTTP"));
        }
        if !self.closed {
            return Err(self.wrong("the connection stays open"));
        }
        self.leaks_nothing()
    }

    /// No answer shows what is behind it.
    pub(crate) fn leaks_nothing(&self) -> Result<(), Stop> {
        let signs = [
            "panicked",
            "diesel",
            "postgres://",
            "RUST_BACKTRACE",
            "stack backtrace",
            ".rs:",
        ];
        match signs.into_iter().find(|sign| self.has(sign)) {
            Some(sign) => Err(self.wrong(format!("the answer shows `{sign}`"))),
            None => Ok(()),
        }
    }

    /// That something holds of the exchange.
    pub(crate) fn must(&self, holds: bool, why: &str) -> Result<(), Stop> {
        if holds { Ok(()) } else { Err(self.wrong(why)) }
    }
}
