//! What wears the platform out: these use a limit up, so they come last.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::cases;
use crate::arena::{Arena, email, text};
use crate::exchange::{Exchange, Response};
use crate::request::Request;
use crate::{Outcome, Stop};

cases! {
    "LIM-01" "passwords guessed for one account" ["6.3.1", "CWE-307"] |arena| guesses(arena).await;
    "LIM-02" "passwords guessed for ever other accounts under ever other addresses (X-Forwarded-For)" ["6.3.1", "CWE-348"] |arena| guesses_from_everywhere(arena).await;
    "LIM-03" "requests under ever other addresses (X-Forwarded-For, Forwarded, X-Real-IP)" ["2.4.1", "CWE-348"] |arena| rotation(arena).await;
    "LIM-04" "the limit's own answer" ["2.4.1"] |arena| told(arena).await;
}

/// As many wrong passwords as nobody types by mistake.
const GUESSES: usize = 40;
/// More than one address may get wrong, over all accounts.
const GUESSES_OF_ONE_ADDRESS: usize = 80;

/// The seconds after which one may come again, of an answer that says so.
fn wait(answer: &Exchange, response: &Response) -> Result<u64, Stop> {
    answer.problem(429, "rate-limited")?;
    response
        .header("retry-after")
        .and_then(|wait| wait.parse().ok())
        .filter(|wait| *wait > 0)
        .ok_or_else(|| answer.wrong("it does not say when to come again"))
}

/// How many guesses an answer stands for: one that was not judged in time (503) is none, and the next one waits a moment.
async fn counted(response: &Response) -> usize {
    if response.status != 503 {
        return 1;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    0
}

fn guess(email: &str, number: usize) -> Request {
    let body = json!({"email": email, "password": format!("guess number {number}")});
    Request::post("/auth/login", &body).counting()
}

/// The account has a limit of its own, beside that of the address which guesses.
async fn guesses(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    let mut number = 0;
    while number < GUESSES {
        let answer = arena.send(guess(&person.email, number)).await?;
        let response = answer.status(&[401, 429, 503])?;
        if response.status != 429 {
            number = number.saturating_add(counted(&response).await);
            continue;
        }
        let seconds = wait(&answer, &response)?;
        if text(&response.json(), "detail").contains("login-account") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    Err(Stop::Failed(format!(
        "        {GUESSES} guesses are not too many"
    )))
}

/// Each guess is for another account and says that it comes from elsewhere: only the true address is the same.
async fn guesses_from_everywhere(arena: &Arena) -> Outcome {
    let mut number = 0;
    while number < GUESSES_OF_ONE_ADDRESS {
        let answer = arena.send(from(guess(&email(), number), number)).await?;
        let response = answer.status(&[401, 429, 503])?;
        if response.status == 429 {
            return wait(&answer, &response).map(drop);
        }
        number = number.saturating_add(counted(&response).await);
    }
    let why = format!("        {GUESSES_OF_ONE_ADDRESS} guesses from one address are not too many");
    Err(Stop::Failed(why))
}

/// The request from an address that it says itself.
fn from(request: Request, number: usize) -> Request {
    let address = format!("203.0.{}.{}", number / 250, number % 250);
    request
        .header("x-forwarded-for", &address)
        .header("x-real-ip", &address)
        .header("forwarded", &format!("for={address}"))
        .header("true-client-ip", &address)
        .header("cf-connecting-ip", &address)
}

/// What is left of the address's quota, as the answer says; of the policy `address`.
fn left(response: &Response) -> Option<i64> {
    let limits = response.header("ratelimit")?;
    let own = limits
        .split(',')
        .find(|limit| limit.trim().starts_with("\"address\""))?;
    own.split(';')
        .find_map(|part| part.trim().strip_prefix("r=")?.parse().ok())
}

/// Requests at once, and how many of them must be missing in the quota afterwards: some of it comes back meanwhile.
const ROTATED: usize = 60;
const MISSING: i64 = 15;

/// The quota goes down although every request says that it comes from somewhere else.
async fn rotation(arena: &Arena) -> Outcome {
    let ask = |number| arena.send(from(Request::get("/products"), number).counting());
    let before = ask(0).await?;
    if before.status(&[200, 429])?.status == 429 {
        return Ok(());
    }
    let before = left(&before.response()?).ok_or_else(|| before.wrong("it does not say what is left"))?;
    for answer in join_all((1..ROTATED).map(ask)).await {
        if answer?.status(&[200, 429])?.status == 429 {
            return Ok(());
        }
    }
    let after = ask(ROTATED).await?;
    let response = after.status(&[200, 429])?;
    let missing = left(&response).map(|after| before.saturating_sub(after));
    after.must(
        response.status == 429 || missing >= Some(MISSING),
        "each new address has a quota of its own",
    )
}

async fn told(arena: &Arena) -> Outcome {
    let answer = arena.send(Request::get("/products").counting()).await?;
    let response = answer.status(&[200, 429])?;
    let policy = response.header("ratelimit-policy").unwrap_or_default();
    answer.must(
        policy.contains(";q=") && policy.contains(";w="),
        "the answer does not say the policy",
    )
}
