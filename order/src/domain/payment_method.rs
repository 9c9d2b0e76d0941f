//! How a customer pays: a token of the payment provider.

use std::fmt;

use serde::Deserialize;
use thiserror::Error;

/// The tokens that the simulated provider knows.
const SIMULATED: [&str; 6] = [
    "pm_card_visa",
    "pm_card_declined",
    "pm_card_insufficient_funds",
    "pm_provider_error",
    "pm_provider_flaky",
    "pm_provider_slow",
];
/// What the ids of Stripe's payment methods begin with.
const STRIPE_PREFIX: &str = "pm_";
/// The longest rest of such an id, in characters.
const STRIPE_REST_MAX: usize = 250;

/// Whose payment methods are taken: those of the provider that new payments go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaymentMethods {
    /// Six that are there for trying things out.
    Simulated,
    /// Ids that Stripe gives out; which of them exist only Stripe knows.
    Stripe,
}

/// A payment method that can be charged (or, for trying things out, be seen to fail).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod(String);

/// No provider knows this token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnknownPaymentMethod {
    /// It is none of the simulated provider's.
    #[error("unknown payment method; known are {}", SIMULATED.join(", "))]
    Simulated,
    /// It does not look like one of Stripe's.
    #[error(
        "unknown payment method; Stripe's are pm_ and up to {STRIPE_REST_MAX} letters, digits or underscores"
    )]
    Stripe,
}

impl PaymentMethods {
    /// The payment method of that token.
    ///
    /// # Errors
    /// [`UnknownPaymentMethod`] when it cannot be one.
    pub fn find(self, token: &str) -> Result<PaymentMethod, UnknownPaymentMethod> {
        let (known, unknown) = match self {
            Self::Simulated => (SIMULATED.contains(&token), UnknownPaymentMethod::Simulated),
            Self::Stripe => (is_of_stripe(token), UnknownPaymentMethod::Stripe),
        };
        if known {
            Ok(PaymentMethod(token.to_owned()))
        } else {
            Err(unknown)
        }
    }
}

fn is_of_stripe(token: &str) -> bool {
    token.strip_prefix(STRIPE_PREFIX).is_some_and(|rest| {
        (1..=STRIPE_REST_MAX).contains(&rest.len())
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

impl fmt::Display for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulated_provider_has_six_and_no_others() {
        for token in SIMULATED {
            let found = PaymentMethods::Simulated.find(token).unwrap();
            assert_eq!(found.to_string(), token);
        }
        for token in ["", "pm_card_visa ", "PM_CARD_VISA", "pm_1PQ2abc", "card"] {
            let refused = PaymentMethods::Simulated.find(token);
            assert_eq!(refused, Err(UnknownPaymentMethod::Simulated), "{token:?}");
        }
    }

    #[test]
    fn of_stripes_only_the_shape_is_known() {
        let (longest, longer) = ("x".repeat(250), "x".repeat(251));
        for rest in ["card_visa", "1PQ2rSLkdIwHu7ix", "1", longest.as_str()] {
            assert!(
                PaymentMethods::Stripe.find(&format!("pm_{rest}")).is_ok(),
                "{rest}"
            );
        }
        for token in [
            "", "pm_", "PM_1", "pm_é", "pm_a-b", "pm_a b", "pm_a\n", "pm_a\0", "src_1", " pm_1",
        ] {
            let refused = PaymentMethods::Stripe.find(token);
            assert_eq!(refused, Err(UnknownPaymentMethod::Stripe), "{token:?}");
        }
        assert!(PaymentMethods::Stripe.find(&format!("pm_{longer}")).is_err());
    }
}
