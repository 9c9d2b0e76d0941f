//! What the services have written down: looked up, and compared.

use std::time::Duration;

use stack::books::{self, Options, Sources};
use stack::{Service, Stack};
use tokio_postgres::Row;

use crate::until;

/// How long the platform may take to work off what a disturbance left behind.
const SETTLING: Duration = Duration::from_secs(120);

/// As [`settle`]; of the orders that are not final each has a dead letter, and nothing else has.
///
/// # Panics
/// When it is not so in time; with what is wrong.
pub async fn balance(stack: &Stack, unfinished: i64) {
    assert_eq!(settle(stack, unfinished).await, unfinished, "dead letters");
}

/// Waits until nothing is owed any more, and the books agree: every order final but `unfinished` ones. Answers how many
/// dead letters were announced.
///
/// # Panics
/// When they do not agree in time; with what is wrong.
pub async fn settle(stack: &Stack, unfinished: i64) -> i64 {
    until("the last order to end", SETTLING, async || {
        let pending = count(stack, Service::Order, "orders where status = 'pending'").await;
        (pending == unfinished).then_some(())
    })
    .await;
    let options = Options {
        settle: Some(SETTLING),
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
    let letters: u64 = report.counts.dead_letters.values().sum();
    i64::try_from(letters).unwrap()
}

/// The rows of a service's database.
pub async fn rows(stack: &Stack, service: Service, sql: &str) -> Vec<Row> {
    let client = stack::postgres::connect(stack.database_url(service))
        .await
        .unwrap();
    client.query(sql, &[]).await.unwrap()
}

/// How many there are.
pub async fn count(stack: &Stack, service: Service, table: &str) -> i64 {
    rows(stack, service, &format!("select count(*) from {table}")).await[0].get(0)
}
