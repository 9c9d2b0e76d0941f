//! Why an exchange with a service failed, and what the client is told.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use chassis::problem::{Code, Problem};
use thiserror::Error;

use super::upload::UploadError;
use crate::domain::routing::Upstream;

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The client sent more than the route takes.
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The route's limit.
        limit_bytes: u64,
    },
    /// The client broke off, or sent what is no body.
    #[error("the body could not be read: {0}")]
    BrokenUpload(String),
    /// The client took longer than the whole exchange may take.
    #[error("the body did not arrive in time")]
    SlowUpload,
    /// It cannot be told what the client wants passed on.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// The gateway has no place for another request to the service.
    #[error("as many requests to {} are under way as may be", upstream.name())]
    Full {
        /// The service.
        upstream: Upstream,
    },
    /// The request's target has no path.
    #[error("the request target has no path")]
    NoPath,
    /// No connection could be made, or it broke, or the answer made no sense.
    #[error("{} failed: {cause}", upstream.name())]
    Upstream {
        /// The service.
        upstream: Upstream,
        /// What happened.
        cause: String,
        /// Whether the service may have seen the request.
        sent: bool,
    },
    /// A connection could not be made in time, or the answer did not come in time.
    #[error("{} did not answer in time: {cause}", upstream.name())]
    UpstreamTimeout {
        /// The service.
        upstream: Upstream,
        /// What took too long.
        cause: &'static str,
        /// Whether the service may have seen the request.
        sent: bool,
    },
    /// The service has failed so often that it is left alone for a while.
    #[error("{} is left alone for {wait:?}", upstream.name())]
    Unavailable {
        /// The service.
        upstream: Upstream,
        /// For how long.
        wait: Duration,
    },
}

impl ProxyError {
    /// Tells whose fault a failed exchange is.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the library's list of errors grows"
    )]
    pub(super) fn from_send(error: SendRequestError, upstream: Upstream) -> Self {
        match error {
            SendRequestError::Body(cause) => match cause.downcast::<UploadError>() {
                Ok(cause) => (*cause).into(),
                Err(cause) => Self::BrokenUpload(cause.to_string()),
            },
            SendRequestError::Connect(ConnectError::Timeout) => Self::UpstreamTimeout {
                upstream,
                cause: "connection",
                sent: false,
            },
            SendRequestError::Timeout => Self::UpstreamTimeout {
                upstream,
                cause: "response",
                sent: true,
            },
            // the library's `Disconnected` comes from an established connection, too
            SendRequestError::Connect(
                cause @ (ConnectError::Io(_) | ConnectError::Resolver(_) | ConnectError::NoRecords),
            ) => Self::Upstream {
                upstream,
                cause: cause.to_string(),
                sent: false,
            },
            other => Self::Upstream {
                upstream,
                cause: other.to_string(),
                sent: true,
            },
        }
    }

    /// Whether it speaks against the endpoint that was asked.
    pub(super) const fn blames_the_service(&self) -> bool {
        matches!(self, Self::Upstream { .. } | Self::UpstreamTimeout { .. })
    }

    /// Whether another attempt may do better. `repeatable` tells whether a request may be made twice. A service that took
    /// all its time is not asked again: it has too much to do already.
    pub(super) const fn is_worth_another(&self, repeatable: bool) -> bool {
        match self {
            Self::Upstream { sent, .. } => repeatable || !*sent,
            Self::UpstreamTimeout { sent, .. } => !*sent,
            Self::TooLarge { .. }
            | Self::BrokenUpload(_)
            | Self::SlowUpload
            | Self::Ambiguous(_)
            | Self::Full { .. }
            | Self::NoPath
            | Self::Unavailable { .. } => false,
        }
    }
}

impl From<UploadError> for ProxyError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            UploadError::Broken(source) => Self::BrokenUpload(source.to_string()),
            UploadError::Gone => Self::BrokenUpload(error.to_string()),
        }
    }
}

impl From<ProxyError> for Problem {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::TooLarge { limit_bytes } => {
                Self::new(Code::PayloadTooLarge).detail(format!("the limit is {limit_bytes} bytes"))
            }
            ProxyError::BrokenUpload(_) => Self::new(Code::BadRequest).detail("the body could not be read"),
            ProxyError::SlowUpload => Self::new(Code::RequestTimeout),
            ProxyError::Ambiguous(why) => Self::new(Code::BadRequest).detail(why),
            ProxyError::Full { .. } => Self::new(Code::Overloaded).retry_after(1).caused_by(error),
            ProxyError::NoPath => Self::new(Code::NotFound),
            ProxyError::Unavailable { wait, .. } => Self::new(Code::Unavailable)
                .retry_after(whole_seconds(wait))
                .caused_by(error),
            ProxyError::Upstream { .. } => Self::new(Code::BadGateway).caused_by(error),
            ProxyError::UpstreamTimeout { .. } => Self::new(Code::GatewayTimeout).caused_by(error),
        }
    }
}

/// Rounded up, and at least one: whoever waits so long is not turned away for the same reason.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
