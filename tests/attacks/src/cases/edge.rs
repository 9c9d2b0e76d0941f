//! Headers that a client could forge, and what the edge must say itself.

use serde_json::json;
use std::time::Duration;

use super::cases;
use crate::arena::Arena;
use crate::request::Request;
use crate::{Outcome, Stop};

const NOBODY: &str = "01900000-0000-7000-8000-000000000000";

cases! {
    "EDG-01" "an identity in X-User-* without a token" ["4.1.3"] |arena| {
        let request = identity(Request::get("/orders"), NOBODY);
        arena.send(request).await?.problem(401, "unauthenticated").map(drop)
    };
    "EDG-02" "somebody else's identity in X-User-*" ["4.1.3", "8.2.2"] |arena| {
        let answer = arena.send(identity(Request::get("/auth/me"), &arena.victim.id).bearer(&arena.mallory.token)).await?;
        let me = answer.status(&[200])?.json();
        answer.must(me.get("user_id") == Some(&json!(arena.mallory.id)), "it is believed")
    };
    "EDG-03" "the role admin in X-User-Roles" ["4.1.3", "8.2.1"] |arena| {
        let request = identity(Request::get("/auth/users"), &arena.victim.id).bearer(&arena.mallory.token);
        arena.send(request).await?.problem(403, "forbidden").map(drop)
    };
    "EDG-04" "Connection that names the gateway's own headers" ["4.1.3", "CVE-2022-1388", "CVE-2024-45410"] |arena| {
        let request = identity(Request::get("/auth/users"), &arena.victim.id)
            .bearer(&arena.mallory.token)
            .header("connection", "x-user-id, x-user-roles, x-forwarded-for, x-real-ip, x-request-id");
        arena.send(request).await?.status(&[400, 403]).map(drop)
    };
    "EDG-05" "a header name with an underscore" ["4.1.3"] |arena| {
        arena.send(Request::get("/products").header("x_user_id", NOBODY)).await?.status(&[400]).map(drop)
    };
    "EDG-06" "direct calls around the gateway, without a token" ["8.3.1"] |arena| around(arena, |request| request).await;
    "EDG-07" "direct calls around the gateway, with the gateway's headers" ["8.3.1", "4.1.3"] |arena| around(arena, |request| identity(request, NOBODY)).await;
    "EDG-08" "direct calls around the gateway, with a forged token" ["8.3.1", "9.1.1"] |arena| around(arena, |request| request.bearer("eyJhbGciOiJub25lIn0.e30.")).await;
    "EDG-09" "another host" ["4.1.3", "CWE-644"] |arena| {
        let body = crate::arena::an_order();
        let request = Request::post("/orders", &body).bearer(&arena.mallory.token).header("x-forwarded-host", "evil.example");
        let answer = arena.send(request).await?;
        answer.status(&[202])?;
        answer.must(!answer.has("evil.example"), "it comes back")
    };
    "EDG-10" "a request id with markup, and a long one" ["16.4.1"] |arena| request_id(arena).await;
    "EDG-11" "a traceparent that is none" ["16.4.1"] |arena| {
        for parent in ["00-00000000000000000000000000000000-0000000000000000-01", "ff-x", "zz", &"a".repeat(500)] {
            arena.send(Request::get("/products").header("traceparent", parent)).await?.status(&[200])?;
        }
        Ok(())
    };
    "EDG-12" "a script from somewhere else (CORS)" ["3.4.2"] |arena| {
        let answer = arena.send(Request::get("/products").header("origin", "https://evil.example")).await?;
        answer.status(&[200])?;
        answer.must(!answer.has("ccess-control-allow-origin") && !answer.has("ccess-Control-Allow-Origin"), "it may read the answer")
    };
    "EDG-13" "a preflight from somewhere else" ["3.4.2"] |arena| {
        let request = Request::new("OPTIONS", "/orders").header("origin", "https://evil.example").header("access-control-request-method", "POST");
        let answer = arena.send(request).await?;
        let response = answer.response()?;
        answer.must(response.header("access-control-allow-origin").is_none(), "it is allowed")
    };
    "EDG-14" "an answer that a browser would take for something else" ["3.4.4", "4.1.1"] |arena| {
        let answer = arena.send(Request::get("/products")).await?;
        let response = answer.status(&[200])?;
        answer.must(response.header("x-content-type-options") == Some("nosniff"), "there is no nosniff")?;
        answer.must(response.header("server").is_none(), "it says what it runs on")
    };
    "EDG-15" "a personal answer from a cache" ["14.3.2"] |arena| {
        let answer = arena.send(Request::get("/auth/me").bearer(&arena.mallory.token)).await?;
        let response = answer.status(&[200])?;
        answer.must(response.header("cache-control").is_some_and(|told| told.contains("no-store")), "it may be stored")
    };
    "EDG-16" "another method in a header" ["4.1.4"] |arena| {
        let request = Request::get("/orders").header("x-http-method-override", "DELETE").header("x-method-override", "DELETE").bearer(&arena.mallory.token);
        let answer = arena.send(request).await?;
        let response = answer.status(&[200])?;
        answer.must(response.json().get("items").is_some(), "it was taken for something else")
    };
    "EDG-17" "TRACE" ["4.1.4", "CWE-693"] |arena| method(arena, "TRACE").await;
    "EDG-18" "CONNECT" ["4.1.4"] |arena| {
        let bytes = b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1:22\r\n\r\n";
        let answer = arena.raw(bytes, Duration::from_secs(5)).await?;
        answer.must(answer.responses().iter().all(|response| response.status >= 400), "a tunnel is open")
    };
    "EDG-19" "a method that nobody has" ["4.1.4"] |arena| method(arena, "PROPFIND").await;
    "EDG-20" "h2c, to speak past the gateway" ["4.2.3", "CWE-444"] |arena| {
        let request = Request::get("/products").header("upgrade", "h2c").header("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA").header("connection", "upgrade, http2-settings");
        let answer = arena.send(request).await?;
        answer.must(!answer.has("101 Switching"), "the connection is switched")?;
        answer.status(&[200, 400]).map(drop)
    };
    "EDG-21" "a web socket, to speak past the gateway" ["4.2.3", "CWE-444"] |arena| {
        let request = Request::get("/products").header("upgrade", "websocket").header("sec-websocket-version", "777").header("connection", "upgrade");
        let answer = arena.send(request).await?;
        answer.must(!answer.has("101 Switching"), "the connection is switched")?;
        answer.status(&[200, 400]).map(drop)
    };
    "EDG-22" "a thousand ranges" ["15.2.2", "CVE-2011-3192"] |arena| {
        let ranges: Vec<String> = (0..300).map(|from| format!("{from}-")).collect();
        let answer = arena.send(Request::get("/products").header("range", &format!("bytes={}", ranges.join(",")))).await?;
        answer.status(&[200, 400, 416, 431]).map(drop)
    };
    "EDG-23" "an error that tells of the inside" ["16.5.1"] |arena| {
        for target in ["/orders/x", "/payments/%ff", "/orders?cursor=%00", "/notifications?limit=9e99", "/auth/me/x"] {
            let answer = arena.send(Request::get(target).bearer(&arena.mallory.token)).await?;
            let response = answer.response()?;
            answer.leaks_nothing()?;
            answer.must(matches!(response.status, 400..=499), "it is no client's error")?;
        }
        Ok(())
    };
    "EDG-24" "Connection with more options than anybody has" ["4.2.5", "CWE-770"] |arena| {
        let options: Vec<String> = (0..17).map(|number| format!("x-a-{number}")).collect();
        let request = Request::get("/products").header("connection", &options.join(", "));
        arena.send(request).await?.status(&[400]).map(drop)
    };
    "EDG-25" "Connection with an option that is no ASCII" ["4.2.1", "CWE-444"] |arena| {
        let request = Request::get("/products").header("connection", "x-user-\u{131}d");
        arena.send(request).await?.status(&[400]).map(drop)
    };
}

