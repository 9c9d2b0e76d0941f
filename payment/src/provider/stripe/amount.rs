//! Amounts as Stripe counts them: in the smallest unit of the currency, with exceptions of its own.

use contracts::{Currency, Money};

/// The amount in the unit that Stripe wants; none when there is none that says the same.
pub(crate) fn in_stripes_unit(money: Money) -> Option<i64> {
    let minor = money.amount_minor();
    match money.currency().code() {
        // no decimals, but counted as if there were two
        "ISK" | "UGX" => minor.checked_mul(100),
        // two decimals that are not in use
        "MGA" => (minor % 100 == 0).then_some(minor / 100),
        // three decimals, of which Stripe wants the last to be 0
        "BHD" | "JOD" | "KWD" | "OMR" | "TND" => (minor % 10 == 0).then_some(minor),
        _ => Some(minor),
    }
}

/// What an amount in Stripe's unit comes to; none when that is no amount of the currency.
pub(crate) fn from_stripes_unit(amount: i64, currency: Currency) -> Option<Money> {
    let minor = match currency.code() {
        "ISK" | "UGX" => (amount % 100 == 0).then_some(amount / 100)?,
        "MGA" => amount.checked_mul(100)?,
        _ => amount,
    };
    Some(Money::new(minor, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_says_the_same_or_is_not_said() {
        let of = |minor, currency| in_stripes_unit(Money::new(minor, currency));
        assert_eq!(of(1999, Currency::EUR), Some(1999));
        assert_eq!(of(500, Currency::JPY), Some(500));
        assert_eq!(of(5, Currency::ISK), Some(500));
        assert_eq!((of(300, Currency::MGA), of(301, Currency::MGA)), (Some(3), None));
        assert_eq!(
            (of(1990, Currency::KWD), of(1999, Currency::KWD)),
            (Some(1990), None)
        );
        assert_eq!(of(i64::MAX, Currency::UGX), None);
    }

    #[test]
    fn an_amount_comes_back_as_it_went() {
        for (minor, currency) in [
            (1999, Currency::EUR),
            (500, Currency::JPY),
            (5, Currency::ISK),
            (300, Currency::MGA),
            (1990, Currency::KWD),
        ] {
            let money = Money::new(minor, currency);
            let amount = in_stripes_unit(money).unwrap();
            assert_eq!(from_stripes_unit(amount, currency), Some(money));
        }
        assert_eq!(from_stripes_unit(501, Currency::ISK), None);
        assert_eq!(from_stripes_unit(i64::MAX, Currency::MGA), None);
    }
}
