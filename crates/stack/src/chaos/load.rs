//! An open load: orders of every payment method and cancellations arrive at a steady pace, whether the platform
//! answers or not. Each is tried again under its idempotency key until it is answered, as a customer would.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::customer::{Ask, Customer, Reply};
use crate::error::{Error, Result};
use crate::platform::Stack;

/// How payments go, and how many of a hundred go so.
const METHODS: [(&str, u32); 6] = [
    ("pm_card_visa", 60),
    ("pm_card_declined", 10),
    ("pm_card_insufficient_funds", 8),
    ("pm_provider_flaky", 12),
    ("pm_provider_slow", 7),
    (GIVEN_UP, 3),
];
/// The charge becomes a dead letter, and the deadline cancels the order.
const GIVEN_UP: &str = "pm_provider_error";
/// Of a hundred orders, so many are taken back a moment later.
const CANCELLED: u32 = 25;
/// Before so many of a hundred, the provider is told to take the money of its next charge and never to answer.
const SILENT: u32 = 3;
const CUSTOMERS: usize = 4;
/// Longest pause of somebody who asks again.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Which payment methods the orders have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// All of them.
    All,
    /// Only those whose orders end without the deadline's help.
    Ending,
}

impl Mix {
    fn draw(self, random: &mut StdRng) -> &'static str {
        let shares = METHODS
            .iter()
            .filter(|(name, _)| self == Self::All || *name != GIVEN_UP);
        let mut chosen = random.random_range(0..shares.clone().map(|(_, share)| share).sum());
        let method = shares.into_iter().find(|(_, share)| {
            let found = chosen < *share;
            chosen = chosen.saturating_sub(*share);
            found
        });
        method.map_or("pm_card_visa", |(name, _)| name)
    }
}

/// What became of the load.
#[derive(Debug, Default, Clone)]
pub struct Placed {
    /// Orders that were accepted.
    pub accepted: HashSet<Uuid>,
    /// Orders whose cancellation was accepted.
    pub cancelled: HashSet<Uuid>,
    /// Requests that had to be sent again, by what they met.
    pub repeated: BTreeMap<String, usize>,
    /// Requests that were never answered, or with something that no fault excuses.
    pub unanswered: Vec<String>,
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    customers: Vec<Customer>,
    admin: Customer,
    placed: Mutex<Placed>,
    ends: AtomicBool,
    /// After the end of the load, when a request is given up.
    give_up: Mutex<Option<Instant>>,
}

impl Load {
    /// Begins to place `rate` orders a second through the gateway of `stack`. The choice of methods follows the seed.
    pub async fn begin(stack: &Stack, rate: f64, seed: u64) -> Result<Self> {
        Self::of(Mix::All, stack, rate, seed).await
    }

    /// As [`Self::begin`], with these payment methods.
    pub async fn of(mix: Mix, stack: &Stack, rate: f64, seed: u64) -> Result<Self> {
        let url = stack.url();
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(Customer::register(&url).await?);
        }
        let admin = stack.admin();
        let shared = Arc::new(Shared {
            customers,
            admin: Customer::log_in_as(&url, &admin.email, &admin.password).await?,
            placed: Mutex::default(),
            ends: AtomicBool::new(false),
            give_up: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(arrive(shared.clone(), mix, rate, seed));
        Ok(Self { shared, tasks })
    }

    /// Orders accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.placed().accepted.len()
    }

    /// Places nothing new, and waits until everything is answered, so long at most.
    pub async fn end(mut self, patience: Duration) -> Result<Placed> {
        self.shared.ends.store(true, Ordering::Relaxed);
        *self.shared.give_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + patience);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|died| Error::Invalid(format!("the load died: {died}")))?;
        }
        Ok(self.shared.placed().clone())
    }
}

impl Shared {
    fn placed(&self) -> std::sync::MutexGuard<'_, Placed> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_given_up(&self) -> bool {
        let give_up = self.give_up.lock().unwrap_or_else(PoisonError::into_inner);
        give_up.is_some_and(|at| Instant::now() >= at)
    }
}

async fn arrive(shared: Arc<Shared>, mix: Mix, rate: f64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut arrivals = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    let mut under_way = JoinSet::new();
    while !shared.ends.load(Ordering::Relaxed) {
        arrivals.tick().await;
        let visit = Visit::draw(mix, &mut random);
        under_way.spawn(visit.make(shared.clone()));
        while let Some(ended) = under_way.try_join_next() {
            shared.note_death(ended);
        }
    }
    while let Some(ended) = under_way.join_next().await {
        shared.note_death(ended);
    }
}

/// One order, and perhaps its cancellation.
struct Visit {
    key: Uuid,
    customer: usize,
    method: &'static str,
    quantity: u32,
    cancelled_after: Option<Duration>,
    provider_is_silent: bool,
}

impl Visit {
    fn draw(mix: Mix, random: &mut StdRng) -> Self {
        let method = mix.draw(random);
        Self {
            key: uuid::Builder::from_random_bytes(random.random()).into_uuid(),
            customer: random.random_range(0..CUSTOMERS),
            method,
            quantity: random.random_range(1..=5),
            cancelled_after: (random.random_range(0..100) < CANCELLED)
                .then(|| Duration::from_millis(random.random_range(0..2_500))),
            provider_is_silent: random.random_range(0..100) < SILENT,
        }
    }

    async fn make(self, shared: Arc<Shared>) {
        let Some(customer) = shared.customers.get(self.customer) else {
            return;
        };
        if self.provider_is_silent {
            shared.insist(&shared.admin, &Ask::Silence).await;
        }
        let order = json!({
            "items": [{"sku": "CABLE-USBC", "quantity": self.quantity}],
            "payment_method": self.method,
        });
        let place = Ask::Place { key: self.key, order };
        let answer = shared.insist(customer, &place).await;
        let Some(Reply::Placed(id)) = answer else {
            return;
        };
        if !shared.placed().accepted.insert(id) {
            let told = format!("order {id} was given to two requests");
            shared.placed().unanswered.push(told);
        }
        let Some(pause) = self.cancelled_after else {
            return;
        };
        tokio::time::sleep(pause).await;
        if let Some(Reply::Cancelled) = shared.insist(customer, &Ask::Cancel(id)).await {
            shared.placed().cancelled.insert(id);
        }
    }
}

impl Shared {
    /// Sends until there is an answer that counts; none when it is given up. The pauses grow up to [`PAUSE_MAX`]: hundreds who
    /// ask again every moment are an overload of their own, and keep it up after its cause has gone.
    async fn insist(&self, customer: &Customer, ask: &Ask) -> Option<Reply> {
        let what = ask.path();
        let mut pause = Duration::from_millis(50);
        loop {
            match customer.ask(ask).await {
                Reply::Again(why) if self.is_given_up() => {
                    self.placed().unanswered.push(format!("{what}: {why}"));
                    return None;
                }
                Reply::Again(why) => *self.placed().repeated.entry(why).or_default() += 1,
                Reply::Wrong(why) => {
                    self.placed().unanswered.push(format!("{what}: {why}"));
                    return None;
                }
                answer @ (Reply::Placed(_) | Reply::Cancelled | Reply::TooLate | Reply::Silent) => {
                    return Some(answer);
                }
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn note_death(&self, ended: std::result::Result<(), tokio::task::JoinError>) {
        if let Err(died) = ended {
            self.placed()
                .unanswered
                .push(format!("the load's own fault: {died}"));
        }
    }
}
