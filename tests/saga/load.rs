//! Many orders at once.

use acceptance::customer::{Customer, an_order};
use acceptance::{PATIENCE, until};
use futures::StreamExt;
use serde_json::Value;
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

/// What became of the orders.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// One a POST that was accepted in the end.
    pub(crate) accepted: Vec<Uuid>,
    /// How often a POST had to be made again.
    pub(crate) repeated: usize,
}

/// A few customers.
pub(crate) async fn customers(stack: &Stack) -> Vec<Customer> {
    let mut customers = Vec::new();
    for _ in 0..3 {
        customers.push(Customer::register(stack).await);
    }
    customers
}

/// Places `number` orders, a few at once, of the methods in turn. What is not accepted is tried again under the same
/// idempotency key, as a customer would.
pub(crate) async fn place(customers: &[Customer], methods: &[&str], number: usize) -> Placed {
    let posts = (0..number).map(|turn| {
        let customer = &customers[turn % customers.len()];
        place_one(customer, an_order(methods[turn % methods.len()]))
    });
    let outcomes: Vec<(Uuid, usize)> = futures::stream::iter(posts).buffer_unordered(16).collect().await;
    Placed {
        repeated: outcomes.iter().map(|(_, repeated)| repeated).sum(),
        accepted: outcomes.into_iter().map(|(order, _)| order).collect(),
    }
}

async fn place_one(customer: &Customer, order: Value) -> (Uuid, usize) {
    let (key, mut attempts) = (Uuid::new_v4(), 0);
    let accepted = until("an order to be accepted", PATIENCE, async || {
        attempts += 1;
        let answer = customer.place_under(key, &order).await.ok()?;
        assert!(
            [202, 502, 503, 504].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.body
        );
        (answer.status == 202).then(|| answer.id())
    })
    .await;
    (accepted, attempts - 1)
}