/// What only the gateway may say.
fn identity(request: Request, user: &str) -> Request {
    request
        .header("x-user-id", user)
        .header("x-user-roles", "admin")
        .header("x-user-role", "admin")
        .header("x-session-id", NOBODY)
        .header("x-forwarded-user", user)
        .header("x-real-ip", "127.0.0.1")
}

/// Each service, asked directly for what needs a login.
async fn around(arena: &Arena, dress: fn(Request) -> Request) -> Outcome {
    if arena.target.services.is_empty() {
        return Err(Stop::Skipped("needs the services' own addresses (--stack)"));
    }
    let paths = [
        ("auth", "/auth/me"),
        ("order", "/orders"),
        ("payment", "/payments"),
        ("notification", "/notifications"),
    ];
    for (name, path) in paths {
        let address = arena.target.services.iter().find(|(found, _)| found == name);
        let (_, address) = address.ok_or(Stop::Skipped("needs the services' own addresses (--stack)"))?;
        let answer = arena.send_to(address, dress(Request::get(path))).await?;
        answer.problem(401, "unauthenticated")?;
    }
    Ok(())
}

async fn request_id(arena: &Arena) -> Outcome {
    for id in ["<script>alert(1)</script>", "a b", &"x".repeat(400)] {
        let answer = arena
            .send(Request::get("/products").header("x-request-id", id))
            .await?;
        let response = answer.status(&[200])?;
        answer.must(response.header("x-request-id") != Some(id), "it is taken over")?;
    }
    Ok(())
}

async fn method(arena: &Arena, method: &str) -> Outcome {
    let answer = arena
        .send(Request::new(method, "/orders").bearer(&arena.mallory.token))
        .await?;
    answer.status(&[400, 404, 405, 501])?;
    answer.must(!answer.has("Bearer"), "the request comes back")
}
