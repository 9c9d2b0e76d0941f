//! The books of all services side by side, and every way in which they do not agree.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use contracts::Topic;
use stack::{Service, Stack};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::records::{self, Record};

/// How long the platform may take to work off what a disturbance left behind.
const SETTLING: Duration = Duration::from_secs(120);

/// What the services have written down.
struct Books {
    orders: HashMap<Uuid, Order>,
    payments: HashMap<Uuid, Payment>,
    charges: HashMap<Uuid, Charge>,
    told: HashMap<Uuid, i64>,
    timeline: HashSet<Uuid>,
    /// Rows of outbox and pending work that are left, by service.
    owed: BTreeMap<&'static str, i64>,
    /// What was given up, by service.
    dead: BTreeMap<&'static str, i64>,
    /// Records before a consumer group, by service.
    lag: BTreeMap<&'static str, i64>,
    records: Vec<Record>,
}

struct Order {
    status: String,
    total: i64,
    payment: String,
    refunded: bool,
}

struct Payment {
    id: String,
    status: String,
    amount: i64,
}

struct Charge {
    status: String,
    amount: i64,
    refunded: bool,
}

/// Waits until nothing is owed any more, and the books agree: every order final (but `unfinished`, of which each has a
/// dead letter, and nothing else has), every cent accounted for, every fact told exactly once.
///
/// # Panics
/// When they do not agree in time; with every fault found.
pub async fn balance(stack: &Stack, unfinished: &[Uuid]) {
    let begin = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tick.tick().await;
        let faults = Books::read(stack).await.faults(unfinished);
        if faults.is_empty() {
            return;
        }
        let shown: Vec<_> = faults.iter().take(20).collect();
        assert!(
            begin.elapsed() < SETTLING,
            "{} faults in the books: {shown:#?}",
            faults.len()
        );
    }
}

impl Books {
    async fn read(stack: &Stack) -> Self {
        let id = |row: &Row| -> Uuid { row.get::<_, String>(0).parse().unwrap() };
        let orders = rows(
            stack,
            Service::Order,
            "select id::text, status, total_minor, coalesce(payment_id::text, ''), refunded from orders",
        );
        let payments = rows(
            stack,
            Service::Payment,
            "select order_id::text, id::text, status, amount_minor from payment",
        );
        let charges = rows(
            stack,
            Service::Payment,
            "select idempotency_key, status, amount_minor, refund_reference is not null from simulator.charge",
        );
        let told = rows(
            stack,
            Service::Notification,
            "select id::text, count(*) from notification group by 1",
        );
        let timeline = rows(
            stack,
            Service::Gateway,
            "select event_id::text from timeline_entry",
        );
        let (orders, payments, charges, told, timeline) =
            tokio::join!(orders, payments, charges, told, timeline);
        let mut owed = BTreeMap::new();
        let (mut dead, mut lag) = (BTreeMap::new(), BTreeMap::new());
        for service in Service::ALL {
            let sql = "select (select count(*) from outbox) + count(*) filter (where state = 'pending'),
                              count(*) filter (where state = 'dead') from work";
            let work = rows(stack, service, sql).await;
            owed.insert(service.name(), work[0].get(0));
            dead.insert(service.name(), work[0].get(1));
            let lags = records::lag(stack.brokers(), service.name(), consumed_by(service)).await;
            lag.insert(service.name(), lags);
        }
        Self {
            orders: orders
                .iter()
                .map(|row| {
                    let order = Order {
                        status: row.get(1),
                        total: row.get(2),
                        payment: row.get(3),
                        refunded: row.get(4),
                    };
                    (id(row), order)
                })
                .collect(),
            payments: payments
                .iter()
                .map(|row| {
                    let payment = Payment {
                        id: row.get(1),
                        status: row.get(2),
                        amount: row.get(3),
                    };
                    (id(row), payment)
                })
                .collect(),
            charges: charges
                .iter()
                .map(|row| {
                    let charge = Charge {
                        status: row.get(1),
                        amount: row.get(2),
                        refunded: row.get(3),
                    };
                    (id(row), charge)
                })
                .collect(),
            told: told.iter().map(|row| (id(row), row.get(1))).collect(),
            timeline: timeline.iter().map(id).collect(),
            owed,
            dead,
            lag,
            records: records::all(stack.brokers()).await,
        }
    }

    fn faults(&self, unfinished: &[Uuid]) -> Vec<String> {
        let mut faults = Vec::new();
        for (service, left) in self.owed.iter().filter(|(_, left)| **left > 0) {
            faults.push(format!("{service} still owes {left} records or pieces of work"));
        }
        for (service, left) in self.lag.iter().filter(|(_, left)| **left > 0) {
            faults.push(format!("{service} has {left} records before it"));
        }
        let dead: i64 = self.dead.values().sum();
        let letters = self
            .records
            .iter()
            .filter(|record| record.is_dead_letter())
            .count();
        let expected = unfinished.len();
        if usize::try_from(dead) != Ok(expected) || letters != expected {
            faults.push(format!(
                "{:?} given up, {letters} dead letters, expected {expected}",
                self.dead
            ));
        }
        for (id, order) in &self.orders {
            if let Some(fault) = self.fault_of_order(*id, order, unfinished.contains(id)) {
                faults.push(format!("order {id} is {}: {fault}", order.status));
            }
        }
        for id in self.payments.keys().filter(|id| !self.orders.contains_key(id)) {
            faults.push(format!("payment of {id}, which is no order"));
        }
        for id in self.charges.keys().filter(|id| !self.payments.contains_key(id)) {
            faults.push(format!("charge of {id}, for which there is no payment"));
        }
        self.check_money(&mut faults);
        self.check_facts(&mut faults);
        faults
    }

