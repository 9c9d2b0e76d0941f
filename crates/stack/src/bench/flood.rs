//! `stack bench --login-flood`: what ten times as many logins as can be had do to everybody else. The same load of orders
//! runs twice on the same stack, without the flood and within it; the figures are the ratio of the two. It fails when
//! GET /health is not what is promised of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::json;
use stack::{Service, Stack};
use terminal::outln;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::load::{Load, Run, Users};
use super::{Options, builder};
use crate::cli::paint;

/// Customers' connections.
const CONNECTIONS: usize = 4;
/// How large a part of the orders that can be had they place: where the machine has nothing to spare, whatever comes on top
/// takes from the orders, a flood or not.
const SHARE: f64 = 1.0 / 3.0;
/// How many times the logins that can be had are asked for.
const TIMES: f64 = 10.0;
/// Logins that wait for an answer at once; an attacker has no more connections.
const IN_FLIGHT: usize = 1_000;
/// The network whose addresses are used by nobody but benchmarks (RFC 2544), and how many it has.
const BENCHMARKING: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const ATTACKERS: u32 = 1 << 17;
/// How long each of what can be had is measured.
const CALIBRATION: Duration = Duration::from_secs(4);
/// How often GET /health is asked: more rarely than the gateway is content with an answer (250 ms), so that each probe makes
/// it ask all services again.
const PROBE: Duration = Duration::from_millis(275);
/// Of a hundred probes within the flood, 99 must be answered within this time.
const HEALTH_P99_MAX_MS: f64 = 50.0;

/// What one of the two halves showed.
struct Half {
    run: Run,
    health_us: Histogram<u64>,
}

/// Runs the benchmark and prints its figures.
pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    // Each login comes from an address of its own: of one address the throttle would refuse all but the first few.
    let builder = builder(options).service_env(
        Service::Gateway,
        "QUADRILLE__EDGE__TRUSTED_PROXIES",
        Ipv4Addr::LOCALHOST.to_string(),
    );
    let stack = Box::pin(builder.build()).await?;
    let url = stack.url();
    let load = Load::new(&url, Users::register(&url, options.users).await?);
    let time = Duration::from_secs(options.seconds);

    let capacity = capacity(&url).await?;
    let most = load.run(CONNECTIONS, CALIBRATION).await?.accepted_per_second();
    let connections = f64::from(u32::try_from(CONNECTIONS)?);
    let pace = Duration::from_secs_f64(connections / (most.max(1.0) * SHARE));
    outln!(
        "{}",
        paint::dim(format!(
            "{capacity:.0} logins/s and {most:.0} orders/s can be had; measuring {} s of {:.0} orders/s without a flood ...",
            options.seconds,
            most * SHARE
        ))
    );
    let quiet = half(&load, &stack, time, pace).await?;
    outln!(
        "{}",
        paint::dim(format!(
            "measuring {} s with {:.0} logins/s ...",
            options.seconds,
            capacity * TIMES
        ))
    );
    let flood = Flood::begin(&url, capacity * TIMES);
    let flooded = half(&load, &stack, time, pace).await;
    let answers = flood.end().await;
    let flooded = flooded?;
    print(&quiet, &flooded, &answers, time);
    let health_ms = ms(&flooded.health_us, 0.99);
    anyhow::ensure!(
        health_ms <= HEALTH_P99_MAX_MS,
        "GET /health took {health_ms:.1} ms (p99) within the flood, where {HEALTH_P99_MAX_MS:.0} ms are promised"
    );
    Ok(())
}

/// A quantile in milliseconds.
fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    f64::from(u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX)) / 1_000.0
}

/// Logins that are answered a second when more are asked for than can be had.
async fn capacity(url: &str) -> anyhow::Result<f64> {
    let flood = Flood::begin(url, 100.0);
    tokio::time::sleep(CALIBRATION).await;
    let answers = flood.end().await;
    let served = answers.get("401").copied().unwrap_or_default();
    Ok((f64::from(u32::try_from(served)?) / CALIBRATION.as_secs_f64()).max(1.0))
}

