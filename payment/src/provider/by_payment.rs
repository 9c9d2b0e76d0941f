//! Each payment at the provider that it began with, also after new ones go elsewhere.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Money, OrderId};

use super::{Ledger, PaymentProvider, ProviderError, SimulatedProvider, StripeProvider};
use crate::domain::{ChargeAnswer, Provider, VoidAnswer};
use crate::store;

/// All providers as one.
pub struct ByPayment {
    payments: Ledger,
    simulated: SimulatedProvider,
    stripe: Option<Arc<StripeProvider>>,
}

impl ByPayment {
    /// The providers there are; `payments` tells which payment is whose.
    #[must_use]
    pub fn new(payments: Ledger, simulated: SimulatedProvider, stripe: Option<Arc<StripeProvider>>) -> Self {
        Self {
            payments,
            simulated,
            stripe,
        }
    }

    /// The provider of the order's payment; the key is the order's id.
    async fn of(&self, key: &str) -> Result<&dyn PaymentProvider, ProviderError> {
        let order: OrderId = key
            .parse()
            .map_err(|_no_id| ProviderError::Refused(format!("{key:?} is no order's id")))?;
        let name = self
            .payments
            .entry(async |conn| store::provider_of(conn, order).await)
            .await?;
        let name = name.ok_or_else(|| ProviderError::Refused(format!("{order} has no payment")))?;
        match Provider::from_name(&name) {
            Some(Provider::Simulated) => Ok(&self.simulated),
            Some(Provider::Stripe) => match self.stripe.as_deref() {
                Some(stripe) => Ok(stripe),
                None => Err(ProviderError::Misconfigured {
                    setting: "provider.stripe.secret_key",
                    detail: format!("the payment of {order} is stripe's, and there is no key"),
                }),
            },
            None => Err(ProviderError::Refused(format!("{name:?} is no provider"))),
        }
    }
}

#[async_trait]
impl PaymentProvider for ByPayment {
    async fn charge(&self, key: &str, amount: Money, method: &str) -> Result<ChargeAnswer, ProviderError> {
        self.of(key).await?.charge(key, amount, method).await
    }

    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError> {
        self.of(key).await?.void(key).await
    }

    async fn refund(&self, key: &str) -> Result<String, ProviderError> {
        self.of(key).await?.refund(key).await
    }
}
