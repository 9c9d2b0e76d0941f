//! What a fact says besides words, for whoever reads it with a program.

use contracts::events::{
    OrderCancelled, OrderConfirmed, OrderCreated, PaymentCompleted, PaymentFailed, PaymentRefunded,
    UserRegistered,
};
use contracts::{Money, PaymentId};
use serde::{Deserialize, Serialize};

/// The figures of a notification; what does not apply is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// How the order or the payment stands now, as the interface calls it: `pending`, `confirmed`, `cancelled`,
    /// `completed`, `failed`, `refunded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What it is about, in money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The payment, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// Why an order was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why a payment failed, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// A fact with figures.
pub trait Detailed {
    /// Them.
    fn details(&self) -> Details;
}

fn of(status: &str, amount: Money) -> Details {
    Details {
        status: Some(status.to_owned()),
        amount: Some(amount),
        ..Details::default()
    }
}

impl Detailed for UserRegistered {
    fn details(&self) -> Details {
        Details::default()
    }
}

impl Detailed for OrderCreated {
    fn details(&self) -> Details {
        of("pending", self.total)
    }
}

impl Detailed for OrderConfirmed {
    fn details(&self) -> Details {
        Details {
            payment_id: Some(self.payment_id),
            ..of("confirmed", self.total)
        }
    }
}

impl Detailed for OrderCancelled {
    fn details(&self) -> Details {
        let reason = serde_json::to_value(self.reason).ok();
        Details {
            reason: reason.and_then(|reason| reason.as_str().map(ToOwned::to_owned)),
            code: self.code.clone(),
            ..of("cancelled", self.total)
        }
    }
}

impl Detailed for PaymentCompleted {
    fn details(&self) -> Details {
        Details {
            payment_id: Some(self.payment_id),
            ..of("completed", self.amount)
        }
    }
}

impl Detailed for PaymentFailed {
    fn details(&self) -> Details {
        Details {
            payment_id: Some(self.payment_id),
            code: Some(self.failure_code.clone()),
            ..of("failed", self.amount)
        }
    }
}

impl Detailed for PaymentRefunded {
    fn details(&self) -> Details {
        Details {
            payment_id: Some(self.payment_id),
            ..of("refunded", self.amount)
        }
    }
}
