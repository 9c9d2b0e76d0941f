//! Giving the money back.

use super::books::{self, Entry};
use super::trouble::Trouble;
use super::wire::Refund;
use super::{StripeProvider, key_of};
use crate::provider::ProviderError;

/// How far an intent's money is given back.
#[derive(Debug, PartialEq, Eq)]
enum GivenBack {
    /// All of it.
    All { reference: String },
    /// All of it is on its way.
    OnItsWay,
    /// Not all of it.
    NotYet,
}

impl StripeProvider {
    /// Looks first: a refund that is under way, or was made by hand, is not made again.
    pub(super) async fn refund_intent(&self, order: &str) -> Result<String, ProviderError> {
        let found = order.to_owned();
        let entry = self
            .noted(async move |conn| books::find(conn, &found).await)
            .await?;
        let Some((entry, intent, amount)) = entry.and_then(captured) else {
            let reason = "there is no captured charge to give back".to_owned();
            return Err(ProviderError::Refused(reason));
        };
        let known = self.api.refunds(&intent).await?;
        if let Some(reference) = all_of(amount, &known, &intent)? {
            return Ok(reference);
        }
        let trouble = match self.api.give_back(&key_of(&entry), &intent).await {
            // the answer from before that refund failed, kept under the key
            Ok(refund) if known.iter().any(|known| known.id == refund.id) => failed(&refund, &intent),
            Ok(refund) => match settled(&refund) {
                Settled::Done => return Ok(refund.id),
                Settled::Pending => return Err(pending(&intent)),
                Settled::Failed => failed(&refund, &intent),
            },
            Err(trouble @ (Trouble::State(_) | Trouble::Unknown { .. })) => trouble,
            Err(trouble) => return Err(trouble.into()),
        };
        if let Some(reference) = self.look(&intent, amount).await? {
            return Ok(reference);
        }
        Err(self.given_up(&entry, trouble).await)
    }

    /// The refund that gave all of `amount` back, when there is one.
    ///
    /// # Errors
    /// Also when it is on its way.
    pub(super) async fn look(&self, intent: &str, amount: i64) -> Result<Option<String>, ProviderError> {
        all_of(amount, &self.api.refunds(intent).await?, intent)
    }
}

fn all_of(amount: i64, refunds: &[Refund], intent: &str) -> Result<Option<String>, ProviderError> {
    match given_back(refunds, amount) {
        GivenBack::All { reference } => Ok(Some(reference)),
        GivenBack::OnItsWay => Err(pending(intent)),
        GivenBack::NotYet => Ok(None),
    }
}

/// Another attempt needs a key of its own.
fn failed(refund: &Refund, intent: &str) -> Trouble {
    Trouble::Unknown {
        detail: format!("the refund {} of {intent} failed", refund.id),
        kept: true,
    }
}

fn captured(entry: Entry) -> Option<(Entry, String, i64)> {
    let (intent, amount) = (entry.intent_id.clone()?, entry.amount?);
    Some((entry, intent, amount))
}

fn pending(intent: &str) -> ProviderError {
    ProviderError::Failed(format!("the refund of {intent} is on its way"))
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Done,
    Pending,
    Failed,
}

pub(super) fn settled(refund: &Refund) -> Settled {
    match refund.status.as_deref() {
        Some("succeeded") => Settled::Done,
        Some("failed" | "canceled") => Settled::Failed,
        _ => Settled::Pending,
    }
}

fn given_back(refunds: &[Refund], amount: i64) -> GivenBack {
    let sum = |wanted: Settled| {
        let of = refunds.iter().filter(|refund| settled(refund) == wanted);
        of.fold(0_i64, |sum, refund| sum.saturating_add(refund.amount))
    };
    let (done, pending) = (sum(Settled::Done), sum(Settled::Pending));
    let newest = refunds.iter().find(|refund| settled(refund) == Settled::Done);
    match newest {
        Some(refund) if done >= amount => GivenBack::All {
            reference: refund.id.clone(),
        },
        Some(_) | None if done.saturating_add(pending) >= amount => GivenBack::OnItsWay,
        Some(_) | None => GivenBack::NotYet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_in_parts_adds_up() {
        let refund = |id: &str, amount, status: &str| Refund {
            id: id.to_owned(),
            amount,
            status: Some(status.to_owned()),
            payment_intent: None,
        };
        let all = |id: &str| GivenBack::All {
            reference: id.to_owned(),
        };
        for (refunds, expected) in [
            (vec![], GivenBack::NotYet),
            (vec![refund("re_1", 1999, "succeeded")], all("re_1")),
            (vec![refund("re_1", 1999, "failed")], GivenBack::NotYet),
            (vec![refund("re_1", 1999, "pending")], GivenBack::OnItsWay),
            (vec![refund("re_1", 999, "succeeded")], GivenBack::NotYet),
            (
                vec![
                    refund("re_2", 1000, "succeeded"),
                    refund("re_1", 999, "succeeded"),
                ],
                all("re_2"),
            ),
            (
                vec![refund("re_2", 1000, "pending"), refund("re_1", 999, "succeeded")],
                GivenBack::OnItsWay,
            ),
        ] {
            assert_eq!(given_back(&refunds, 1999), expected, "{refunds:?}");
        }
    }
}
