//! One message that two readers take for two: lengths that contradict each other, chunks that are none, heads that are
//! malformed. Behind each stands a second request; it must never be answered.

use std::time::Duration;

use super::cases;
use crate::Outcome;
use crate::arena::Arena;

/// Above the gateway's limit for a head and an idle body.
const PATIENCE: Duration = Duration::from_secs(20);

cases! {
    "SMU-01" "Content-Length and Transfer-Encoding (CL.TE)" ["4.2.1", "CWE-444"] |arena| post(arena, "content-length: 6\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\nG").await;
    "SMU-02" "Transfer-Encoding and Content-Length (TE.CL)" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: chunked\r\ncontent-length: 4\r\n", "5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n").await;
    "SMU-03" "two lengths" ["4.2.1", "CWE-444"] |arena| post(arena, "content-length: 2\r\ncontent-length: 40\r\n", "{}").await;
    "SMU-04" "a list of lengths" ["4.2.1", "CWE-444"] |arena| post(arena, "content-length: 2, 40\r\n", "{}").await;
    "SMU-05" "a length with a plus" ["4.2.1", "CVE-2023-27539"] |arena| post(arena, "content-length: +2\r\n", "{}").await;
    "SMU-06" "a negative length" ["4.2.1"] |arena| post(arena, "content-length: -1\r\n", "{}").await;
    "SMU-07" "a hexadecimal length" ["4.2.1"] |arena| post(arena, "content-length: 0x2\r\n", "{}").await;
    "SMU-08" "a length beyond 64 bits" ["4.2.1", "CWE-190"] |arena| post(arena, "content-length: 18446744073709551618\r\n", "{}").await;
    "SMU-09" "a length of nothing" ["4.2.1"] |arena| post(arena, "content-length: \r\n", "{}").await;
    "SMU-10" "a length of digits with a space" ["4.2.1"] |arena| post(arena, "content-length: 2 0\r\n", "{}").await;
    "SMU-11" "an encoding that nobody knows" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: xchunked\r\n", "0\r\n\r\n").await;
    "SMU-12" "chunked, then identity" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: chunked, identity\r\n", "0\r\n\r\n").await;
    "SMU-13" "identity beside a length" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: identity\r\ncontent-length: 2\r\n", "{}").await;
    "SMU-14" "chunked behind a vertical tab" ["4.2.1", "CVE-2019-18277"] |arena| post(arena, "transfer-encoding: \x0bchunked\r\ncontent-length: 6\r\n", "0\r\n\r\nG").await;
    "SMU-15" "chunked twice" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n").await;
    "SMU-16" "chunked in quotes" ["4.2.1", "CWE-444"] |arena| post(arena, "transfer-encoding: \"chunked\"\r\n", "0\r\n\r\n").await;
    "SMU-17" "a space before the colon" ["4.2.1", "CVE-2019-16869"] |arena| post(arena, "transfer-encoding : chunked\r\ncontent-length: 6\r\n", "0\r\n\r\nG").await;
    "SMU-18" "a name behind a tab" ["4.2.1", "CWE-444"] |arena| post(arena, "\ttransfer-encoding: chunked\r\ncontent-length: 6\r\n", "0\r\n\r\nG").await;
    "SMU-19" "a header over two lines" ["4.2.1", "CVE-2020-7238"] |arena| post(arena, "transfer-encoding:\r\n chunked\r\ncontent-length: 6\r\n", "0\r\n\r\nG").await;
    "SMU-20" "chunks in HTTP/1.0" ["4.2.1", "CWE-444"] |arena| version(arena, "HTTP/1.0", "transfer-encoding: chunked\r\nconnection: keep-alive\r\n", "0\r\n\r\n").await;
    "SMU-21" "a chunk size beyond 64 bits" ["4.2.1", "CWE-190"] |arena| chunks(arena, "10000000000000002\r\n{}\r\n0\r\n\r\n").await;
    "SMU-22" "a chunk size with a sign" ["4.2.1", "CWE-444"] |arena| chunks(arena, "+2\r\n{}\r\n0\r\n\r\n").await;
    "SMU-23" "a chunk size with 0x" ["4.2.1", "CVE-2022-24801"] |arena| chunks(arena, "0x2\r\n{}\r\n0\r\n\r\n").await;
    "SMU-24" "a chunk that is longer than it says" ["4.2.1", "CWE-444"] |arena| chunks(arena, "2\r\n{}AA\r\n0\r\n\r\n").await;
    "SMU-25" "a chunk size that ends with a bare line feed" ["4.2.1", "CVE-2025-22871"] |arena| chunks(arena, "2\n{}\r\n0\r\n\r\n").await;
    "SMU-26" "a chunk without a size" ["4.2.1", "CWE-444"] |arena| chunks(arena, "\r\n{}\r\n0\r\n\r\n").await;
    "SMU-27" "a chunk extension with a line feed" ["4.2.1", "CVE-2023-39326"] |arena| chunks(arena, "2;a=\n\r\n{}\r\n0\r\n\r\n").await;
    "SMU-28" "a carriage return in a header" ["4.2.4", "CWE-113"] |arena| post(arena, "x-a: b\rcontent-length: 40\r\ncontent-length: 2\r\n", "{}").await;
    "SMU-29" "a NUL in a header" ["4.2.4", "CWE-626"] |arena| post(arena, "x-a: b\0c\r\ncontent-length: 2\r\n", "{}").await;
    "SMU-30" "a header without a colon" ["4.2.1"] |arena| post(arena, "content-length\r\n", "{}").await;
    "SMU-31" "a header without a name" ["4.2.1"] |arena| post(arena, ": 2\r\n", "{}").await;
    "SMU-32" "two hosts" ["4.2.1", "CWE-444"] |arena| post(arena, "host: evil.example\r\ncontent-length: 2\r\n", "{}").await;
    "SMU-33" "no host" ["4.2.1"] |arena| refused(arena, "GET /products HTTP/1.1\r\n\r\n").await;
    "SMU-34" "a space within the request line" ["4.2.1"] |arena| refused(arena, "GET /products /orders HTTP/1.1\r\nhost: a\r\n\r\n").await;
    "SMU-35" "a version that is none" ["4.2.1"] |arena| refused(arena, "GET /products HTTP/1.2.3\r\nhost: a\r\n\r\n").await;
    "SMU-36" "HTTP/0.9" ["4.2.1"] |arena| refused(arena, "GET /products\r\n\r\n").await;
    "SMU-37" "HTTP/2 on a port for HTTP/1" ["4.2.3"] |arena| refused(arena, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    "SMU-38" "TLS on a port without" ["12.2.1"] |arena| refused(arena, "\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03\r\n\r\n").await;
    "SMU-39" "a body where none belongs, with a request in it" ["4.2.1", "CWE-444"] |arena| in_a_body(arena).await;
    "SMU-40" "a trailer with an identity" ["4.1.3", "CWE-444"] |arena| trailer(arena).await;
}

/// What must not be answered.
const SECOND: &str = "GET /products HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

async fn post(arena: &Arena, headers: &str, body: &str) -> Outcome {
    version(arena, "HTTP/1.1", headers, body).await
}

async fn version(arena: &Arena, version: &str, headers: &str, body: &str) -> Outcome {
    let first = format!(
        "POST /auth/login {version}\r\nhost: {}\r\ncontent-type: application/json\r\n{headers}\r\n{body}",
        arena.target.gateway
    );
    refused(arena, &format!("{first}{SECOND}")).await
}

async fn chunks(arena: &Arena, body: &str) -> Outcome {
    post(arena, "transfer-encoding: chunked\r\n", body).await
}

async fn refused(arena: &Arena, bytes: &str) -> Outcome {
    arena.raw(bytes.as_bytes(), PATIENCE).await?.refused()
}

/// A request as the body of another one is a body: there is one answer, or the message is refused.
async fn in_a_body(arena: &Arena) -> Outcome {
    let body = "GET /auth/users HTTP/1.1\r\nhost: a\r\n\r\n";
    let length = body.len();
    let request = format!(
        "GET /products HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let answer = arena.raw(request.as_bytes(), PATIENCE).await?;
    answer.status(&[200, 400, 413]).map(drop)
}

/// What comes behind the last chunk is no header of the request.
async fn trailer(arena: &Arena) -> Outcome {
    let token = &arena.mallory.token;
    let request = format!(
        "GET /auth/users HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-user-roles\r\nconnection: close\r\n\r\n0\r\nx-user-roles: admin\r\n\r\n"
    );
    let answer = arena.raw(request.as_bytes(), PATIENCE).await?;
    answer.status(&[400, 403]).map(drop)
}
