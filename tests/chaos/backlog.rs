//! The classic question: notification is away while thousands of orders are placed. What does it cost, and how long
//! does it take until everybody has been told?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use acceptance::books::count;
use acceptance::customer::Customer;
use acceptance::{turn, until};
use futures::StreamExt;
use stack::chaos::Placed;
use stack::{Service, Stack, proc};

use crate::settled::balance;

/// What a process may have more of than before, however long the backlog: what its consumer has fetched ahead (16 MiB at
/// most) and what the allocator keeps of it, a batch, the ids of recent events.
const GROWTH: u64 = 96 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// Orders of the run; `QUADRILLE_BACKLOG=10000` asks for more.
#[expect(clippy::disallowed_methods, reason = "a longer run of the same test")]
fn orders() -> usize {
    std::env::var("QUADRILLE_BACKLOG").map_or(1_000, |orders| orders.parse().unwrap())
}

#[tokio::test]
async fn a_backlog_is_worked_off_in_bounded_memory_and_everybody_is_told_once() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().env("QUADRILLE__LOG__FILTER", "warn").build())
        .await
        .unwrap();
    let customer = Customer::register(&stack).await;
    // everything is warm before it is measured
    let first = place(&customer, 200).await;
    let told = |orders: usize| 3 * i64::try_from(orders).unwrap() + 2;
    reaches(&stack, "notification", Service::Notification, told(200)).await;
    let before = memory(&mut stack);

    stack.stop(Service::Notification).await;
    let begin = Instant::now();
    let mut accepted = place(&customer, orders()).await;
    accepted.extend(first);
    let placing = begin.elapsed();
    let final_ones = i64::try_from(accepted.len()).unwrap();
    reaches(
        &stack,
        "orders where status <> 'pending'",
        Service::Order,
        final_ones,
    )
    .await;
    let meanwhile = memory(&mut stack);

    let begin = Instant::now();
    stack.start(Service::Notification).await.unwrap();
    reaches(
        &stack,
        "notification",
        Service::Notification,
        told(accepted.len()),
    )
    .await;
    let drain = begin.elapsed();
    let after = memory(&mut stack);
    println!(
        "{} orders placed in {placing:.1?} without notification; {} notifications in {drain:.1?} from its start",
        orders(),
        3 * orders()
    );
    for (name, bytes) in &before {
        let of = |sizes: &BTreeMap<String, u64>| sizes.get(name).copied().unwrap_or_default() >> 20;
        println!(
            "{name:<14} {:>4} MiB before, {:>4} while it was away, {:>4} after",
            bytes >> 20,
            of(&meanwhile),
            of(&after)
        );
        let is_ours = Service::ALL.iter().any(|service| service.name() == name);
        assert!(!is_ours || after[name] < bytes + GROWTH, "{name} has grown");
    }
    let placed = Placed {
        accepted: accepted.into_iter().collect(),
        ..Placed::default()
    };
    balance(&stack, &placed).await;
}

async fn place(customer: &Customer, number: usize) -> Vec<uuid::Uuid> {
    let posts = (0..number).map(|_| customer.place("pm_card_visa"));
    futures::stream::iter(posts).buffer_unordered(16).collect().await
}

async fn reaches(stack: &Stack, rows: &str, service: Service, number: i64) {
    until(&format!("{number} {rows}"), PATIENCE, async || {
        (count(stack, service, rows).await >= number).then_some(())
    })
    .await;
}

fn memory(stack: &mut Stack) -> BTreeMap<String, u64> {
    let pids = stack.pids().into_iter();
    pids.map(|(name, pid)| (name, proc::memory(pid).resident_bytes))
        .collect()
}
