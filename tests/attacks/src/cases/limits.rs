//! What wears the platform out: these use a limit up, so they come last.

use serde_json::json;

use super::cases;
use crate::arena::Arena;
use crate::exchange::Response;
use crate::request::Request;
use crate::{Outcome, Stop};

cases! {
    "LIM-01" "passwords guessed for one account" ["6.3.1", "CWE-307"] |arena| guesses(arena).await;
    "LIM-02" "passwords guessed under ever other addresses (X-Forwarded-For)" ["6.3.1", "CWE-348"] |arena| guesses_from_everywhere(arena).await;
    "LIM-03" "requests under ever other addresses (X-Forwarded-For, Forwarded, X-Real-IP)" ["2.4.1", "CWE-348"] |arena| rotation(arena).await;
    "LIM-04" "the limit's own answer" ["2.4.1"] |arena| told(arena).await;
}

/// As many wrong passwords as nobody types by mistake.
const GUESSES: usize = 40;

fn is_limited(response: &Response) -> bool {
    response.status == 429
        && response
            .header("retry-after")
            .and_then(|wait| wait.parse().ok())
            .is_some_and(|wait: u64| wait > 0)
}

async fn guesses(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    guess(arena, &person.email, |request, _| request).await
}

async fn guesses_from_everywhere(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    guess(arena, &person.email, from).await
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

async fn guess(arena: &Arena, email: &str, dress: fn(Request, usize) -> Request) -> Outcome {
    let mut last = None;
    for number in 0..GUESSES {
        let body = json!({"email": email, "password": format!("guess number {number}")});
        let answer = arena
            .send(dress(Request::post("/auth/login", &body), number).counting())
            .await?;
        if is_limited(&answer.status(&[401, 429])?) {
            return answer.problem(429, "rate-limited").map(drop);
        }
        last = Some(answer);
    }
    Err(last.map_or(Stop::Failed(String::new()), |answer| {
        answer.wrong(format!("{GUESSES} guesses are not too many"))
    }))
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

/// The quota goes down although every request says that it comes from somewhere else.
async fn rotation(arena: &Arena) -> Outcome {
    let mut lowest = None;
    for number in 0..10 {
        let answer = arena
            .send(from(Request::get("/products"), number).counting())
            .await?;
        let response = answer.status(&[200, 429])?;
        if response.status == 429 {
            return Ok(());
        }
        let Some(now) = left(&response) else {
            return Err(answer.wrong("the answer does not say what is left"));
        };
        if lowest.is_some_and(|lowest: i64| now > lowest) {
            return Err(answer.wrong("a new address has a quota of its own"));
        }
        lowest = Some(now);
    }
    Ok(())
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
