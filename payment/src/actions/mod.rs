//! Charging, voiding and refunding at the provider, with one idempotency key a charge.

mod corrected;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use contracts::{InvalidField, OrderId};
use messaging::{Action, ActionError, Attempt, Failure, Performer};

use crate::domain::{Answer, PaymentAction};
use crate::provider::{PaymentProvider, ProviderError};

impl Action for PaymentAction {
    fn name(&self) -> &'static str {
        match self {
            Self::Charge { .. } => "charge",
            Self::Void { .. } => "void",
            Self::Refund { .. } => "refund",
        }
    }

    fn corrected(name: &str, payload: &[u8]) -> Result<Self, Vec<InvalidField>> {
        corrected::charge(name, payload)
    }

    /// Money that was taken for a cancelled order must go back; a charge may be given up.
    fn keeps_trying(&self) -> bool {
        match self {
            Self::Charge { .. } => false,
            Self::Void { .. } | Self::Refund { .. } => true,
        }
    }
}

/// Performs payment actions.
pub struct ProviderCalls {
    provider: Arc<dyn PaymentProvider>,
}

impl ProviderCalls {
    /// Calls `provider`, which sees to it that no call takes for ever.
    #[must_use]
    pub fn new(provider: Arc<dyn PaymentProvider>) -> Self {
        Self { provider }
    }
}

async fn asked<T>(call: impl Future<Output = Result<T, ProviderError>>) -> Result<T, ActionError> {
    chassis::crossing!("provider.asking");
    let answer = call.await;
    chassis::crossing!("provider.answered");
    answer.map_err(|error| match error {
        ProviderError::Failed(_) => Failure::new("provider-error", error).into(),
        ProviderError::Silent(_) => Failure::new("provider-timeout", error).into(),
        ProviderError::Refused(_) => Failure::new("provider-refused", error).into(),
        ProviderError::Misconfigured { .. } => Failure::new("provider-misconfigured", error).into(),
        ProviderError::Unwritable(source) => Failure::new(
            "provider-books",
            format!("the provider's books do not take it: {source}"),
        )
        .into(),
        ProviderError::Unreachable(source) => ActionError::Outage(source),
    })
}

/// The provider knows an order's charge by the order's id; void and refund name the same charge. Which one that is where
/// an operator has corrected it, [`crate::provider::ByPayment`] knows.
fn key(order_id: OrderId) -> String {
    order_id.to_string()
}

#[async_trait]
impl Performer<PaymentAction> for ProviderCalls {
    type Outcome = Answer;

    async fn perform(&self, action: &PaymentAction, attempt: Attempt) -> Result<Answer, ActionError> {
        match action {
            PaymentAction::Charge {
                order_id,
                amount,
                payment_method,
            } => {
                let key = key(*order_id);
                let answer = asked(self.provider.charge(&key, *amount, payment_method)).await?;
                Ok(Answer::Charge {
                    answer,
                    attempts: attempt.failed_before.saturating_add(1),
                })
            }
            PaymentAction::Void { order_id } => {
                asked(self.provider.void(&key(*order_id))).await.map(Answer::Void)
            }
            PaymentAction::Refund { order_id, .. } => {
                let refund_reference = asked(self.provider.refund(&key(*order_id))).await?;
                Ok(Answer::Refunded { refund_reference })
            }
        }
    }
}
