//! A list of hostile requests and the answers they must get, run against a platform that is up.
//!
//! Everything goes over plain sockets, because an HTTP client would tidy the requests up. A case is one idea; its
//! `law` names the requirement of OWASP ASVS 5.0, the CWE or the CVE that it stands for. What fails is shown with the
//! exchange. The requests place orders and make accounts: run it against a platform made for that.

mod arena;
mod cases;
mod exchange;
mod expect;
mod insider;
mod jwt;
mod request;
mod tls;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

pub use arena::{Arena, Insider, Target};
pub use tls::Trust;

/// Why a case did not pass.
#[derive(Debug)]
pub enum Stop {
    /// The platform gave another answer than it must.
    Failed(String),
    /// The case needs something that this run does not have.
    Skipped(&'static str),
}

/// What came of a case.
pub type Outcome = Result<(), Stop>;

/// One hostile idea.
pub struct Case {
    /// Short and stable: `TOK-04`.
    pub id: &'static str,
    /// What is tried.
    pub what: &'static str,
    /// Requirements of OWASP ASVS 5.0 (`9.1.2`), CWE or CVE.
    pub law: &'static [&'static str],
    run: fn(&Arena) -> BoxFuture<'_, Outcome>,
}

/// What came of a whole run.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases whose answers were right.
    pub passed: usize,
    /// Cases that could not be tried, and why.
    pub skipped: Vec<(&'static str, &'static str)>,
    /// Cases that the platform did not withstand, with the exchange.
    pub failed: Vec<(&'static str, String)>,
}

/// How long a case may take: the slowest one waits for the platform's own time limits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Every case, those that use the limits up last.
#[must_use]
pub fn cases() -> Vec<Case> {
    cases::all()
}

/// Runs the cases whose id begins with `only`, one after another; `tell` hears of each as it ends.
pub async fn run(arena: &Arena, only: &str, tell: &mut dyn FnMut(&str)) -> Report {
    let mut report = Report::default();
    for case in cases().into_iter().filter(|case| case.id.starts_with(only)) {
        let begin = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, (case.run)(arena)).await;
        let outcome =
            outcome.unwrap_or_else(|_too_late| Err(Stop::Failed(format!("no end in {PATIENCE:?}"))));
        tell(&line(&case, &outcome, begin.elapsed()));
        match outcome {
            Ok(()) => report.passed = report.passed.saturating_add(1),
            Err(Stop::Skipped(why)) => report.skipped.push((case.id, why)),
            Err(Stop::Failed(how)) => report.failed.push((case.id, how)),
        }
    }
    report
}

fn line(case: &Case, outcome: &Outcome, took: Duration) -> String {
    let verdict = match outcome {
        Ok(()) => "ok",
        Err(Stop::Skipped(_)) => "skipped",
        Err(Stop::Failed(_)) => "FAILED",
    };
    let mut line = format!(
        "{:<7} {verdict:<7} {} [{}]",
        case.id,
        case.what,
        case.law.join(", ")
    );
    if took > Duration::from_secs(1) {
        let _infallible = write!(line, " {:.1} s", took.as_secs_f64());
    }
    match outcome {
        Ok(()) => {}
        Err(Stop::Skipped(why)) => line.push_str(&format!("\n        {why}")),
        Err(Stop::Failed(how)) => line.push_str(&format!("\n{how}")),
    }
    line
}
