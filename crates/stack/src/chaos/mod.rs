//! Chaos: an open load, and a seeded schedule of everything that goes wrong in a machine room. At the end the books
//! must balance to the cent.

mod backlog;
pub mod change;
mod customer;
mod fault;
mod groups;
mod kind;
mod load;
mod measure;
mod named;
mod outcome;
mod promises;
mod proxy;
pub mod starve;
mod transactions;
mod world;

pub use backlog::drained;
pub use groups::Groups;
pub use kind::Kind;
pub use load::{Load, Mix, Placed};
pub use named::NamedBroker;
pub use outcome::Outcome;
pub use promises::wrongly_dead;
pub use proxy::Proxy;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::books::{self, Sources};
use crate::error::{IoContext, Result};
use crate::platform::Stack;
use fault::{Deck, Fault};
use transactions::LongTransactions;
use world::World;

/// A backlog that is not worked off by then is told as trouble.
const RECOVERY: Duration = Duration::from_secs(60);
/// How long the platform has at the end.
const SETTLE: Duration = Duration::from_secs(120);
/// Of a hundred rounds, in so many two things happen at once.
const PAIRS: u32 = 35;

/// How a run is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides what happens when.
    pub seed: u64,
    /// How long faults are made.
    pub length: Duration,
    /// Each of these once, in the order of the seed, instead of any kind for that long.
    pub each: Option<Vec<Kind>>,
    /// Orders a second.
    pub rate: f64,
    /// How long the write transactions are kept open.
    pub transactions: Duration,
    /// Directory of the services' programs; that of this program by default.
    pub binaries: Option<PathBuf>,
}

/// Runs a platform of its own through chaos.
///
/// # Errors
/// When the platform cannot be started, steered or read; what the faults do to it is in the outcome.
pub async fn run(options: &Options, tell: &(dyn Fn(&str) + Sync)) -> Result<Outcome> {
    let mut world = Box::pin(World::build(options.binaries.clone())).await?;
    let load = Load::begin(&world.stack, options.rate, options.seed).await?;
    let transactions = LongTransactions::begin(&world, options.transactions);
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut course = Course {
        deck: Deck::of(options.each.as_deref(), &mut random),
        random,
        begin: Instant::now(),
        tell,
        faults: BTreeMap::new(),
        story: Vec::new(),
        recoveries: Vec::new(),
        troubles: Vec::new(),
    };
    while course.goes_on(options) {
        course.round(&mut world).await?;
    }
    let took = course.begin.elapsed();
    let (begun, held) = (transactions.begun(), transactions.held());
    course.faults.insert("long write transaction", begun);
    drop(transactions);
    let placed = load.end(SETTLE).await?;
    course.note(&format!(
        "{} orders accepted, waiting for rest",
        placed.accepted.len()
    ));
    if let Err(left) = all_ended(&world.stack).await {
        course.trouble(left);
    }
    let how = books::Options {
        settle: Some(SETTLE),
        accepted: placed.accepted.clone(),
        ..books::Options::default()
    };
    let report = Box::pin(books::balance(&Sources::from(&world.stack), &how)).await?;
    let broken = placed.broken_promises(&world.stack).await?;
    for trouble in broken.into_iter().chain(wrongly_dead(&world.stack).await?) {
        course.trouble(trouble);
    }
    let mut outcome = Outcome {
        seed: options.seed,
        took,
        faults: course.faults,
        held,
        story: course.story,
        placed,
        recoveries: course.recoveries,
        troubles: course.troubles,
        report,
        logs: None,
    };
    if !outcome.is_good() {
        outcome.logs = Some(keep_logs(&world.stack, &options.seed.to_string())?);
    }
    Ok(outcome)
}

/// A run on its way.
struct Course<'a> {
    random: StdRng,
    begin: Instant,
    tell: &'a (dyn Fn(&str) + Sync),
    deck: Deck,
    faults: BTreeMap<&'static str, usize>,
    story: Vec<String>,
    recoveries: Vec<Duration>,
    troubles: Vec<String>,
}

impl Course<'_> {
    fn goes_on(&self, options: &Options) -> bool {
        match options.each {
            Some(_) => !self.deck.is_empty(),
            None => self.begin.elapsed() < options.length,
        }
    }

    /// A quiet moment, then one thing happens, or two at once, and is over; then the platform has time to recover.
    async fn round(&mut self, world: &mut World) -> Result<()> {
        let quiet = self.random.random_range(200..1_500);
        tokio::time::sleep(Duration::from_millis(quiet)).await;
        let mut faults = Vec::from_iter(self.deck.draw(&mut self.random));
        if self.random.random_range(0..100) < PAIRS {
            faults.extend(self.deck.draw(&mut self.random));
        }
        faults.sort_by_key(|fault| fault.lasts);
        let names: Vec<String> = faults.iter().map(ToString::to_string).collect();
        self.note(&names.join(", and "));
        self.happen(world, &faults).await?;
        for ended in world.supervise()? {
            self.trouble(ended);
        }
        match backlog::drained(&world.stack, RECOVERY).await {
            Ok(took) => {
                self.note(&format!("  recovered after {} ms", took.as_millis()));
                self.recoveries.push(took);
            }
            Err(left) => self.trouble(format!("not recovered after {RECOVERY:?}: {left}")),
        }
        Ok(())
    }

    async fn happen(&mut self, world: &mut World, faults: &[Fault]) -> Result<()> {
        for fault in faults {
            *self.faults.entry(fault.kind.name()).or_default() += 1;
            fault.begin(world).await;
        }
        let begun = Instant::now();
        for fault in faults {
            tokio::time::sleep(fault.lasts.saturating_sub(begun.elapsed())).await;
            fault.end(world).await?;
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.begin.elapsed().as_secs_f64());
        (self.tell)(&line);
        self.story.push(line);
    }

    fn trouble(&mut self, text: String) {
        self.note(&text);
        self.troubles.push(text);
    }
}

/// The deadline ends what nothing else does.
async fn all_ended(stack: &Stack) -> std::result::Result<(), String> {
    let begin = Instant::now();
    let url = stack.database_url(crate::Service::Order);
    loop {
        let pending = async {
            let client = crate::postgres::connect(url).await?;
            let sql = "select count(*) from orders where status = 'pending'";
            Ok::<i64, crate::Error>(client.query_one(sql, &[]).await?.try_get(0)?)
        };
        match pending.await {
            Ok(0) => return Ok(()),
            Ok(pending) if begin.elapsed() > SETTLE => return Err(format!("{pending} orders never ended")),
            Err(error) if begin.elapsed() > SETTLE => return Err(crate::error::chain(&error)),
            Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Copies the logs to where they stay.
fn keep_logs(stack: &Stack, run: &str) -> Result<PathBuf> {
    let to = std::env::temp_dir().join(format!("quadrille-chaos-{run}"));
    std::fs::create_dir_all(&to).at("create", &to)?;
    let from = stack.directory().join("logs");
    for entry in std::fs::read_dir(&from).at("read", &from)? {
        let path = entry.at("read", &from)?.path();
        if let Some(name) = path.file_name() {
            std::fs::copy(&path, to.join(name)).at("copy", &path)?;
        }
    }
    Ok(to)
}
