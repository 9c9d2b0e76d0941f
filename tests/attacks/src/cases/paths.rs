//! Paths that two readers could read differently, and those that are nobody's business.

use std::time::Duration;

use super::cases;
use crate::Outcome;
use crate::arena::Arena;
use crate::request::Request;

cases! {
    "PTH-01" "a path that climbs from a public one" ["8.3.1", "CWE-22"] |arena| hidden(arena, &["/products/../orders", "/products/..%2forders", "/products/%2e%2e/orders", "/products/.%2e/orders"]).await;
    "PTH-02" "a path that climbs, encoded twice" ["1.1.1", "CWE-22"] |arena| hidden(arena, &["/products/%252e%252e/orders", "/products/..%252forders", "/products/%25%32%65%25%32%65/orders"]).await;
    "PTH-03" "a path that climbs by other signs" ["1.1.1", "CWE-22"] |arena| hidden(arena, &["/products/..;/orders", "/products\\..\\orders", "/products/..%5corders", "/products/%c0%ae%c0%ae/orders", "/products/%ef%bc%8e%ef%bc%8e/orders"]).await;
    "PTH-04" "a path with a NUL" ["1.1.1", "CWE-626"] |arena| hidden(arena, &["/products/%00", "/products%00/orders", "/orders%00"]).await;
    "PTH-05" "a path with slashes too many" ["8.3.1"] |arena| hidden(arena, &["//orders", "/products//orders", "///auth/users", "//evil.example/orders"]).await;
    "PTH-06" "a path in other letters" ["8.3.1"] |arena| hidden(arena, &["/Orders", "/ORDERS", "/%6frders", "/orders%20", "/orders.json", "/orders;a=b"]).await;
    "PTH-07" "the management port's paths" ["13.4.5"] |arena| hidden(arena, &["/metrics", "/livez", "/readyz", "/orders/../metrics", "/auth/metrics", "/orders/livez"]).await;
    "PTH-08" "what other platforms leave open" ["13.4.5"] |arena| hidden(arena, &["/internal", "/internal/users", "/actuator/env", "/debug/pprof", "/.env", "/.git/config", "/server-status", "/admin", "/console/../.env"]).await;
    "PTH-09" "the docs' folder as a way out" ["CWE-22", "5.3.2"] |arena| hidden(arena, &["/docs/assets/..%2f..%2fCargo.toml", "/docs/assets/%2e%2e/%2e%2e/etc/passwd", "/docs/../metrics", "/docs/nobody", "/docs/assets/.env"]).await;
    "PTH-10" "an address of somebody else's (open proxy)" ["1.3.6", "CWE-918"] |arena| foreign(arena, "http://127.0.0.1:9/products").await;
    "PTH-11" "an address with a login in it" ["1.3.6", "CWE-918"] |arena| foreign(arena, "http://evil@127.0.0.1:9/products").await;
    "PTH-12" "an address behind an at sign" ["1.3.6", "CVE-2021-40438"] |arena| hidden(arena, &["@127.0.0.1:9/products", "unix:/tmp/x|http://127.0.0.1:9/"]).await;
    "PTH-13" "a path of 64 KiB" ["4.2.5"] |arena| {
        let target = format!("/products?{}", "a".repeat(64 * 1024));
        let answer = arena.send(Request::get(&target)).await?;
        if answer.is_silent() { return answer.must(answer.closed, "the connection stays open"); }
        answer.status(&[400, 414, 431]).map(drop)
    };
    "PTH-14" "a path with a line break" ["4.2.4", "CWE-113"] |arena| {
        let answer = arena.send(Request::get("/products/%0d%0aset-cookie:%20a=b").bearer(&arena.mallory.token)).await?;
        answer.status(&[400, 404, 405])?;
        answer.must(!answer.has("\nset-cookie: a=b"), "it becomes a header")
    };
    "PTH-15" "a path with letters written as escapes, past a limit or a role" ["1.1.1", "8.3.1"] |arena| escaped(arena).await;
}

/// An octet that needs no escape is not written with one by anybody who means well.
async fn escaped(arena: &Arena) -> Outcome {
    let login = arena.mallory.login();
    let requests = [
        Request::post("/auth/%6cogin", &login),
        Request::post("/%61uth/login", &login),
        Request::get("/%6frders"),
        Request::get("/order%73"),
        Request::get("/auth/%6de"),
        Request::get("/auth/%75sers"),
        Request::get("/%2ewell-known/jwks.json"),
        Request::get("/payments/%73imulator"),
    ];
    for request in requests {
        let request = request.bearer(&arena.mallory.token);
        arena.send(request).await?.problem(404, "not-found")?;
    }
    Ok(())
}

/// None of these leads anywhere: there is nothing, or nothing to be had in this way.
async fn hidden(arena: &Arena, targets: &[&str]) -> Outcome {
    for target in targets {
        // first as a stranger, to see what is public by mistake; then as somebody, to see where it leads
        for request in [
            Request::get(target),
            Request::get(target).bearer(&arena.mallory.token),
        ] {
            let answer = arena.send(request).await?;
            if answer.is_silent() && answer.closed {
                continue;
            }
            answer.status(&[400, 401, 404, 405])?;
        }
    }
    Ok(())
}

/// Refused, or read as a path of one's own; never fetched.
async fn foreign(arena: &Arena, target: &str) -> Outcome {
    let bytes = format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1:9\r\nconnection: close\r\n\r\n");
    let answer = arena.raw(bytes.as_bytes(), Duration::from_secs(20)).await?;
    if answer.is_silent() {
        return answer.must(answer.closed, "the connection stays open");
    }
    let response = answer.response()?;
    let own = response.status == 200 && answer.has("CABLE-USBC");
    answer.must(own || matches!(response.status, 400..=499), "it went somewhere")
}
