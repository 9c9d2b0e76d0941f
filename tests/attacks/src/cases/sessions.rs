//! Logins that have ended, and those that are copied.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use super::cases;
use crate::arena::{Arena, Person, text};
use crate::request::Request;
use crate::{Outcome, Stop};

/// A second is promised; a busy machine gets some more to answer in.
const SOON: Duration = Duration::from_secs(4);

cases! {
    "SES-01" "an access token after its logout" ["7.4.1"] |arena| logged_out(arena).await;
    "SES-02" "a refresh token after its logout" ["7.4.1"] |arena| refresh_after_logout(arena).await;
    "SES-03" "a spent refresh token, by a thief" ["7.2.4", "CWE-294"] |arena| spent(arena).await;
    "SES-04" "a refresh token, twenty times at once" ["7.2.4", "CWE-362"] |arena| parallel(arena).await;
    "SES-05" "every login's token after the logout of all" ["7.4.1"] |arena| all_logged_out(arena).await;
    "SES-06" "another login's token after the password was changed" ["7.4.3"] |arena| changed_password(arena).await;
    "SES-07" "somebody else's login, ended by its id" ["8.2.2"] |arena| foreign_session(arena).await;
    "SES-08" "the token of somebody who is disabled" ["7.4.2"] |arena| disabled(arena).await;
    "SES-09" "an admin's token after the demotion" ["7.4.2", "8.3.2"] |arena| demoted(arena).await;
    "SES-10" "a refresh token that nobody issued" ["7.2.3"] |arena| {
        let body = json!({"refresh_token": "A".repeat(43)});
        arena.send(Request::post("/auth/refresh", &body)).await?.status(&[401]).map(drop)
    };
    "SES-11" "the password changed without knowing it" ["6.2.3"] |arena| {
        let body = json!({"current_password": "I do not know it at all", "new_password": "mine from now on, yes"});
        let request = Request::new("PUT", "/auth/password").json(&body).bearer(&arena.mallory.token);
        arena.send(request).await?.status(&[422]).map(drop)
    };
    "SES-12" "a refresh token, repeated after its successor was used, at once" ["7.2.4", "CWE-294"] |arena| repeated(arena).await;
}

/// Waits until a token does not count any more.
async fn stops(arena: &Arena, token: &str) -> Outcome {
    let begin = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let answer = arena.send(Request::get("/orders").bearer(token)).await?;
        match answer.status(&[200, 401])?.status {
            401 => return Ok(()),
            _ if begin.elapsed() > SOON => return Err(answer.wrong("the token still counts")),
            _ => {}
        }
    }
}

async fn works(arena: &Arena, token: &str) -> Outcome {
    let answer = arena.send(Request::get("/orders").bearer(token)).await?;
    answer.status(&[200]).map(drop)
}

async fn refresh(arena: &Arena, token: &str) -> Result<Option<(String, String)>, Stop> {
    let body = json!({"refresh_token": token});
    let answer = arena.send(Request::post("/auth/refresh", &body)).await?;
    let response = answer.status(&[200, 401])?;
    let body = response.json();
    Ok((response.status == 200).then(|| (text(&body, "access_token"), text(&body, "refresh_token"))))
}

fn must(holds: bool, why: &str) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(Stop::Failed(format!("        {why}")))
    }
}

async fn log_out(arena: &Arena, person: &Person) -> Outcome {
    let body = json!({"refresh_token": person.refresh_token});
    let answer = arena.send(Request::post("/auth/logout", &body)).await?;
    answer.status(&[204]).map(drop)
}

async fn logged_out(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    works(arena, &person.token).await?;
    log_out(arena, &person).await?;
    stops(arena, &person.token).await
}

async fn refresh_after_logout(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    log_out(arena, &person).await?;
    must(
        refresh(arena, &person.refresh_token).await?.is_none(),
        "it is refreshed",
    )
}

/// The owner refreshes twice; then a thief comes with the first token: the whole family ends.
async fn spent(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    let second = refresh(arena, &person.refresh_token).await?;
    let (_, second) = second.ok_or_else(|| Stop::Failed("        a good token is refused".to_owned()))?;
    let third = refresh(arena, &second).await?;
    let (access, third) = third.ok_or_else(|| Stop::Failed("        a good token is refused".to_owned()))?;
    must(
        refresh(arena, &person.refresh_token).await?.is_none(),
        "a spent token is taken",
    )?;
    must(refresh(arena, &third).await?.is_none(), "the family lives on")?;
    stops(arena, &access).await
}

