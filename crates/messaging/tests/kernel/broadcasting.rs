//! A topic that each process reads whole.

use std::sync::{Arc, Mutex};

use chassis::Tasks;
use chrono::TimeDelta;
use contracts::events::OrderCreated;
use messaging::Broadcast;
use messaging::metrics::KernelMetrics;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::broker::{Broker, Sent};
use crate::world::{settings, until};

/// What one process has heard.
struct Listener {
    heard: Arc<Mutex<Vec<Uuid>>>,
    caught_up: oneshot::Receiver<usize>,
    tasks: Tasks,
}

impl Listener {
    fn start(broker: &Broker) -> Self {
        let topic = Broadcast::new(broker.address(), "test", &settings(), KernelMetrics::default()).unwrap();
        let heard = Arc::<Mutex<Vec<Uuid>>>::default();
        let (writing, counting) = (heard.clone(), heard.clone());
        let (tell, caught_up) = oneshot::channel();
        let tasks = Tasks::new();
        tasks.spawn("broadcast", move |stop| {
            let hear = move |order: OrderCreated| writing.lock().unwrap().push(order.order_id.uuid());
            let caught_up = move || tell.send(counting.lock().unwrap().len()).unwrap();
            topic.run(TimeDelta::hours(1), hear, caught_up, stop)
        });
        Self {
            heard,
            caught_up,
            tasks,
        }
    }

    fn heard(&self) -> Vec<Uuid> {
        let mut heard = self.heard.lock().unwrap().clone();
        heard.sort();
        heard
    }

    async fn until_heard(&self, orders: &[Uuid]) {
        until("everything was heard", async || self.heard() == orders).await;
    }
}

fn announced(count: usize) -> (Vec<Uuid>, Vec<Sent>) {
    let mut orders: Vec<_> = (0..count).map(|_| chassis::clock::new_id()).collect();
    orders.sort();
    let sent = orders.iter().map(|order| Sent::new(*order, "label")).collect();
    (orders, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_hears_all_and_knows_when_it_has_caught_up() {
    let broker = Broker::bare().await;
    // the first is there before the topic is
    let mut first = Listener::start(&broker);
    assert!(first.caught_up.try_recv().is_err());
    broker.make_topics().await;
    assert_eq!((&mut first.caught_up).await, Ok(0), "there was nothing");

    let (mut orders, sent) = announced(200);
    let nonsense = Sent::new(orders[0], "label").header("ce_type", Some(b"nonsense"));
    broker.produce(&[vec![nonsense], sent].concat()).await;
    first.until_heard(&orders).await;

    // one that comes later has heard as much before it says so, and from then on both hear
    let mut second = Listener::start(&broker);
    assert_eq!((&mut second.caught_up).await, Ok(orders.len()));
    let (late, sent) = announced(20);
    broker.produce(&sent).await;
    orders.extend(late);
    orders.sort();
    first.until_heard(&orders).await;
    second.until_heard(&orders).await;
    for listener in [first, second] {
        listener.tasks.finish(std::time::Duration::from_secs(10)).await;
    }
}
