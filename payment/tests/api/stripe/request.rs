//! A request as it comes over the connection.

use std::collections::HashMap;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

/// None when the connection has ended.
pub(super) async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head_end..head_end + length].to_vec()).unwrap();
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

/// The name of a call, and the id in its path.
pub(super) fn call_of(request: &Request) -> Option<(&'static str, String)> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parts: Vec<_> = path.trim_start_matches("/v1/").split('/').collect();
    Some(match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["payment_intents"]) => ("create", String::new()),
        ("GET", ["payment_intents", id]) => ("look", (*id).to_owned()),
        ("POST", ["payment_intents", id, "confirm"]) => ("confirm", (*id).to_owned()),
        ("POST", ["payment_intents", id, "cancel"]) => ("cancel", (*id).to_owned()),
        ("POST", ["refunds"]) => ("refund", String::new()),
        ("GET", ["refunds"]) => {
            let intent = query
                .strip_prefix("payment_intent=")?
                .strip_suffix("&limit=100")?;
            ("refunds", intent.to_owned())
        }
        _ => return None,
    })
}

/// What was asked, without its headers.
pub(super) fn asked_of(request: &Request) -> String {
    format!("{} {}", request.path, request.body)
}
