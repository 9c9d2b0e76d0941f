//! Money as the HTTP interface shows it.

use contracts::{Currency, Money};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount in minor units: 1999 EUR is 19.99 €.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
pub struct MoneyBody {
    /// Whole minor units of the currency.
    #[garde(skip)]
    #[schema(example = 1999)]
    pub amount_minor: i64,
    /// ISO 4217 code.
    #[garde(custom(known_currency))]
    #[schema(example = "EUR")]
    pub currency: String,
}

impl MoneyBody {
    /// The amount, where the currency is one (which validation has made sure of).
    #[must_use]
    pub fn to_money(&self) -> Option<Money> {
        Some(Money::new(
            self.amount_minor,
            Currency::from_code(&self.currency)?,
        ))
    }
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self {
            amount_minor: money.amount_minor(),
            currency: money.currency().code().to_owned(),
        }
    }
}

fn known_currency(code: &str, (): &()) -> garde::Result {
    Currency::from_code(code)
        .map(drop)
        .ok_or_else(|| garde::Error::new("must be an ISO 4217 currency code"))
}
