//! Requests that take their time, and those that never end.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::cases;
use crate::Outcome;
use crate::arena::Arena;
use crate::request::Request;

cases! {
    "SLO-01" "a head, a byte a second" ["15.2.2", "CVE-2007-6750"] |arena| head_by_bytes(arena).await;
    "SLO-02" "a connection that says nothing" ["15.2.2"] |arena| cut(arena, &[b"G"], Duration::from_secs(20)).await;
    "SLO-03" "a body that stops in the middle" ["15.2.2", "CWE-400"] |arena| body_that_stops(arena).await;
    "SLO-04" "a hundred such bodies, and a customer beside them" ["15.2.2", "CWE-400"] |arena| crowd(arena).await;
    "SLO-05" "a body beyond the limit, by its length" ["15.2.2", "CWE-770"] |arena| declared(arena, 10 * 1024 * 1024).await;
    "SLO-06" "a body beyond all limits, by its length" ["15.2.2", "CWE-770"] |arena| declared(arena, u64::MAX / 2).await;
    "SLO-07" "a body beyond the limit, asking first (100-continue)" ["15.2.2"] |arena| asking_first(arena).await;
    "SLO-08" "chunks without an end" ["15.2.2", "CWE-770"] |arena| endless(arena).await;
    "SLO-09" "a head without an end" ["4.2.5", "CWE-770"] |arena| endless_head(arena).await;
    "SLO-10" "three hundred headers" ["4.2.5", "CWE-770"] |arena| {
        let request = (0..300).fold(Request::get("/products"), |request, number| request.header(&format!("x-a-{number}"), "b"));
        let answer = arena.send(request).await?;
        if answer.is_silent() { return answer.must(answer.closed, "the connection stays open"); }
        answer.status(&[400, 431]).map(drop)
    };
    "SLO-11" "one header of a mebibyte" ["4.2.5", "CWE-770"] |arena| {
        let answer = arena.send(Request::get("/products").header("x-a", &"b".repeat(1024 * 1024))).await?;
        if answer.is_silent() { return answer.must(answer.closed, "the connection stays open"); }
        answer.status(&[400, 431]).map(drop)
    };
    "SLO-12" "a hundred requests at once on one connection" ["15.2.2"] |arena| pipelined(arena).await;
    "SLO-13" "a chunk extension without an end" ["15.2.2", "CVE-2023-39326"] |arena| endless_extension(arena).await;
    "SLO-14" "half a second head on a connection that was good once" ["15.2.2", "CVE-2007-6750"] |arena| second_head(arena).await;
}

/// Whatever is sent so slowly is cut off.
async fn cut(arena: &Arena, pieces: &[&[u8]], patience: Duration) -> Outcome {
    let answer = arena
        .pieces(&arena.target.gateway, pieces, Duration::from_secs(1), patience)
        .await?;
    answer.must(answer.closed, "the connection stays open")?;
    let refused = answer
        .responses()
        .iter()
        .all(|response| matches!(response.status, 400..=499));
    answer.must(refused, "it is taken")
}

/// Longer than a connection may be idle (75 s) and a head may take after that.
const IDLE: Duration = Duration::from_secs(100);

/// A first request does not buy the second one all the time there is.
async fn second_head(arena: &Arena) -> Outcome {
    let first = b"GET /products HTTP/1.1\r\nhost: a\r\n\r\n";
    let half = b"GET /products HTTP/1.1\r\nhost: a\r\nx-a: b";
    let answer = arena
        .pieces(
            &arena.target.gateway,
            &[first, half],
            Duration::from_secs(1),
            IDLE,
        )
        .await?;
    let statuses: Vec<u16> = answer
        .responses()
        .iter()
        .map(|response| response.status)
        .collect();
    answer.must(
        matches!(statuses.as_slice(), [200] | [200, 400 | 408]),
        "the first one is not answered, or the second one is",
    )?;
    answer.must(answer.closed, "the connection stays open")
}

async fn head_by_bytes(arena: &Arena) -> Outcome {
    let head = b"GET /products HTTP/1.1\r\nhost: a\r\nx-a: bbbbbbbbbbbbbbbbbbbbbbbb\r\n";
    let pieces: Vec<&[u8]> = head.chunks(1).collect();
    cut(arena, &pieces, Duration::from_secs(30)).await
}

