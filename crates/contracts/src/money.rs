//! Money as whole minor units of one currency. Arithmetic is checked; there is no float anywhere.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

pub use iso_currency::Currency;

/// An amount of one currency in its minor unit (cents for EUR). May be negative in sums, never in a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// Minor units: cents for EUR.
    amount_minor: i64,
    /// The ISO 4217 code.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Currency,
}

/// Signs that people take for one currency.
const SIGNS: [(Currency, &str); 6] = [
    (Currency::EUR, "€"),
    (Currency::GBP, "£"),
    (Currency::JPY, "¥"),
    (Currency::INR, "₹"),
    (Currency::ILS, "₪"),
    (Currency::USD, "$"),
];

/// Why an amount could not be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The result does not fit into 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// Two amounts of different currencies were combined.
    #[error("cannot combine {0} with {1}")]
    CurrencyMismatch(Currency, Currency),
}

impl Money {
    /// `amount_minor` minor units of `currency`.
    #[must_use]
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self {
            amount_minor,
            currency,
        }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The amount as it stands in a sentence: `€12.99`, with the code before it where a sign would be that of several
    /// currencies.
    #[must_use]
    pub fn in_a_sentence(self) -> String {
        let Some((_, sign)) = SIGNS.iter().find(|(currency, _)| *currency == self.currency) else {
            return format!("{} {}", self.currency.code(), self.digits());
        };
        let digits = self.digits();
        match digits.strip_prefix('-') {
            Some(digits) => format!("-{sign}{digits}"),
            None => format!("{sign}{digits}"),
        }
    }

    /// The amount in major units, with the digits of its currency.
    fn digits(self) -> String {
        let digits = u32::from(self.currency.exponent().unwrap_or(0));
        let unit = 10_u64.pow(digits);
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let minor = self.amount_minor.unsigned_abs();
        let (whole, rest) = (minor / unit, minor % unit);
        if digits == 0 {
            format!("{sign}{whole}")
        } else {
            let width = usize::try_from(digits).unwrap_or_default();
            format!("{sign}{whole}.{rest:0width$}")
        }
    }

    /// The sum of both.
    ///
    /// # Errors
    /// [`MoneyError`] when the currencies differ or the sum overflows.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch(self.currency, other.currency));
        }
        self.amount_minor
            .checked_add(other.amount_minor)
            .map(|sum| Self::new(sum, self.currency))
            .ok_or(MoneyError::Overflow)
    }

    /// `quantity` times this amount.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the product does not fit.
    pub fn checked_mul(self, quantity: i32) -> Result<Self, MoneyError> {
        self.amount_minor
            .checked_mul(i64::from(quantity))
            .map(|product| Self::new(product, self.currency))
            .ok_or(MoneyError::Overflow)
    }
}

/// Whether people pay with a currency: not with metals, units of account, codes for tests or for none, nor with one that
/// another has replaced.
#[must_use]
pub fn is_paid_with(currency: Currency) -> bool {
    !currency.is_special() && !currency.is_fund() && currency.is_superseded().is_none()
}

/// `12.99 EUR`: for people (notifications, terminals), never parsed back.
impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.digits(), self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_amount_in_a_sentence_has_its_sign_before_it() {
        assert_eq!(Money::new(1299, Currency::EUR).in_a_sentence(), "€12.99");
        assert_eq!(Money::new(-5, Currency::USD).in_a_sentence(), "-$0.05");
        assert_eq!(Money::new(500, Currency::JPY).in_a_sentence(), "¥500");
        assert_eq!(Money::new(1299, Currency::CHF).in_a_sentence(), "CHF 12.99");
    }

    #[test]
    fn people_pay_with_money() {
        for code in [
            "EUR", "USD", "GBP", "JPY", "CHF", "XAF", "XOF", "XCD", "XPF", "XCG",
        ] {
            assert!(is_paid_with(Currency::from_code(code).unwrap()), "{code}");
        }
        for code in ["XXX", "XTS", "XAU", "XDR", "XBA", "BOV", "CHE", "HRK", "BGN"] {
            assert!(!is_paid_with(Currency::from_code(code).unwrap()), "{code}");
        }
    }

    #[test]
    fn amounts_print_with_the_digits_of_their_currency() {
        assert_eq!(Money::new(1999, Currency::EUR).to_string(), "19.99 EUR");
        assert_eq!(Money::new(-5, Currency::EUR).to_string(), "-0.05 EUR");
        assert_eq!(Money::new(500, Currency::JPY).to_string(), "500 JPY");
        assert_eq!(Money::new(1_234, Currency::BHD).to_string(), "1.234 BHD");
    }

    #[test]
    fn different_currencies_do_not_add_up() {
        let sum = Money::new(1, Currency::EUR).checked_add(Money::new(1, Currency::USD));
        assert_eq!(
            sum,
            Err(MoneyError::CurrencyMismatch(Currency::EUR, Currency::USD))
        );
    }

    #[test]
    fn json_refuses_fractions_and_unknown_currencies() {
        assert!(serde_json::from_str::<Money>(r#"{"amount_minor":1.5,"currency":"EUR"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"amount_minor":1,"currency":"XXQ"}"#).is_err());
    }

    proptest! {
        #[test]
        fn arithmetic_is_exact_or_refused(price: i64, quantity: i32, other: i64) {
            let money = Money::new(price, Currency::EUR);
            let exact = i128::from(price) * i128::from(quantity);
            match money.checked_mul(quantity) {
                Ok(product) => prop_assert_eq!(i128::from(product.amount_minor()), exact),
                Err(error) => {
                    prop_assert_eq!(error, MoneyError::Overflow);
                    prop_assert!(i64::try_from(exact).is_err());
                }
            }
            let sum = i128::from(price) + i128::from(other);
            match money.checked_add(Money::new(other, Currency::EUR)) {
                Ok(total) => prop_assert_eq!(i128::from(total.amount_minor()), sum),
                Err(_) => prop_assert!(i64::try_from(sum).is_err()),
            }
        }
    }
}
