//! How a customer pays: a token of the payment provider.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The tokens that the payment service's providers know.
const KNOWN: [&str; 6] = [
    "pm_card_visa",
    "pm_card_declined",
    "pm_card_insufficient_funds",
    "pm_provider_error",
    "pm_provider_flaky",
    "pm_provider_slow",
];

/// A payment method that can be charged (or, for trying things out, be seen to fail).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentMethod(&'static str);

/// No provider knows this token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown payment method; known are {}", KNOWN.join(", "))]
pub struct UnknownPaymentMethod;

impl FromStr for PaymentMethod {
    type Err = UnknownPaymentMethod;

    fn from_str(token: &str) -> Result<Self, Self::Err> {
        KNOWN
            .into_iter()
            .find(|known| *known == token)
            .map(Self)
            .ok_or(UnknownPaymentMethod)
    }
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
