//! Each payment at the provider that it began with, also after new ones go elsewhere; and all of its charges, where an
//! operator has corrected one.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Money, OrderId};

use super::{Ledger, PaymentProvider, ProviderError, SimulatedProvider, StripeProvider};
use crate::domain::{ChargeAnswer, ChargeKey, Provider, VoidAnswer};
use crate::store;

/// All providers as one. The keys that it is asked by are orders' ids.
pub struct ByPayment {
    payments: Ledger,
    simulated: SimulatedProvider,
    stripe: Option<Arc<StripeProvider>>,
}

/// The charges of one order at its provider.
struct Charges<'a> {
    provider: &'a dyn PaymentProvider,
    /// That were given up and corrected, the oldest first.
    earlier: Vec<String>,
    current: String,
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

    async fn of(&self, order: &str) -> Result<Charges<'_>, ProviderError> {
        let order: OrderId = order
            .parse()
            .map_err(|_no_id| ProviderError::Refused(format!("{order:?} is no order's id")))?;
        let payment = self
            .payments
            .entry(async |conn| store::provider_of(conn, order).await)
            .await?;
        let Some((name, corrections)) = payment else {
            return Err(ProviderError::Refused(format!("{order} has no payment")));
        };
        let mut earlier = vec![ChargeKey::first(order).to_string()];
        earlier.extend(
            corrections
                .iter()
                .map(|letter| ChargeKey::correcting(order, *letter).to_string()),
        );
        let current = earlier.pop().unwrap_or_default();
        Ok(Charges {
            provider: self.named(&name, order)?,
            earlier,
            current,
        })
    }

    fn named(&self, name: &str, order: OrderId) -> Result<&dyn PaymentProvider, ProviderError> {
        match Provider::from_name(name) {
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

impl Charges<'_> {
    /// Voids the charges that were corrected: none of them may take money beside the current one. Answers with the one
    /// that has taken it already.
    async fn captured_before(&self) -> Result<Option<(&str, String)>, ProviderError> {
        for key in &self.earlier {
            if let VoidAnswer::Captured { reference } = self.provider.void(key).await? {
                return Ok(Some((key, reference)));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl PaymentProvider for ByPayment {
    async fn charge(&self, key: &str, amount: Money, method: &str) -> Result<ChargeAnswer, ProviderError> {
        let charges = self.of(key).await?;
        if let Some((_, reference)) = charges.captured_before().await? {
            return Ok(ChargeAnswer::Approved { reference });
        }
        charges.provider.charge(&charges.current, amount, method).await
    }

    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError> {
        let charges = self.of(key).await?;
        if let Some((_, reference)) = charges.captured_before().await? {
            return Ok(VoidAnswer::Captured { reference });
        }
        charges.provider.void(&charges.current).await
    }

    async fn refund(&self, key: &str) -> Result<String, ProviderError> {
        let charges = self.of(key).await?;
        let captured = charges.captured_before().await?;
        let key = captured.as_ref().map_or(charges.current.as_str(), |(key, _)| key);
        charges.provider.refund(key).await
    }
}
