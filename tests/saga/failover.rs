//! The database moves to another server, and its columns change their types, while orders come in. The server speaks
//! German: nothing is told apart by its words.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use acceptance::books::{balance, count};
use acceptance::{PATIENCE, turn, until};
use stack::chaos::Proxy;
use stack::ports::Lease;
use stack::postgres::{Options, Postgres};
use stack::{Service, Stack};

use crate::load::{METHODS, customers, place};

const LANGUAGE: &str = "de";
/// So many orders must come through before the next thing happens.
const BETWEEN: usize = 40;

/// Columns that warm statements read.
const COLUMNS: [(Service, &str, &str); 4] = [
    (Service::Order, "orders", "payment_method"),
    (Service::Order, "outbox", "topic"),
    (Service::Payment, "work", "name"),
    (Service::Notification, "outbox", "topic"),
];

#[tokio::test]
async fn the_database_fails_over_twice_and_columns_are_widened_under_load_and_every_order_settles_once() {
    let _turn = turn().await;
    let mut stack = Box::pin(Stack::builder().postgres_language(LANGUAGE).build())
        .await
        .unwrap();
    let proxy = lead_through_a_proxy(&mut stack).await;
    let customers = customers(&stack).await;
    let (accepted, stop) = (AtomicUsize::new(0), tokio::sync::watch::channel(false).0);
    let load = async {
        while !*stop.borrow() {
            let placed = place(&customers, &METHODS, 20).await;
            accepted.fetch_add(placed.accepted.len(), Ordering::Relaxed);
        }
    };
    let faults = async {
        let more = async |after: &str| {
            let (begin, before) = (Instant::now(), accepted.load(Ordering::Relaxed));
            until(after, PATIENCE, async || {
                (accepted.load(Ordering::Relaxed) >= before + BETWEEN).then_some(())
            })
            .await;
            println!("{BETWEEN} orders {:?} {after}", begin.elapsed());
        };
        more("after the start").await;
        let relieved = fail_over(&mut stack, &proxy, Fault::Relieved).await;
        more("after the primary was relieved").await;
        let killed = fail_over(&mut stack, &proxy, Fault::Killed).await;
        more("after the primary was killed").await;
        for to in ["varchar(300)", "text"] {
            for (service, table, column) in COLUMNS {
                let admin = stack::postgres::connect(&stack.admin_database_url(service))
                    .await
                    .unwrap();
                let change = format!("alter table {table} alter column {column} type {to}");
                admin.batch_execute(&change).await.unwrap();
            }
            more(&format!("after columns became {to}")).await;
        }
        stop.send_replace(true);
        (relieved, killed)
    };
    let ((), _servers) = Box::pin(async { tokio::join!(load, faults) }).await;

    balance(&stack, 0).await;
    let orders = count(&stack, Service::Order, "orders").await;
    assert_eq!(usize::try_from(orders).unwrap(), accepted.load(Ordering::Relaxed));
    stack.wait_until_healthy(Duration::from_secs(60)).await.unwrap();
    // before the directories of its servers
    drop(stack);
}

/// Gives every service's database an address that can be led elsewhere.
async fn lead_through_a_proxy(stack: &mut Stack) -> Proxy {
    let port = stack.postgres().port();
    let proxy = Proxy::open(Proxy::lease().unwrap(), port).await.unwrap();
    for service in Service::ALL {
        let through = stack
            .database_url(service)
            .replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        stack.set_env(service, "QUADRILLE__DATABASE__URL", Some(&through));
        stack.kill9(service).await;
        stack.start(service).await.unwrap();
    }
    stack.wait_until_healthy(Duration::from_secs(60)).await.unwrap();
    proxy
}

#[derive(Clone, Copy)]
enum Fault {
    /// It takes no writes any more; connections to it stay.
    Relieved,
    /// It is gone.
    Killed,
}

/// A server that was moved away from, with what it needs.
type Former = (Postgres, Lease, tempfile::TempDir);

/// Makes a standby, and lets it take the primary's place under its address.
async fn fail_over(stack: &mut Stack, proxy: &Proxy, fault: Fault) -> Former {
    let (directory, port) = (stack::temporary().unwrap(), stack::ports::lease().unwrap());
    let mut options = Options::new(directory.path().join("postgres"), port.port());
    LANGUAGE.clone_into(&mut options.language);
    let standby = stack.postgres().standby(options).await.unwrap();
    match fault {
        Fault::Relieved => stack.postgres().relieve(&standby).await.unwrap(),
        Fault::Killed => stack.postgres().kill9().await,
    }
    standby.promote().await.unwrap();
    proxy.lead_to(standby.port());
    (stack.move_postgres(standby), port, directory)
}
