//! One process after the other is stopped and started anew, as a deployment does it, while customers go on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acceptance::books::count;
use acceptance::customer::{Customer, an_order};
use acceptance::{PATIENCE, turn, until};
use stack::Service;
use stack::service::Ports;
use uuid::Uuid;

use crate::pair::{Pair, is_ready};

/// How often the load balancer asks who is ready: more often than a process takes to leave.
const BALANCER_ASKS: Duration = Duration::from_millis(200);
const CLIENTS: usize = 8;
/// Each asks so often: a steady load, and no more than two cores carry beside a start.
const PACE: Duration = Duration::from_millis(40);

/// What the clients share.
#[derive(Default)]
struct Load {
    /// The gateways that were ready when they were last asked.
    ready: Mutex<Vec<String>>,
    done: AtomicBool,
    placed: AtomicUsize,
    read: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn answered(&self) -> usize {
        self.placed.load(Ordering::SeqCst) + self.read.load(Ordering::SeqCst)
    }

    fn ready(&self) -> Vec<String> {
        self.ready.lock().unwrap().clone()
    }

    fn gateway(&self, turn: usize) -> String {
        let ready = self.ready();
        assert!(!ready.is_empty(), "no gateway is ready");
        ready[turn % ready.len()].clone()
    }

    /// As load balancers do it: who says no, or is not there, is left out; who says yes is taken back.
    async fn keep_choosing(&self, gateways: [Ports; 2]) {
        let http = reqwest::Client::new();
        while !self.done.load(Ordering::SeqCst) {
            let asked = gateways.map(|gateway| is_ready(&http, gateway));
            let answers = futures::future::join_all(asked).await;
            let ready = gateways.iter().zip(answers);
            let ready = ready
                .filter(|(_, is_ready)| *is_ready)
                .map(|(gateway, _)| gateway.url());
            *self.ready.lock().unwrap() = ready.collect();
            tokio::time::sleep(BALANCER_ASKS).await;
        }
    }

    /// Places orders and reads them, over connections that are kept. Nothing is ever asked twice by the client; every
    /// other order may not be asked twice by the gateway either.
    async fn go_on(&self, number: usize, token: &str) {
        let http = reqwest::Client::new();
        for turn in number.. {
            if self.done.load(Ordering::SeqCst) {
                return;
            }
            let gateway = self.gateway(turn);
            let order = http.post(format!("{gateway}/orders")).bearer_auth(token);
            let order = if turn % 2 == 0 {
                order.header("idempotency-key", Uuid::new_v4().to_string())
            } else {
                order
            };
            let placed = order.json(&an_order("pm_card_visa"));
            if self.note("POST /orders", 202, placed.send().await).await {
                self.placed.fetch_add(1, Ordering::SeqCst);
            }
            let read = http.get(format!("{gateway}/orders?limit=1")).bearer_auth(token);
            if self.note("GET /orders", 200, read.send().await).await {
                self.read.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn note(&self, what: &str, status: u16, answer: reqwest::Result<reqwest::Response>) -> bool {
        let failure = match answer {
            Ok(answer) if answer.status() == status => match answer.bytes().await {
                Ok(_) => return true,
                Err(error) => format!("{what} broke off: {error:?}"),
            },
            Ok(answer) => format!("{what}: {}: {:?}", answer.status(), answer.text().await),
            Err(error) => format!("{what} had no answer: {error:?}"),
        };
        self.failures.lock().unwrap().push(failure);
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn a_rolling_restart_of_gateways_and_order_services_fails_no_request() {
    let _turn = turn().await;
    // given two of each, and customers who go on at a steady pace
    let mut pair = Pair::start().await;
    let customer = Customer::register(&pair.stack).await;
    let load = Arc::new(Load::default());
    let (balancer, gateways) = (load.clone(), pair.gateways);
    let balancer = tokio::spawn(async move { balancer.keep_choosing(gateways).await });
    until("both gateways to be chosen from", PATIENCE, async || {
        (load.ready().len() == 2).then_some(())
    })
    .await;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (load, token) = (load.clone(), customer.token().to_owned());
            tokio::spawn(async move { load.go_on(number, &token).await })
        })
        .collect();

    // when one process after the other is stopped and started anew
    let (gateways, orders) = (pair.gateways, pair.orders);
    let steps = gateways
        .iter()
        .enumerate()
        .map(|(replica, ports)| (Service::Gateway, replica, *ports));
    let steps = steps.chain(
        orders
            .iter()
            .enumerate()
            .map(|(replica, ports)| (Service::Order, replica, *ports)),
    );
    for (service, replica, ports) in steps {
        let before = load.answered();
        pair.restart(service, replica, ports).await;
        // the load balancer takes it back before the next one goes
        until("both gateways to be chosen from", PATIENCE, async || {
            (load.ready().len() == 2).then_some(())
        })
        .await;
        assert!(load.answered() > before + 10, "there was no load");
    }
    load.done.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    balancer.await.unwrap();

    // then every request was answered, and each order that was accepted is there, once
    assert_eq!(*load.failures.lock().unwrap(), Vec::<String>::new());
    let placed = load.placed.load(Ordering::SeqCst);
    println!(
        "{placed} orders placed, {} reads",
        load.read.load(Ordering::SeqCst)
    );
    let orders = count(&pair.stack, Service::Order, "orders").await;
    assert_eq!(usize::try_from(orders).unwrap(), placed);
}
