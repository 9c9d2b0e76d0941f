//! Taking the money.

use contracts::Money;

use super::amount::in_stripes_unit;
use super::api::NewIntent;
use super::books::{self, Entry};
use super::decline::AUTHENTICATION_REQUIRED;
use super::trouble::Trouble;
use super::verdict::{ABANDONED, Verdict};
use super::wire::Intent;
use super::{StripeProvider, key_of};
use crate::domain::ChargeAnswer;
use crate::provider::ProviderError;

/// What came of making an intent.
enum Made {
    /// There is one, and its id is noted.
    Intent(String),
    /// There is none, and there will be none.
    None(ChargeAnswer),
}

impl StripeProvider {
    pub(super) async fn charge_intent(
        &self,
        order: &str,
        amount: Money,
        payment_method: &str,
    ) -> Result<ChargeAnswer, ProviderError> {
        let Some(in_unit) = in_stripes_unit(amount) else {
            return Ok(declined("unsupported_amount"));
        };
        let opened = order.to_owned();
        let entry = self
            .noted(async move |conn| books::open(conn, &opened).await)
            .await?;
        if entry.voided {
            return Ok(ChargeAnswer::Voided);
        }
        let id = match &entry.intent_id {
            // asked before: what became of it?
            Some(id) => {
                let intent = self.api.intent(id).await?;
                if Verdict::of(&intent) != Verdict::Open {
                    return self.concluded(&entry, &intent, in_unit).await;
                }
                intent.id
            }
            None => {
                let new = NewIntent {
                    order,
                    amount: in_unit,
                    currency: amount.currency().code(),
                    payment_method,
                };
                match self.make(&entry, new).await? {
                    Made::Intent(id) => id,
                    Made::None(answer) => return Ok(answer),
                }
            }
        };
        self.confirm(&entry, &id, in_unit).await
    }

    async fn make(&self, entry: &Entry, new: NewIntent<'_>) -> Result<Made, ProviderError> {
        let key = key_of(entry);
        let made = match self.api.create(&key, new).await {
            Ok(made) => made,
            Err(Trouble::Declined(code)) => return Ok(Made::None(declined(&code))),
            Err(trouble) => return Err(self.given_up(entry, trouble).await),
        };
        let (order, id, amount) = (entry.order.clone(), made.id.clone(), new.amount);
        let noted = self
            .noted(async move |conn| books::record(conn, &order, &id, amount).await)
            .await?;
        if noted.intent_id.as_ref() != Some(&made.id) {
            self.discard(&key, &made.id).await;
        }
        // none: it was voided meanwhile
        Ok(noted
            .intent_id
            .map_or(Made::None(ChargeAnswer::Voided), Made::Intent))
    }

    async fn confirm(&self, entry: &Entry, id: &str, amount: i64) -> Result<ChargeAnswer, ProviderError> {
        let (intent, trouble) = match self.api.confirm(&key_of(entry), id).await {
            Ok(intent) => (intent, None),
            Err(Trouble::Declined(code)) => return Ok(declined(&code)),
            Err(trouble @ (Trouble::State(_) | Trouble::Unknown { .. })) => {
                (self.api.intent(id).await?, Some(trouble))
            }
            Err(trouble) => return Err(trouble.into()),
        };
        match (Verdict::of(&intent), trouble) {
            // nothing has happened
            (Verdict::Open, Some(trouble)) => Err(self.given_up(entry, trouble).await),
            (_, _) => self.concluded(entry, &intent, amount).await,
        }
    }

    async fn concluded(
        &self,
        entry: &Entry,
        intent: &Intent,
        amount: i64,
    ) -> Result<ChargeAnswer, ProviderError> {
        match Verdict::of(intent) {
            Verdict::Taken(taken) if taken == amount => Ok(ChargeAnswer::Approved {
                reference: intent.id.clone(),
            }),
            Verdict::Taken(taken) => Err(ProviderError::Refused(format!(
                "{} took {taken} instead of {amount}",
                intent.id
            ))),
            Verdict::Declined(code) => Ok(declined(&code)),
            Verdict::Cancelled => Ok(ChargeAnswer::Voided),
            Verdict::Waiting => self.abandon(entry, intent).await,
            Verdict::Open | Verdict::Processing => Err(ProviderError::Failed(format!(
                "{} is still {}",
                intent.id, intent.status
            ))),
            Verdict::Odd => Err(ProviderError::Refused(format!(
                "{} is {}, which was not asked for",
                intent.id, intent.status
            ))),
        }
    }

    /// The customer would have to do something, and is not there: declined, and made sure of.
    async fn abandon(&self, entry: &Entry, intent: &Intent) -> Result<ChargeAnswer, ProviderError> {
        match self.api.cancel(&key_of(entry), &intent.id, ABANDONED).await {
            Ok(_cancelled) => Ok(declined(AUTHENTICATION_REQUIRED)),
            // the next attempt looks at what became of it
            Err(trouble) => Err(self.given_up(entry, trouble).await),
        }
    }
}

fn declined(code: &str) -> ChargeAnswer {
    ChargeAnswer::Declined {
        code: code.to_owned(),
    }
}
