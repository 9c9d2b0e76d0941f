//! The calls to Stripe that this service makes.

use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::http::{Http, Reply};
use super::trouble::{self, Trouble};
use super::wire::{Intent, List, Refund};
use crate::config::StripeSettings;

/// Refunds of one charge that are looked at; more partial ones than that nobody makes.
const REFUNDS_MAX: u8 = 100;

/// What a charge is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewIntent<'a> {
    pub(super) order: &'a str,
    pub(super) amount: i64,
    pub(super) currency: &'a str,
    pub(super) payment_method: &'a str,
}

/// Stripe's interface. Each `POST` has an idempotency key that its action implies.
pub(super) struct Api {
    http: Http,
}

impl Api {
    pub(super) fn new(settings: &StripeSettings) -> anyhow::Result<Self> {
        let http = Http::new(settings)?;
        Ok(Self { http })
    }

    /// Makes an intent that takes nothing before it is confirmed.
    pub(super) async fn create(&self, key: &Key<'_>, new: NewIntent<'_>) -> Result<Intent, Trouble> {
        let (amount, currency) = (new.amount.to_string(), new.currency.to_lowercase());
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", new.payment_method),
            // whoever pays with it, nobody is there to be sent elsewhere
            ("automatic_payment_methods[enabled]", "true"),
            ("automatic_payment_methods[allow_redirects]", "never"),
            ("capture_method", "automatic"),
            ("metadata[order_id]", new.order),
        ];
        self.post("/v1/payment_intents", &key.of("create"), &form).await
    }

    /// Takes the money.
    pub(super) async fn confirm(&self, key: &Key<'_>, intent: &str) -> Result<Intent, Trouble> {
        let path = format!("/v1/payment_intents/{}/confirm", id(intent)?);
        let form = [("error_on_requires_action", "true")];
        self.post(&path, &key.of("confirm"), &form).await
    }

    /// Makes sure that an intent takes nothing.
    pub(super) async fn cancel(&self, key: &Key<'_>, intent: &str, reason: &str) -> Result<Intent, Trouble> {
        let path = format!("/v1/payment_intents/{}/cancel", id(intent)?);
        self.post(&path, &key.of("cancel"), &[("cancellation_reason", reason)])
            .await
    }

    /// An intent as it is.
    pub(super) async fn intent(&self, intent: &str) -> Result<Intent, Trouble> {
        self.get(&format!("/v1/payment_intents/{}", id(intent)?)).await
    }

    /// Gives back what is left of the intent's money.
    pub(super) async fn give_back(&self, key: &Key<'_>, intent: &str) -> Result<Refund, Trouble> {
        let form = [
            ("payment_intent", intent),
            ("reason", "requested_by_customer"),
            ("metadata[order_id]", key.order),
        ];
        self.post("/v1/refunds", &key.of("refund"), &form).await
    }

    /// What was given back of the intent's money, the newest first.
    pub(super) async fn refunds(&self, intent: &str) -> Result<Vec<Refund>, Trouble> {
        let path = format!("/v1/refunds?payment_intent={}&limit={REFUNDS_MAX}", id(intent)?);
        let page: List<Refund> = self.get(&path).await?;
        Ok(page.data)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        self.read(&self.http.get(path).await?)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &str,
        form: &[(&str, &str)],
    ) -> Result<T, Trouble> {
        let form = serde_urlencoded::to_string(form).map_err(|error| Trouble::Refused(error.to_string()))?;
        self.read(&self.http.post(path, key, form).await?)
    }

    /// Where there was too much, nothing is asked for a while.
    fn read<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, Trouble> {
        if reply.status == StatusCode::OK {
            return serde_json::from_slice(&reply.body).map_err(|error| trouble::unreadable(reply, &error));
        }
        let trouble = trouble::of(reply);
        if matches!(trouble, Trouble::NotNow(_)) {
            self.http.pause(reply.pause);
        }
        Err(trouble)
    }
}

/// Idempotency keys of one order: the same call has the same key, until Stripe's answer to it is of no use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) order: &'a str,
    pub(super) round: i32,
}

impl Key<'_> {
    fn of(&self, call: &str) -> String {
        format!("{}-{call}-{}", self.order, self.round)
    }
}

/// An id as it may stand in a path.
fn id(id: &str) -> Result<&str, Trouble> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !id.is_empty() && id.bytes().all(is_plain) {
        return Ok(id);
    }
    Err(Trouble::Refused(format!("{id:?} is no id of stripe's")))
}
