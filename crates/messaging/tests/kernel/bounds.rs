//! Over a long run the tables of the kernel stay as small as what they owe.

use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::desk::sick_orders;
use crate::tally::{Fortune, Script, running_errands};
use crate::world::{Database, Setup, until};

const ROUNDS: usize = 12;
const ORDERS: usize = 50;
/// Messages to each order in a round, one of them an errand.
const EACH: usize = 8;
const SICK: usize = 2;

/// Bytes of a table and its indexes, of all that was deleted cleaned up.
async fn size(database: &mut Database, table: &str) -> usize {
    database.execute(&format!("vacuum {table}")).await;
    database
        .number(&format!(
            "select pg_relation_size('{table}') + pg_indexes_size('{table}')"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_leave_nothing_but_the_dead() {
    let broker = Broker::start().await;
    let mut database = Database::create().await;
    let script = Script::new();
    let service = Setup::new(&broker, &database)
        .limits(|limits| {
            limits.retry_delays_ms = vec![10, 10, 10];
            limits.breaker_keys = 1_000;
        })
        .start(running_errands(&script));
    let orders: Vec<Uuid> = (0..ORDERS).map(|_| chassis::clock::new_id()).collect();
    let mut sizes = Vec::new();
    for round in 1..=ROUNDS {
        let mut messages = Vec::new();
        for (number, order) in orders.iter().enumerate() {
            let errand = format!("errand {round} {order}");
            if number % 5 == 0 {
                script.plan(&errand, &[Fortune::Fails, Fortune::Panics]);
            }
            let announce = |message| Sent::new(*order, &format!("announce {round} {message}"));
            messages.extend((1..EACH).map(announce));
            messages.push(Sent::new(*order, &errand));
        }
        broker.produce(&messages).await;
        // some come again
        broker.produce(&messages[..ORDERS]).await;
        sick_orders(&broker, SICK).await;
        let done = "select count(*) from tally where cardinality(seen) =";
        until("the round is over", async || {
            database.number(&format!("{done} {}", round * (EACH + 1))).await == ORDERS
        })
        .await;
        service.open_letters(round * SICK).await;
        database.until_zero("select count(*) from outbox").await;
        database
            .until_zero("select count(*) from work where state = 'pending'")
            .await;
        sizes.push((
            size(&mut database, "outbox").await,
            size(&mut database, "work").await,
        ));
    }
    println!("bytes of outbox and work after each round: {sizes:?}");
    let largest = |of: &[(usize, usize)]| {
        let outbox = of.iter().map(|(outbox, _)| *outbox).max().unwrap();
        let work = of.iter().map(|(_, work)| *work).max().unwrap();
        (outbox, work)
    };
    let (first, last) = (largest(&sizes[..3]), largest(&sizes[ROUNDS - 3..]));
    assert!(last.0 <= 2 * first.0, "the outbox has grown: {sizes:?}");
    assert!(last.1 <= 2 * first.1, "the work has grown: {sizes:?}");

    let dead = "select count(*) from work where state = 'dead' and error_class = 'not-now'";
    assert_eq!(database.number(dead).await, ROUNDS * SICK);
    assert_eq!(database.number("select count(*) from work").await, ROUNDS * SICK);
    let processed = "select count(*) from processed_event";
    assert_eq!(database.number(processed).await, ROUNDS * (ORDERS * EACH + SICK));
    service.stop().await;
}
