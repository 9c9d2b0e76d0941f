//! Rounds of starvation beside a load: a part of the platform gets a share of the time, and afterwards everybody must
//! find back by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::books::Report;

use super::groups::Groups;
use super::load::{Load, Mix, Placed};
use super::{all_ended, backlog, keep_logs, measure, wrongly_dead};
use crate::books::{self, Sources};
use crate::error::Result;
use crate::platform::{Stack, Starved};
use crate::process::Share;
use crate::service::Service;

/// What the kernel counts when it has replaced a client that made no progress.
const RENEWED: &str = "messaging_clients_renewed_total";
/// Groups count as recovered when they have stayed so for this long: a rebalance may follow another.
const HOLDS: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(250);
/// How long the platform has at the end.
const SETTLE: Duration = Duration::from_secs(120);
/// Longer than any round, so that no order is cancelled because its payment is late.
const DEADLINE_S: &str = "900";

/// How the rounds are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is starved.
    pub part: Starved,
    /// How its time is cut up.
    pub share: Share,
    /// Decides the pauses, and the orders.
    pub seed: u64,
    /// How often.
    pub rounds: usize,
    /// How long each time.
    pub length: Duration,
    /// Orders a second, all the while.
    pub rate: f64,
    /// How long after a round every consumer group may take until it is stable and has all partitions, and then the backlog
    /// until it is done.
    pub patience: Duration,
    /// Directory of the services' programs; that of this program by default.
    pub binaries: Option<PathBuf>,
}

/// What came of one round.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// From its end until every consumer had all its partitions; none when one did not in time.
    pub groups: Option<Duration>,
    /// From its end until everything was done that was there then.
    pub backlog: Option<Duration>,
    /// What was wrong, by service, when the time was up. These services were restarted, so that the next round finds them
    /// alive.
    pub dead: BTreeMap<Service, String>,
    /// What the gateway's `/health` said then; it must be ok when every consumer has recovered, and must not when one has
    /// not.
    pub health: String,
    /// Clients that the kernel has replaced, by service and labels.
    pub renewed: BTreeMap<String, f64>,
    /// Mismatches of the books, read while the load went on.
    pub mismatches: usize,
    /// What was wrong besides.
    pub troubles: Vec<String>,
}

impl Round {
    /// Whether everybody found back.
    pub fn is_good(&self) -> bool {
        self.groups.is_some() && self.backlog.is_some() && self.mismatches == 0 && self.troubles.is_empty()
    }
}

/// What came of all of them.
#[derive(Debug)]
pub struct Outcome {
    /// One by one.
    pub rounds: Vec<Round>,
    /// What the customers did.
    pub placed: Placed,
    /// The books at the end.
    pub report: Report,
    /// What was wrong besides.
    pub troubles: Vec<String>,
    /// Where the logs are, when something was wrong.
    pub logs: Option<PathBuf>,
}

impl Outcome {
    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.rounds.iter().all(Round::is_good)
            && self.report.balanced
            && self.troubles.is_empty()
            && self.placed.unanswered.is_empty()
    }

    /// The middle and the longest recovery of the groups, of the rounds after which they did recover.
    pub fn recovery(&self) -> Option<(Duration, Duration)> {
        let mut sorted: Vec<Duration> = self.rounds.iter().filter_map(|round| round.groups).collect();
        sorted.sort_unstable();
        Some((*sorted.get(sorted.len() / 2)?, *sorted.last()?))
    }
}

/// Starts a platform of its own, one process of each service, and starves a part of it round after round.
///
/// # Errors
/// When the platform cannot be started, steered or read; what starvation does to it is in the outcome.
pub async fn run(options: &Options, tell: &(dyn Fn(&str) + Sync)) -> Result<Outcome> {
    let mut builder = Stack::builder().service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_S", DEADLINE_S);
    if let Some(binaries) = &options.binaries {
        builder = builder.binaries(binaries);
    }
    let mut stack = Box::pin(builder.build()).await?;
    let groups = Groups::of(&stack).await?;
    let mut troubles = Vec::new();
    if let Err(missing) = recover(&groups, options.patience).await {
        troubles.push(format!("before the first round: {missing:?}"));
    }
    let mut pids: BTreeSet<_> = stack.pids().into_iter().collect();
    let load = Load::of(Mix::Ending, &stack, options.rate, options.seed).await?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = Box::pin(one(&mut stack, &groups, options, number)).await?;
        tell(&told(number, &round, load.accepted()));
        if stack.pids().into_iter().collect::<BTreeSet<_>>() != pids && round.dead.is_empty() {
            troubles.push(format!("a process was restarted in round {number}"));
        }
        for (service, why) in &round.dead {
            troubles.push(format!("{service} did not recover from round {number}: {why}"));
        }
        pids = stack.pids().into_iter().collect();
        rounds.push(round);
    }
    let placed = load.end(SETTLE).await?;
    troubles.extend(all_ended(&stack).await.err());
    let how = books::Options {
        settle: Some(SETTLE),
        accepted: placed.accepted.clone(),
        ..books::Options::default()
    };
    let report = Box::pin(books::balance(&Sources::from(&stack), &how)).await?;
    troubles.extend(placed.broken_promises(&stack).await?);
    troubles.extend(wrongly_dead(&stack).await?);
    troubles.extend(timed_out(&stack).await?);
    for service in Service::ALL {
        if !stack.is_running(service) {
            troubles.push(format!("{service} ended by itself"));
        }
    }
    let mut outcome = Outcome {
        rounds,
        placed,
        report,
        troubles,
        logs: None,
    };
    if !outcome.is_good() {
        outcome.logs = Some(keep_logs(&stack, &format!("starve-{}", options.seed))?);
    }
    Ok(outcome)
}

