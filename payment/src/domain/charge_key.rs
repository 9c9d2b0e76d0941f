//! By which keys a provider knows the charges of one order.

use std::fmt;
use std::str::FromStr;

use contracts::OrderId;
use thiserror::Error;
use uuid::Uuid;

/// The idempotency key of a charge: the order's id, `<order>`. A charge that an operator has corrected has one of its own,
/// derived from the dead letter that it corrects, `<order>.<letter>`: under the first one the provider would only repeat
/// what it was asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeKey {
    /// Whose order it is for.
    pub order_id: OrderId,
    /// The dead letter that it corrects.
    pub corrects: Option<Uuid>,
}

/// It is no key of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no key of a charge")]
pub struct NoChargeKey(String);

impl ChargeKey {
    /// The key under which an order is charged at first.
    #[must_use]
    pub const fn first(order_id: OrderId) -> Self {
        Self {
            order_id,
            corrects: None,
        }
    }

    /// The key of the charge that corrects a dead letter.
    #[must_use]
    pub const fn correcting(order_id: OrderId, letter: Uuid) -> Self {
        Self {
            order_id,
            corrects: Some(letter),
        }
    }
}

impl fmt::Display for ChargeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.corrects {
            None => write!(f, "{}", self.order_id),
            Some(letter) => write!(f, "{}.{letter}", self.order_id),
        }
    }
}

impl FromStr for ChargeKey {
    type Err = NoChargeKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let none = || NoChargeKey(text.to_owned());
        let (order, letter) = match text.split_once('.') {
            Some((order, letter)) => (order, Some(letter)),
            None => (text, None),
        };
        Ok(Self {
            order_id: order.parse().map_err(|_no_id| none())?,
            corrects: letter.map(str::parse).transpose().map_err(|_no_id| none())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let order = OrderId::new(Uuid::from_u128(7));
        for key in [
            ChargeKey::first(order),
            ChargeKey::correcting(order, Uuid::from_u128(9)),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for text in [
            "",
            "7",
            ".",
            "00000000-0000-0000-0000-000000000007.",
            "x.00000000-0000-0000-0000-000000000007",
        ] {
            assert!(text.parse::<ChargeKey>().is_err(), "{text:?}");
        }
    }
}
