//! What an answer of Stripe that is no success means.

use hyper::StatusCode;
use thiserror::Error;

use super::decline;
use super::http::{NoReply, Reply};
use super::wire::{ErrorBody, Failed};
use crate::provider::ProviderError;

pub(super) const SECRET_KEY: &str = "provider.stripe.secret_key";
const BASE_URL: &str = "provider.stripe.base_url";
const API_VERSION: &str = "provider.stripe.api_version";

/// Characters of Stripe's own words that are passed on.
const MESSAGE_MAX: usize = 300;

/// Why Stripe did not do what it was asked.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    /// The payment is refused for good.
    #[error("declined: {0}")]
    Declined(String),
    /// The object is not in a state for this: what state it is in must be looked up.
    #[error("{0}")]
    State(String),
    /// Nobody knows whether it was done.
    #[error("{detail}")]
    Unknown {
        detail: String,
        /// Whether Stripe would say the same again under the same idempotency key.
        kept: bool,
    },
    /// Nothing was done, and nobody's request is now.
    #[error("{0}")]
    NotNow(String),
    /// Nothing was sent.
    #[error("stripe cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It will not be done before somebody changes a setting.
    #[error("{setting}: {detail}")]
    Misconfigured { setting: &'static str, detail: String },
    /// It will not be done as it was asked for.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    /// Whether the next attempt needs a key of its own.
    pub(super) fn is_kept(&self) -> bool {
        match self {
            Self::State(_) | Self::Unknown { kept: true, .. } => true,
            Self::Unknown { kept: false, .. }
            | Self::Declined(_)
            | Self::NotNow(_)
            | Self::Unreachable(_)
            | Self::Misconfigured { .. }
            | Self::Refused(_) => false,
        }
    }
}

impl From<NoReply> for Trouble {
    fn from(error: NoReply) -> Self {
        match error {
            NoReply::Unreachable(source) => Self::Unreachable(source),
            NoReply::NotNow(detail) => Self::NotNow(detail),
            NoReply::Lost(detail) => Self::Unknown { detail, kept: false },
        }
    }
}

impl From<Trouble> for ProviderError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable(source) => Self::Unreachable(source),
            Trouble::NotNow(detail) => Self::Unreachable(detail.into()),
            Trouble::Misconfigured { setting, detail } => Self::Misconfigured { setting, detail },
            Trouble::Unknown { detail, .. } | Trouble::State(detail) => Self::Failed(detail),
            Trouble::Refused(detail) => Self::Refused(detail),
            declined @ Trouble::Declined(_) => Self::Refused(declined.to_string()),
        }
    }
}

/// What `reply`, which is no success, means.
pub(super) fn of(reply: &Reply) -> Trouble {
    let Ok(Failed { error }) = serde_json::from_slice::<Failed>(&reply.body) else {
        return not_from_stripe(reply);
    };
    let said = Said { error: &error, reply };
    match reply.status.as_u16() {
        401 | 403 => said.of_key(),
        402 => Trouble::Declined(decline::code_of(&error)),
        409 => said.unknown(false),
        429 => said.of_limit(),
        500.. => said.unknown(true),
        _ => said.of_request(),
    }
}

/// Something stands between: a proxy that is in trouble, or a wrong address.
fn not_from_stripe(reply: &Reply) -> Trouble {
    let status = reply.status;
    let detail = format!("the answer {status} is not one of stripe's");
    if status.is_server_error() {
        return Trouble::Unknown { detail, kept: true };
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Trouble::NotNow(detail);
    }
    Trouble::Misconfigured {
        setting: BASE_URL,
        detail,
    }
}

/// A success that cannot be read.
pub(super) fn unreadable(reply: &Reply, error: &serde_json::Error) -> Trouble {
    let detail = format!(
        "stripe's answer cannot be read: {error} (request {})",
        reply.request_id
    );
    Trouble::Unknown { detail, kept: false }
}

struct Said<'a> {
    error: &'a ErrorBody,
    reply: &'a Reply,
}

impl Said<'_> {
    fn code(&self) -> &str {
        self.error.code.as_deref().unwrap_or_default()
    }

    fn is_about(&self, param: &str) -> bool {
        self.error.param.as_deref() == Some(param)
    }

    /// For the operator: status, code, Stripe's words, and the request's id.
    fn detail(&self) -> String {
        let message = self.error.message.as_deref().unwrap_or_default();
        let message: String = message.chars().take(MESSAGE_MAX).collect();
        let (status, code) = (self.reply.status.as_u16(), self.code());
        format!(
            "stripe answered {status} {code}: {message} (request {})",
            self.reply.request_id
        )
    }

    fn unknown(&self, kept: bool) -> Trouble {
        let detail = format!("{}, the result is unknown", self.detail());
        Trouble::Unknown { detail, kept }
    }

    /// Stripe's words are left out: they show a part of the key.
    fn of_key(&self) -> Trouble {
        let (status, code) = (self.reply.status.as_u16(), self.code());
        Trouble::Misconfigured {
            setting: SECRET_KEY,
            detail: format!(
                "stripe does not accept the key for this: {status} {code} (request {})",
                self.reply.request_id
            ),
        }
    }

    /// One object that is locked, or everybody's limit.
    fn of_limit(&self) -> Trouble {
        if self.code() == "lock_timeout" {
            return self.unknown(false);
        }
        Trouble::NotNow(self.detail())
    }

    fn of_request(&self) -> Trouble {
        let message = self.error.message.as_deref().unwrap_or_default();
        match self.code() {
            "payment_intent_unexpected_state" | "charge_already_refunded" => Trouble::State(self.detail()),
            code @ ("amount_too_small" | "amount_too_large") => Trouble::Declined(code.to_owned()),
            "resource_missing" if self.is_about("payment_method") => {
                Trouble::Declined("unknown_payment_method".to_owned())
            }
            _ if self.is_about("payment_method") => Trouble::Declined("invalid_payment_method".to_owned()),
            // an object that this service has made before
            "resource_missing" => Trouble::Misconfigured {
                setting: SECRET_KEY,
                detail: format!("the key is of another account: {}", self.detail()),
            },
            "testmode_charges_only"
            | "livemode_mismatch"
            | "platform_api_key_expired"
            | "secret_key_required"
            | "account_invalid" => self.of_key(),
            // the parameters have changed since, by a new version of this code
            _ if self.error.kind.as_deref() == Some("idempotency_error") => self.unknown(true),
            _ if message.contains("API version") || message.contains("Stripe-Version") => {
                Trouble::Misconfigured {
                    setting: API_VERSION,
                    detail: self.detail(),
                }
            }
            _ => Trouble::Refused(self.detail()),
        }
    }
}

#[cfg(test)]
mod tests;