fn half_a_body(arena: &Arena) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 200\r\n\r\n{{\"items\": [",
        arena.mallory.token
    )
}

async fn body_that_stops(arena: &Arena) -> Outcome {
    cut(arena, &[half_a_body(arena).as_bytes()], Duration::from_secs(45)).await
}

/// Those who stop in the middle hold nobody else up.
async fn crowd(arena: &Arena) -> Outcome {
    let half = half_a_body(arena);
    let slow = join_all((0..100).map(|_| arena.raw(half.as_bytes(), Duration::from_secs(5))));
    let beside = async {
        let mut slowest = Duration::ZERO;
        for _order in 0..10 {
            let answer = arena
                .send(Request::get("/orders").bearer(&arena.victim.token))
                .await?;
            answer.status(&[200])?;
            slowest = slowest.max(answer.took);
            if slowest > Duration::from_secs(3) {
                return Err(answer.wrong("the customer waits"));
            }
        }
        Ok(())
    };
    let (slow, beside) = futures::join!(slow, beside);
    slow.into_iter().try_for_each(|answer| answer.map(drop))?;
    beside
}

async fn declared(arena: &Arena, length: u64) -> Outcome {
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{{",
        arena.mallory.token
    );
    let answer = arena.raw(request.as_bytes(), Duration::from_secs(5)).await?;
    answer.status(&[400, 413])?;
    answer.must(answer.closed, "the connection stays open")
}

async fn asking_first(arena: &Arena) -> Outcome {
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: 10000000\r\nexpect: 100-continue\r\n\r\n",
        arena.mallory.token
    );
    let answer = arena.raw(request.as_bytes(), Duration::from_secs(15)).await?;
    answer.status(&[413, 417])?;
    answer.must(answer.closed, "the connection stays open")
}

/// As much as is sent counts for nothing, however much it is; the time does.
async fn endless_extension(arena: &Arena) -> Outcome {
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n2;",
        arena.mallory.token
    );
    let mut pieces = vec![head.as_bytes()];
    pieces.extend(std::iter::repeat_n(&b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[..], 60));
    cut(arena, &pieces, Duration::from_secs(45)).await
}

/// Sends more than any body may have; the end is never sent.
async fn endless(arena: &Arena) -> Outcome {
    let head = format!(
        "POST /orders HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        arena.mallory.token
    );
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut pieces = vec![head.as_bytes()];
    pieces.extend(std::iter::repeat_n(chunk.as_bytes(), 64));
    let answer = arena
        .pieces(
            &arena.target.gateway,
            &pieces,
            Duration::from_millis(5),
            Duration::from_secs(15),
        )
        .await?;
    answer.must(answer.closed, "the connection stays open")?;
    // an answer may be lost when the rest of the body meets a closed connection
    if answer.is_silent() {
        Ok(())
    } else {
        answer.status(&[413]).map(drop)
    }
}

async fn endless_head(arena: &Arena) -> Outcome {
    let line = format!("x-a: {}\r\n", "b".repeat(1_000));
    let mut pieces: Vec<&[u8]> = vec![b"GET /products HTTP/1.1\r\nhost: a\r\n"];
    pieces.extend(std::iter::repeat_n(line.as_bytes(), 2_000));
    let answer = arena
        .pieces(
            &arena.target.gateway,
            &pieces,
            Duration::from_millis(1),
            Duration::from_secs(20),
        )
        .await?;
    answer.must(answer.closed, "the connection stays open")?;
    if answer.is_silent() {
        Ok(())
    } else {
        answer.status(&[400, 431]).map(drop)
    }
}

/// Each is answered, in order, and none of them twice.
async fn pipelined(arena: &Arena) -> Outcome {
    let mut requests = "GET /products HTTP/1.1\r\nhost: a\r\n\r\n".repeat(99);
    requests.push_str("GET /products HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = arena.raw(requests.as_bytes(), Duration::from_secs(20)).await?;
    let responses = answer.responses();
    answer.must(responses.len() <= 100, "there are more answers than requests")?;
    let right = responses.iter().all(|response| match response.status {
        200 => response
            .json()
            .get("items")
            .is_some_and(|items| items != &json!([])),
        429 => true,
        _ => false,
    });
    answer.must(right && !responses.is_empty(), "an answer is not right")
}
