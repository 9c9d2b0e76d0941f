//! The payment provider: a seam, because there are several and they stand outside.

mod by_payment;
mod ledger;
mod simulated;
pub(crate) mod stripe;

use std::time::Duration;

use async_trait::async_trait;
use contracts::Money;
use thiserror::Error;

use crate::domain::{ChargeAnswer, VoidAnswer};

pub use by_payment::ByPayment;
pub use ledger::Ledger;
pub use simulated::{Mode, Setting, SimulatedProvider};
pub use stripe::StripeProvider;

/// Takes money and gives it back. Every call carries an idempotency key: the same key is the same operation, and is
/// answered as the first time.
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// Takes `amount`.
    async fn charge(
        &self,
        key: &str,
        amount: Money,
        payment_method: &str,
    ) -> Result<ChargeAnswer, ProviderError>;

    /// Makes sure that the charge under `key` takes nothing, whether it has been asked for yet or not, or tells that it
    /// has taken the money.
    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError>;

    /// Gives back all that the charge under `key` took. Answers with the provider's own id of the refund.
    async fn refund(&self, key: &str) -> Result<String, ProviderError>;
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ProviderError {
    /// The provider could not do it this time.
    #[error("the provider failed: {0}")]
    Failed(String),
    /// The provider does not know what is asked for; trying again will not help, but somebody must look.
    #[error("the provider refuses: {0}")]
    Refused(String),
    /// It will not be done before somebody changes a setting.
    #[error("the provider is not set up: {setting}: {detail}")]
    Misconfigured {
        /// The setting, dotted.
        setting: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// An answer that does not come in time is unknown, not "no": the same key asks for it again.
    #[error("no answer within {} ms, the result is unknown", .0.as_millis())]
    Silent(Duration),
    /// What is to be written down cannot be.
    #[error("the provider's books do not take it")]
    Unwritable(#[source] diesel::result::Error),
    /// The way to the provider is interrupted for everybody.
    #[error("the provider cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<diesel::result::Error> for ProviderError {
    fn from(error: diesel::result::Error) -> Self {
        if chassis::database::is_of_data(&error) {
            Self::Unwritable(error)
        } else {
            unreachable(error)
        }
    }
}

/// What a provider keeps its books in is down.
fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::Unreachable(error.into())
}
