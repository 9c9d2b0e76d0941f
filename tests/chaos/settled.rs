//! The end of each test here.

use std::time::Duration;

use acceptance::books::count;
use acceptance::{PATIENCE, until};
use stack::books::{self, Options, Sources};
use stack::chaos::Placed;
use stack::{Service, Stack};

/// Everything comes to rest, and everything agrees: with each other, and with what the customers were told.
pub(crate) async fn balance(stack: &Stack, placed: &Placed) {
    assert_eq!(
        placed.unanswered,
        Vec::<String>::new(),
        "requests that were not answered as they should"
    );
    until("the last order to end", PATIENCE, async || {
        let pending = count(stack, Service::Order, "orders where status = 'pending'").await;
        (pending == 0).then_some(())
    })
    .await;
    let options = Options {
        settle: Some(Duration::from_secs(120)),
        accepted: placed.accepted.clone(),
        ..Options::default()
    };
    let report = books::balance(&Sources::from(stack), &options).await.unwrap();
    let shown: Vec<_> = report.mismatches.iter().take(10).collect();
    assert!(
        report.balanced,
        "{} mismatches: {shown:#?}\n{:#?}",
        report.mismatches.len(),
        report.counts
    );
    assert_eq!(placed.broken_promises(stack).await.unwrap(), Vec::<String>::new());
    println!("{} orders: {:?}", placed.accepted.len(), report.counts.orders);
}
