//! Accounts: more rights at registration, twins, guessing who is there, bodies that are no credentials.

use serde_json::{Value, json};

use super::cases;
use crate::arena::{Arena, email};
use crate::request::Request;
use crate::{Outcome, Stop};

const PASSWORD: &str = "an oak, a birch, a yew";

cases! {
    "ACC-01" "a role in the register body" ["8.2.3", "15.3.3"] |arena| registers(arena, json!({"role": "admin"}), &[422]).await;
    "ACC-02" "an id in the register body" ["8.2.3", "15.3.3"] |arena| registers(arena, json!({"user_id": "01900000-0000-7000-8000-000000000000"}), &[422]).await;
    "ACC-03" "an e-mail twin in capitals" ["6.3.1"] |arena| twin(arena, str::to_uppercase).await;
    "ACC-04" "an e-mail twin in full-width letters" ["1.1.1"] |arena| twin(arena, full_width).await;
    "ACC-05" "an e-mail twin with a space behind" ["1.1.1"] |arena| twin(arena, |email| format!("{email} ")).await;
    "ACC-06" "an e-mail twin with a NUL behind" ["1.1.1"] |arena| twin(arena, |email| format!("{email}\0")).await;
    "ACC-07" "an e-mail with a line break and a header" ["1.3.11", "CWE-93"] |arena| registers(arena, json!({"email": "a@attacks.example\r\nbcc: b@attacks.example"}), &[422]).await;
    "ACC-08" "who is there, told by a login's answer" ["6.3.8"] |arena| enumeration(arena, "wrong, wrong and wrong").await;
    "ACC-09" "who is there, told by an empty password" ["6.3.8"] |arena| enumeration(arena, "").await;
    "ACC-10" "a password of eleven characters" ["6.2.1"] |arena| registers(arena, json!({"password": "oak+birch+y"}), &[422]).await;
    "ACC-11" "a password that everybody has" ["6.2.4"] |arena| registers(arena, json!({"password": "password1234"}), &[422]).await;
    "ACC-12" "a password of one repeated letter" ["6.2.4"] |arena| registers(arena, json!({"password": "aaaaaaaaaaaaaaaa"}), &[422]).await;
    "ACC-13" "the e-mail address as password" ["6.2.11"] |arena| own_address(arena).await;
    "ACC-14" "a password of 129 characters" ["6.2.9"] |arena| registers(arena, json!({"password": "oak ".repeat(33)}), &[422]).await;
    "ACC-15" "a password of three kibibytes" ["6.2.9"] |arena| registers(arena, json!({"password": "oak ".repeat(768)}), &[422]).await;
    "ACC-16" "a password of five kibibytes: more than the body may have" ["4.3.1", "15.2.2"] |arena| registers(arena, json!({"password": "oak ".repeat(1280)}), &[413]).await;
    "ACC-17" "a password that is no text" ["2.2.1"] |arena| registers(arena, json!({"password": {"$ne": null}}), &[422]).await;
    "ACC-18" "a member that nobody knows" ["2.2.1"] |arena| registers(arena, json!({"is_admin": true}), &[422]).await;
    "ACC-19" "one member twice" ["1.5.3"] |arena| body(arena, "application/json", br#"{"email":"a@attacks.example","email":"b@attacks.example","password":"an oak, a birch, a yew"}"#, &[400, 422]).await;
    "ACC-20" "two thousand arrays within each other" ["1.5.2", "CWE-674"] |arena| body(arena, "application/json", "[".repeat(2_000).as_bytes(), &[400, 422]).await;
    "ACC-21" "a body that is no UTF-8" ["1.5.2"] |arena| body(arena, "application/json", b"{\"email\":\"\xff\xfe\"}", &[400, 422]).await;
    "ACC-22" "half a surrogate" ["1.5.2"] |arena| body(arena, "application/json", br#"{"email":"a@attacks.example","password":"\ud800 oak, birch, yew"}"#, &[400, 422]).await;
    "ACC-23" "a form where JSON belongs" ["4.1.1"] |arena| body(arena, "application/x-www-form-urlencoded", b"email=a%40attacks.example&password=an+oak%2C+a+birch", &[415]).await;
    "ACC-24" "XML with an entity" ["1.5.1", "CWE-611"] |arena| body(arena, "application/xml", br#"<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"#, &[415]).await;
    "ACC-25" "a compressed body" ["15.2.2", "CWE-409"] |arena| compressed(arena).await;
    "ACC-26" "control characters in the display name" ["2.2.1"] |arena| registers(arena, json!({"display_name": "a\u{1b}[2Jb"}), &[422]).await;
    "ACC-27" "the direction of text turned round in the display name" ["2.2.1", "CVE-2021-42574"] |arena| registers(arena, json!({"display_name": "nimda\u{202e}"}), &[422]).await;
    "ACC-28" "a display name of ten thousand characters" ["2.2.1"] |arena| registers(arena, json!({"display_name": "a".repeat(3_000)}), &[422]).await;
    "ACC-29" "the list of users, by a customer" ["8.2.1"] |arena| {
        arena.send(Request::get("/auth/users").bearer(&arena.mallory.token)).await?.problem(403, "forbidden").map(drop)
    };
    "ACC-30" "oneself made an admin" ["8.2.1", "8.2.3"] |arena| {
        let path = format!("/auth/users/{}", arena.mallory.id);
        let request = Request::new("PATCH", &path).json(&json!({"role": "admin"})).bearer(&arena.mallory.token);
        arena.send(request).await?.problem(403, "forbidden").map(drop)
    };
    "ACC-31" "a login with SQL for a name" ["1.2.4", "CWE-89"] |arena| {
        let body = json!({"email": "' or 1=1 --@attacks.example", "password": PASSWORD});
        arena.send(Request::post("/auth/login", &body)).await?.status(&[401, 422]).map(drop)
    };
}

/// Tries to register with these members instead.
async fn registers(arena: &Arena, members: Value, statuses: &[u16]) -> Outcome {
    let mut account = json!({"email": email(), "password": PASSWORD});
    if let (Value::Object(account), Value::Object(members)) = (&mut account, members) {
        account.extend(members);
    }
    let answer = arena.send(Request::post("/auth/register", &account)).await?;
    let response = answer.status(statuses)?;
    answer.must(
        response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/problem+json")),
        "the refusal is no problem document",
    )?;
    // nothing half done: the account is not there
    let login = json!({"email": account.get("email"), "password": account.get("password")});
    let answer = arena.send(Request::post("/auth/login", &login)).await?;
    answer.status(&[401, 413, 422]).map(drop)
}

/// Tries to register the victim's address in another spelling.
async fn twin(arena: &Arena, spell: fn(&str) -> String) -> Outcome {
    let account = json!({"email": spell(&arena.victim.email), "password": PASSWORD});
    let answer = arena.send(Request::post("/auth/register", &account)).await?;
    answer.status(&[409, 422]).map(drop)
}

fn full_width(email: &str) -> String {
    email
        .chars()
        .map(|letter| match letter {
            'a'..='z' | '0'..='9' => {
                char::from_u32(u32::from(letter).saturating_add(0xfee0)).unwrap_or(letter)
            }
            _ => letter,
        })
        .collect()
}

/// Says the same about somebody who is there and somebody who is not.
async fn enumeration(arena: &Arena, password: &str) -> Outcome {
    let mut told = Vec::new();
    for email in [arena.victim.email.clone(), email()] {
        let body = json!({"email": email, "password": password});
        let answer = arena.send(Request::post("/auth/login", &body)).await?;
        let response = answer.status(&[401, 422])?;
        let mut body = response.json();
        if let Value::Object(body) = &mut body {
            body.remove("trace_id");
        }
        told.push((response.status, body));
    }
    match told.as_slice() {
        [one, other] if one == other => Ok(()),
        _ => Err(Stop::Failed(format!("        the answers differ: {told:?}"))),
    }
}

async fn own_address(arena: &Arena) -> Outcome {
    let address = email();
    registers(arena, json!({"email": address, "password": address}), &[422]).await
}

async fn body(arena: &Arena, content_type: &str, body: &[u8], statuses: &[u16]) -> Outcome {
    let request = Request::new("POST", "/auth/register").body(content_type, body);
    arena.send(request).await?.status(statuses).map(drop)
}

/// Twenty bytes of gzip that nobody unpacks.
async fn compressed(arena: &Arena) -> Outcome {
    let empty = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let request = Request::new("POST", "/auth/register")
        .body("application/json", empty)
        .header("content-encoding", "gzip");
    arena.send(request).await?.status(&[400, 415, 422]).map(drop)
}