/// Two tabs come with one token and get the same next one; a thief who has it as well goes on with that, and the owner's
/// repetition tells that there are two.
async fn repeated(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    let first = refresh(arena, &person.refresh_token).await?;
    let second = refresh(arena, &person.refresh_token).await?;
    let (Some((_, first)), Some((_, second))) = (first, second) else {
        return Err(Stop::Failed("        a repetition is refused".to_owned()));
    };
    must(first == second, "a token has two successors")?;
    let stolen = refresh(arena, &second).await?;
    let (access, stolen) =
        stolen.ok_or_else(|| Stop::Failed("        a good token is refused".to_owned()))?;
    must(
        refresh(arena, &person.refresh_token).await?.is_none(),
        "a token whose successor was used is taken",
    )?;
    must(refresh(arena, &stolen).await?.is_none(), "the family lives on")?;
    stops(arena, &access).await
}

/// The twenty get the same token, and it is the one that goes on.
async fn parallel(arena: &Arena) -> Outcome {
    let person = arena.somebody().await?;
    let tries = (0..20).map(|_| refresh(arena, &person.refresh_token));
    let mut given = Vec::new();
    for outcome in join_all(tries).await {
        let pair = outcome?;
        given.push(pair.ok_or_else(|| Stop::Failed("        one of the twenty is refused".to_owned()))?);
    }
    given.dedup();
    must(given.len() == 1, "a token has several successors")?;
    let Some((_, next)) = given.pop() else {
        return Ok(());
    };
    let next = refresh(arena, &next).await?;
    let (access, _) = next.ok_or_else(|| Stop::Failed("        the successor is refused".to_owned()))?;
    works(arena, &access).await
}

async fn all_logged_out(arena: &Arena) -> Outcome {
    let first = arena.somebody().await?;
    let second = arena.log_in(first.clone()).await?;
    let request = Request::new("POST", "/auth/logout-all").bearer(&second.token);
    arena.send(request).await?.status(&[204])?;
    stops(arena, &first.token).await?;
    stops(arena, &second.token).await?;
    let third = arena.log_in(first).await?;
    works(arena, &third.token).await
}

async fn changed_password(arena: &Arena) -> Outcome {
    let first = arena.somebody().await?;
    let second = arena.log_in(first.clone()).await?;
    let body = json!({"current_password": first.password, "new_password": "a willow and an alder"});
    let request = Request::new("PUT", "/auth/password")
        .json(&body)
        .bearer(&second.token);
    arena.send(request).await?.status(&[204])?;
    stops(arena, &first.token).await?;
    let old = arena.send(Request::post("/auth/login", &first.login())).await?;
    old.status(&[401]).map(drop)
}

async fn foreign_session(arena: &Arena) -> Outcome {
    let request = Request::get("/auth/sessions").bearer(&arena.victim.token);
    let sessions = arena.send(request).await?.status(&[200])?.json();
    let id = sessions
        .pointer("/items/0/id")
        .and_then(|id| id.as_str())
        .unwrap_or_default()
        .to_owned();
    must(!id.is_empty(), "the victim's own login is not shown")?;
    let request = Request::new("DELETE", &format!("/auth/sessions/{id}")).bearer(&arena.mallory.token);
    arena.send(request).await?.status(&[404])?;
    works(arena, &arena.victim.token).await
}

async fn change(arena: &Arena, person: &Person, change: &serde_json::Value) -> Outcome {
    let path = format!("/auth/users/{}", person.id);
    let request = Request::new("PATCH", &path)
        .json(change)
        .bearer(&arena.admin()?.token);
    arena.send(request).await?.status(&[200]).map(drop)
}

async fn disabled(arena: &Arena) -> Outcome {
    arena.admin()?;
    let person = arena.somebody().await?;
    works(arena, &person.token).await?;
    change(arena, &person, &json!({"disabled": true})).await?;
    stops(arena, &person.token).await?;
    must(
        refresh(arena, &person.refresh_token).await?.is_none(),
        "it is refreshed",
    )?;
    let answer = arena.send(Request::post("/auth/login", &person.login())).await?;
    answer.status(&[401, 403]).map(drop)
}

async fn demoted(arena: &Arena) -> Outcome {
    arena.admin()?;
    let person = arena.somebody().await?;
    change(arena, &person, &json!({"role": "admin"})).await?;
    let person = arena.log_in(person).await?;
    let users = Request::get("/auth/users").bearer(&person.token);
    arena.send(users).await?.status(&[200])?;
    change(arena, &person, &json!({"role": "customer"})).await?;
    stops(arena, &person.token).await
}
