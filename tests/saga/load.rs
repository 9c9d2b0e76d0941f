//! Many orders at once.

use acceptance::customer::{Customer, an_order};
use futures::StreamExt;
use reqwest::Method;
use stack::Stack;
use uuid::Uuid;

/// Every way a payment may go that ends by itself, the usual one the most often.
pub(crate) const METHODS: [&str; 6] = [
    "pm_card_visa",
    "pm_card_visa",
    "pm_card_declined",
    "pm_provider_flaky",
    "pm_card_visa",
    "pm_card_insufficient_funds",
];

/// What became of POSTs.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// The orders that were accepted.
    pub(crate) accepted: Vec<Uuid>,
    /// POSTs that were not answered with 202.
    pub(crate) refused: usize,
}

/// A few customers.
pub(crate) async fn customers(stack: &Stack) -> Vec<Customer> {
    let mut customers = Vec::new();
    for _ in 0..3 {
        customers.push(Customer::register(stack).await);
    }
    customers
}

/// Places `number` orders, a few at once, of the methods in turn.
pub(crate) async fn place(customers: &[Customer], methods: &[&str], number: usize) -> Placed {
    let posts = (0..number).map(|turn| {
        let customer = &customers[turn % customers.len()];
        let order = an_order(methods[turn % methods.len()]).to_string().into_bytes();
        async move {
            customer
                .try_send(Method::POST, "/orders", "application/json", Some(order))
                .await
                .ok()
                .filter(|answer| answer.status == 202)
                .map(|answer| answer.id())
        }
    });
    let outcomes: Vec<Option<Uuid>> = futures::stream::iter(posts).buffer_unordered(16).collect().await;
    Placed {
        refused: outcomes.iter().filter(|outcome| outcome.is_none()).count(),
        accepted: outcomes.into_iter().flatten().collect(),
    }
}
