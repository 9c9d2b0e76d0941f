//! Payments through Stripe.

mod charging;
mod correcting;
mod disputes;
mod fake;
mod refunding;
mod request;
mod stripe_mock;
mod switching;
mod troubles;
mod unsigned;
mod voiding;
mod webhooks;
mod world;

use contracts::OrderId;
use serde_json::Value;

use self::fake::{FakeStripe, SECRET_KEY};
use crate::harness::{Order, Payments, until};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_fake";

/// The service, and Stripe beside it.
pub(crate) struct Shop {
    pub(crate) payments: Payments,
    pub(crate) stripe: FakeStripe,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With settings besides its own.
    pub(crate) async fn with(more: &[(&str, &str)]) -> Self {
        let stripe = FakeStripe::start().await;
        let url = stripe.url();
        let mut settings = vec![
            ("provider.kind", "stripe"),
            ("provider.stripe.base_url", url.as_str()),
            ("provider.stripe.secret_key", SECRET_KEY),
            ("provider.stripe.webhook_secret", WEBHOOK_SECRET),
        ];
        settings.extend(more);
        let payments = Payments::with(&settings).await;
        Self { payments, stripe }
    }

    /// An order is placed, to be paid with `method`.
    pub(crate) async fn placed(&self, method: &str) -> Order {
        let order = Order::by(method);
        assert!(self.payments.placed_at_stripe(&order).await);
        order
    }

    /// The order's payment ends so, and nothing is left to do. Stripe has seen nothing it should not.
    pub(crate) async fn ends(&self, order: &Order, status: &str) -> Value {
        let payment = self.payments.becomes(order, status).await;
        self.payments.at_rest().await;
        self.stripe.is_content();
        payment
    }

    /// Waits until Stripe was asked so often.
    pub(crate) async fn asks(&self, call: &str, times: usize) {
        until(&format!("{call} is asked"), async || {
            (self.stripe.asked(call).len() >= times).then_some(())
        })
        .await;
    }

    pub(crate) async fn told(&self, order: OrderId) -> Vec<String> {
        let announced = self.payments.announced(order).await;
        announced.into_iter().map(|(topic, _)| topic).collect()
    }

    /// The charge that was given up.
    pub(crate) async fn dead(&self) -> Value {
        until("it is given up", async || {
            let query =
                "select id, name, attempts, error_class, error_message from work where state = 'dead'";
            self.payments.rows(query).await.pop()
        })
        .await
    }

    /// Times that money was taken.
    pub(crate) fn taken(&self) -> usize {
        self.stripe.world(|world| world.taken)
    }

    /// How Stripe's intent of the order stands.
    pub(crate) fn intent(&self, order: &Order) -> world::Intent {
        self.stripe
            .world(|world| world.intent_of(&order.id.to_string()))
            .unwrap()
    }

    /// Refunds, by status.
    pub(crate) fn refunds(&self) -> Vec<&'static str> {
        self.stripe
            .world(|world| world.refunds.iter().map(|refund| refund.status).collect())
    }
}
