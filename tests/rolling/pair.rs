//! A platform with two gateways and two order services, each process known to whoever calls it.

use std::time::{Duration, Instant};

use acceptance::{PATIENCE, until};
use stack::service::Ports;
use stack::{Service, Stack};

/// As long as the programs' own default; a stack sets it to nothing.
const DRAIN_DELAY_MS: &str = "3000";

/// The platform, and where its doubled processes listen; the first of each first.
pub(crate) struct Pair {
    pub(crate) stack: Stack,
    pub(crate) gateways: [Ports; 2],
    pub(crate) orders: [Ports; 2],
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let drain = "QUADRILLE__HTTP__DRAIN_DELAY_MS";
        let mut stack = Stack::builder()
            .service_env(Service::Gateway, drain, DRAIN_DELAY_MS)
            .service_env(Service::Order, drain, DRAIN_DELAY_MS)
            .build()
            .await
            .unwrap();
        let first = |stack: &Stack, service| Ports {
            http: port(&stack.service_url(service)),
            management: port(&stack.management_url(service)),
        };
        let orders = [
            first(&stack, Service::Order),
            stack.add_replica(Service::Order).await.unwrap(),
        ];
        let both = format!("{},{}", orders[0].url(), orders[1].url());
        stack.set_env(Service::Gateway, "QUADRILLE__UPSTREAMS__ORDER", Some(&both));
        assert!(stack.stop(Service::Gateway).await);
        stack.start(Service::Gateway).await.unwrap();
        let gateways = [
            first(&stack, Service::Gateway),
            stack.add_replica(Service::Gateway).await.unwrap(),
        ];
        let pair = Self {
            stack,
            gateways,
            orders,
        };
        for ports in pair.gateways.iter().chain(&pair.orders) {
            ready(*ports).await;
        }
        pair
    }

    /// Stops one process of a service, starts it again, and waits until it may be sent requests.
    pub(crate) async fn restart(&mut self, service: Service, replica: usize, ports: Ports) {
        assert!(
            self.stack.stop_replica(service, replica).await,
            "{service} {replica} had to be killed"
        );
        self.stack.launch(service).unwrap();
        let name = if replica == 0 {
            service.to_string()
        } else {
            format!("{service}-{replica}")
        };
        let http = reqwest::Client::new();
        let begun = Instant::now();
        while !is_ready(&http, ports).await {
            assert!(
                begun.elapsed() < PATIENCE,
                "{name} is not ready; the end of its log:\n{}",
                self.stack.log_tail(&name, 20)
            );
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

fn port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Whether a process may be sent requests, by its own word.
pub(crate) async fn is_ready(http: &reqwest::Client, ports: Ports) -> bool {
    let asked = http
        .get(format!("{}/readyz", ports.management_url()))
        .send()
        .await;
    asked.is_ok_and(|answer| answer.status() == 200)
}

pub(crate) async fn ready(ports: Ports) {
    let http = reqwest::Client::new();
    until("a process to be ready", PATIENCE, async || {
        is_ready(&http, ports).await.then_some(())
    })
    .await;
}