async fn one(stack: &mut Stack, groups: &Groups, options: &Options, number: usize) -> Result<Round> {
    let seed = options
        .seed
        .wrapping_mul(1_000)
        .wrapping_add(u64::try_from(number).unwrap_or(0));
    let before = renewals(stack).await;
    let starvation = stack.starve(options.part, options.share.clone(), seed);
    tokio::time::sleep(options.length).await;
    starvation.end();
    let mut round = Round::default();
    let begin = Instant::now();
    match recover(groups, options.patience).await {
        Ok(took) => round.groups = Some(took),
        Err(dead) => round.dead = dead,
    }
    for (client, count) in renewals(stack).await {
        let count = count - before.get(&client).copied().unwrap_or_default();
        if count > 0.0 {
            round.renewed.insert(client, count);
        }
    }
    if !round.dead.is_empty() {
        round.health = health(stack, Duration::ZERO).await;
    }
    for service in round.dead.keys() {
        stack.stop(*service).await;
        stack.start(*service).await?;
    }
    match backlog::drained(stack, options.patience).await {
        Ok(_) => round.backlog = Some(begin.elapsed()),
        Err(left) => round.troubles.push(format!("not done: {left}")),
    }
    if round.dead.is_empty() {
        round.health = health(stack, options.patience.saturating_sub(begin.elapsed())).await;
    }
    if round.dead.is_empty() != (round.health == "ok") {
        round.troubles.push(format!("/health says {}", round.health));
    }
    // what moves while the books are read is in flight, and no mismatch
    let report = Box::pin(books::balance(
        &Sources::from(&*stack),
        &books::Options::default(),
    ))
    .await?;
    round.mismatches = report.mismatches.len();
    Ok(round)
}

/// Waits until no consumer misses anything. The error says what they miss.
async fn recover(
    groups: &Groups,
    patience: Duration,
) -> std::result::Result<Duration, BTreeMap<Service, String>> {
    let begin = Instant::now();
    let mut since = None;
    loop {
        let missing = match groups.missing().await {
            Ok(missing) => missing,
            Err(error) => {
                let why = crate::error::chain(&error);
                BTreeMap::from([(Service::Gateway, format!("kafka does not tell: {why}"))])
            }
        };
        if missing.is_empty() {
            let since = *since.get_or_insert_with(|| begin.elapsed());
            if begin.elapsed().saturating_sub(since) >= HOLDS {
                return Ok(since);
            }
        } else {
            since = None;
            if begin.elapsed() > patience {
                return Err(missing);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the gateway's `/health` says once it is ok, or when the time is up.
async fn health(stack: &Stack, patience: Duration) -> String {
    let begin = Instant::now();
    loop {
        let (is_ok, status) = match stack.health().await {
            Ok(health) => told_health(&health),
            Err(error) => (false, crate::error::chain(&error)),
        };
        if is_ok || begin.elapsed() >= patience {
            return status;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether all is well, and what is not.
fn told_health(health: &serde_json::Value) -> (bool, String) {
    match health.get("status").and_then(serde_json::Value::as_str) {
        Some("ok") => (true, "ok".to_owned()),
        Some(_) | None => (false, health.to_string()),
    }
}

/// Clients that were replaced since each process started, by service and labels. A process that does not answer has none.
async fn renewals(stack: &Stack) -> BTreeMap<String, f64> {
    let mut renewed = BTreeMap::new();
    for service in Service::ALL {
        let samples = measure::samples(stack, service, RENEWED)
            .await
            .unwrap_or_default();
        renewed.extend(
            samples
                .into_iter()
                .map(|(labels, count)| (format!("{service}{labels}"), count)),
        );
    }
    renewed
}

/// Orders that were cancelled because their payment was not heard of: the deadline is far away, so there must be none.
async fn timed_out(stack: &Stack) -> Result<Vec<String>> {
    let client = crate::postgres::connect(stack.database_url(Service::Order)).await?;
    let sql =
        "select id::text from orders where status = 'cancelled' and cancellation_reason = 'payment_timeout'";
    let rows = client.query(sql, &[]).await?;
    let told = |row: &tokio_postgres::Row| {
        Ok(format!(
            "order {} was cancelled: payment_timeout",
            row.try_get::<_, &str>(0)?
        ))
    };
    rows.iter().map(told).collect()
}

/// A round in one line, or more where something was wrong.
fn told(number: usize, round: &Round, accepted: usize) -> String {
    let seconds = |time: Option<Duration>| match time {
        Some(time) => format!("{:.1} s", time.as_secs_f64()),
        None => "never".to_owned(),
    };
    let mut text = format!(
        "round {number:>2}  groups {}, backlog {}, health {}, {} mismatches, {accepted} orders so far",
        seconds(round.groups),
        seconds(round.backlog),
        round.health,
        round.mismatches
    );
    for (client, count) in &round.renewed {
        text.push_str(&format!("\n          renewed {client}: {count}"));
    }
    for (service, why) in &round.dead {
        text.push_str(&format!("\n          {service} did not recover: {why}"));
    }
    for trouble in &round.troubles {
        text.push_str(&format!("\n          {trouble}"));
    }
    text
}