/// Orders and probes for a while.
async fn half(load: &Load, stack: &Stack, time: Duration, pace: Duration) -> anyhow::Result<Half> {
    let health = format!("{}/health", stack.url());
    let (run, health_us) = tokio::join!(load.run_paced(CONNECTIONS, time, pace), probe(&health, time));
    Ok(Half {
        run: run?,
        health_us: health_us?,
    })
}

async fn probe(url: &str, time: Duration) -> anyhow::Result<Histogram<u64>> {
    let http = reqwest::Client::new();
    let mut latency_us = Histogram::new(3)?;
    let (begin, mut tick) = (Instant::now(), tokio::time::interval(PROBE));
    while begin.elapsed() < time {
        tick.tick().await;
        let asked = Instant::now();
        let answer = http.get(url).send().await?;
        let status = answer.status();
        if !status.is_success() {
            anyhow::bail!("GET /health was answered {status}: {}", answer.text().await?);
        }
        latency_us.record(u64::try_from(asked.elapsed().as_micros())?)?;
    }
    Ok(latency_us)
}

/// Logins of nobody, so many a second, whether they are answered or not.
struct Flood {
    tasks: TaskTracker,
    stop: CancellationToken,
    answers: Arc<std::sync::Mutex<BTreeMap<String, u64>>>,
}

impl Flood {
    fn begin(url: &str, per_second: f64) -> Self {
        let flood = Self {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            answers: Arc::default(),
        };
        let pour = pour(
            format!("{url}/auth/login"),
            per_second,
            flood.answers.clone(),
            flood.tasks.clone(),
        );
        let stop = flood.stop.clone();
        flood.tasks.spawn(async move {
            let _ended = stop.run_until_cancelled(pour).await;
        });
        flood
    }

    /// Ends it; how the logins were answered.
    async fn end(self) -> BTreeMap<String, u64> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let answers = self.answers.lock();
        answers.map(|answers| answers.clone()).unwrap_or_default()
    }
}

async fn pour(
    url: String,
    per_second: f64,
    answers: Arc<std::sync::Mutex<BTreeMap<String, u64>>>,
    tasks: TaskTracker,
) {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap_or_default();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut attackers = (0..ATTACKERS).cycle();
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
    loop {
        tick.tick().await;
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            continue;
        };
        let attacker = attackers.next().unwrap_or_default();
        let body = json!({"email": format!("nobody-{attacker}@quadrille.example"), "password": "a guess of somebody's"});
        let address = Ipv4Addr::from_bits(BENCHMARKING.to_bits() | attacker);
        let asked = http.post(&url).header("x-forwarded-for", address.to_string());
        let asked = asked.json(&body).send();
        let answers = Arc::clone(&answers);
        tasks.spawn(async move {
            let answer = match asked.await {
                Ok(answer) => answer.status().as_u16().to_string(),
                Err(error) => error.without_url().to_string(),
            };
            if let Ok(mut answers) = answers.lock() {
                *answers.entry(answer).or_default() += 1;
            }
            drop(place);
        });
    }
}

fn print(quiet: &Half, flooded: &Half, answers: &BTreeMap<String, u64>, time: Duration) {
    let rate = |half: &Half| half.run.accepted_per_second();
    outln!(
        "\n{}",
        paint::bold("                         quiet   flooded   ratio")
    );
    let line = |name: &str, quiet: f64, flooded: f64| {
        outln!(
            "  {name:<20} {quiet:>9.1} {flooded:>9.1} {:>7.2}",
            flooded / quiet.max(0.001)
        );
    };
    line("orders/s", rate(quiet), rate(flooded));
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        line(
            &format!("POST /orders {name} ms"),
            ms(&quiet.run.latency_us, quantile),
            ms(&flooded.run.latency_us, quantile),
        );
    }
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        line(
            &format!("GET /health {name} ms"),
            ms(&quiet.health_us, quantile),
            ms(&flooded.health_us, quantile),
        );
    }
    outln!(
        "  refused orders: {:?} without, {:?} within",
        quiet.run.refused,
        flooded.run.refused
    );
    for (status, count) in answers {
        let each = f64::from(u32::try_from(*count).unwrap_or(u32::MAX)) / time.as_secs_f64();
        outln!("  logins answered {status:<8} {each:>9.1}/s");
    }
}