    fn fault_of_order(&self, id: Uuid, order: &Order, may_be_open: bool) -> Option<String> {
        let Some(payment) = self.payments.get(&id) else {
            return Some("it has no payment".to_owned());
        };
        let kept = self
            .charges
            .get(&id)
            .filter(|charge| charge.status == "approved" && !charge.refunded)
            .map_or(0, |charge| charge.amount);
        let status = payment.status.as_str();
        match order.status.as_str() {
            "confirmed" if status != "completed" => Some(format!("its payment is {status}")),
            "confirmed" if payment.id != order.payment => Some("another payment confirmed it".to_owned()),
            "confirmed" if payment.amount != order.total || kept != order.total => Some(format!(
                "costs {}, paid {}, charged {kept}",
                order.total, payment.amount
            )),
            "cancelled" if !["failed", "voided", "refunded"].contains(&status) => {
                Some(format!("its payment is {status}"))
            }
            "cancelled" if kept != 0 => Some(format!("{kept} are kept")),
            "cancelled" if (status == "refunded") != order.refunded => {
                Some("does not know of its refund".to_owned())
            }
            "pending" if !may_be_open => Some("it has not ended".to_owned()),
            "confirmed" | "cancelled" | "pending" => None,
            _ => Some("there is no such status".to_owned()),
        }
    }

    fn check_money(&self, faults: &mut Vec<String>) {
        let approved = self.charges.values().filter(|charge| charge.status == "approved");
        let kept: i64 = approved
            .filter(|charge| !charge.refunded)
            .map(|charge| charge.amount)
            .sum();
        let confirmed = self.orders.values().filter(|order| order.status == "confirmed");
        let earned: i64 = confirmed.map(|order| order.total).sum();
        if kept != earned {
            faults.push(format!("{kept} are kept, confirmed orders come to {earned}"));
        }
    }

    /// Each fact has one number of its aggregate's, with no hole; was told to its customer once, and is in the
    /// timeline. A record may be there more than once: the same event.
    fn check_facts(&self, faults: &mut Vec<String>) {
        let mut numbers: HashMap<(String, Uuid), BTreeMap<u64, BTreeSet<Uuid>>> = HashMap::new();
        let mut kinds: HashMap<(&str, Uuid), HashSet<Uuid>> = HashMap::new();
        let mut facts: HashSet<Uuid> = HashSet::new();
        for record in self.records.iter().filter(|record| !record.is_dead_letter()) {
            let (id, key) = (record.event_id(), record.key.expect("a key"));
            let aggregate = (record.header("ce_source").to_owned(), key);
            let number = record.header("ce_sequence").parse().expect("a number");
            numbers
                .entry(aggregate)
                .or_default()
                .entry(number)
                .or_default()
                .insert(id);
            // a user may log out many times, and is told nothing
            if record.topic != Topic::SessionRevoked.name() {
                kinds.entry((&record.topic, key)).or_default().insert(id);
                facts.insert(id);
            }
        }
        for ((source, key), numbers) in numbers {
            let contiguous = numbers
                .keys()
                .copied()
                .eq(1..=u64::try_from(numbers.len()).unwrap());
            if !contiguous || numbers.values().any(|ids| ids.len() != 1) {
                faults.push(format!("{source} numbered the facts of {key} as {numbers:?}"));
            }
        }
        for ((topic, key), ids) in kinds.iter().filter(|(_, ids)| ids.len() > 1) {
            faults.push(format!("{topic} of {key} was announced as {ids:?}"));
        }
        for id in self
            .orders
            .keys()
            .filter(|id| !kinds.contains_key(&("order.created", **id)))
        {
            faults.push(format!("order {id} was never announced"));
        }
        for id in facts.iter().filter(|id| self.told.get(id) != Some(&1)) {
            faults.push(format!("fact {id} was told {:?} times", self.told.get(id)));
        }
        for id in self.told.keys().filter(|id| !facts.contains(id)) {
            faults.push(format!("{id} was told, and is no fact"));
        }
        for id in facts.iter().filter(|id| !self.timeline.contains(id)) {
            faults.push(format!("fact {id} is not in the timeline"));
        }
    }
}

fn consumed_by(service: Service) -> &'static [Topic] {
    match service {
        Service::Auth => &[],
        Service::Gateway => &Topic::ALL,
        Service::Order => &[
            Topic::PaymentCompleted,
            Topic::PaymentFailed,
            Topic::PaymentRefunded,
        ],
        Service::Payment => &[Topic::OrderCreated, Topic::OrderCancelled],
        Service::Notification => &[
            Topic::OrderCreated,
            Topic::OrderConfirmed,
            Topic::OrderCancelled,
            Topic::PaymentCompleted,
            Topic::PaymentFailed,
            Topic::PaymentRefunded,
            Topic::UserRegistered,
        ],
    }
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
