//! Stripe, over its HTTP interface.
//!
//! A charge is a PaymentIntent that is made first and confirmed after its id is noted. Nothing is taken before it is
//! confirmed, and Stripe confirms an intent once: whatever becomes of a call (no answer, a broken connection, a failure of
//! Stripe's own, a process that dies, a second process that does the same), the intent is looked up and tells. So no order
//! is charged twice, not even when Stripe has forgotten its idempotency keys, which it keeps for a day. A void cancels the
//! intent; who comes first, confirmation or cancellation, Stripe decides.

mod amount;
mod api;
mod books;
mod charging;
mod decline;
pub(crate) mod disputes;
pub(crate) mod events;
mod http;
pub(crate) mod inbox;
mod refunding;
pub(crate) mod signature;
mod trouble;
mod verdict;
mod wire;

use async_trait::async_trait;
use contracts::Money;
use diesel::QueryResult;
use messaging::Conn;
use tracing::warn;

use self::api::{Api, Key};
use self::books::Entry;
use self::trouble::Trouble;
use self::verdict::{REQUESTED, Verdict};
use self::wire::Intent;
use super::{Ledger, PaymentProvider, ProviderError};
use crate::config::StripeSettings;
use crate::domain::{ChargeAnswer, VoidAnswer};

/// Stripe.
pub struct StripeProvider {
    api: Api,
    ledger: Ledger,
}

impl StripeProvider {
    /// Stripe as `settings` say; which intent is whose is kept in `ledger`.
    ///
    /// # Errors
    /// When the settings cannot be used, or this machine has no certificates to tell Stripe by.
    pub fn new(ledger: Ledger, settings: &StripeSettings) -> anyhow::Result<Self> {
        let api = Api::new(settings)?;
        Ok(Self { api, ledger })
    }

    /// A connection, for no longer than a statement: none is held while Stripe is asked.
    async fn noted<T>(
        &self,
        statement: impl AsyncFnOnce(&mut Conn) -> QueryResult<T>,
    ) -> Result<T, ProviderError> {
        self.ledger.entry(statement).await
    }

    /// After `trouble`, what it was about is asked for again; under a key of its own where the old one is of no use.
    async fn given_up(&self, entry: &Entry, trouble: Trouble) -> ProviderError {
        if trouble.is_kept() {
            let (order, round) = (entry.order.clone(), entry.round);
            let turned = self
                .noted(async move |conn| books::next_round(conn, &order, round).await)
                .await;
            if let Err(error) = turned {
                return error;
            }
        }
        trouble.into()
    }

    /// An intent that nobody knows takes nothing; cancelling it is tidiness.
    async fn discard(&self, key: &Key<'_>, intent: &str) {
        if let Err(error) = self.api.cancel(key, intent, REQUESTED).await {
            warn!(payment.intent = intent, error.message = %error, "an intent without a use is left unconfirmed");
        }
    }
}

fn key_of(entry: &Entry) -> Key<'_> {
    Key {
        order: &entry.order,
        round: entry.round,
    }
}

#[async_trait]
impl PaymentProvider for StripeProvider {
    async fn charge(&self, key: &str, amount: Money, method: &str) -> Result<ChargeAnswer, ProviderError> {
        self.charge_intent(key, amount, method).await
    }

    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError> {
        let order = key.to_owned();
        let entry = self
            .noted(async move |conn| books::void(conn, &order).await)
            .await?;
        let Some(intent) = &entry.intent_id else {
            return Ok(VoidAnswer::Voided);
        };
        let before = self.api.intent(intent).await?;
        if let Some(answer) = voided(&before) {
            return Ok(answer);
        }
        let (after, trouble) = match self.api.cancel(&key_of(&entry), intent, REQUESTED).await {
            Ok(cancelled) => (cancelled, None),
            Err(trouble @ (Trouble::State(_) | Trouble::Unknown { .. })) => {
                (self.api.intent(intent).await?, Some(trouble))
            }
            Err(trouble) => return Err(trouble.into()),
        };
        if let Some(answer) = voided(&after) {
            return Ok(answer);
        }
        if let Some(trouble) = trouble {
            self.given_up(&entry, trouble).await;
        }
        let detail = format!("{intent} is {} and not to be cancelled yet", after.status);
        Err(ProviderError::Failed(detail))
    }

    async fn refund(&self, key: &str) -> Result<String, ProviderError> {
        self.refund_intent(key).await
    }
}

/// What a void comes to, when that is settled.
fn voided(intent: &Intent) -> Option<VoidAnswer> {
    match Verdict::of(intent) {
        Verdict::Taken(_) => Some(VoidAnswer::Captured {
            reference: intent.id.clone(),
        }),
        Verdict::Cancelled => Some(VoidAnswer::Voided),
        Verdict::Declined(_) | Verdict::Open | Verdict::Waiting | Verdict::Processing | Verdict::Odd => {
            // also one that waited for the customer in vain
            intent.is_cancelled().then_some(VoidAnswer::Voided)
        }
    }
}
