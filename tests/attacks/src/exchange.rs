//! Sockets: what is sent, what comes back, and how it looks on paper.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::tls::Trust;

/// As much of an answer as is read.
const MAX_ANSWER: usize = 1024 * 1024;
/// As much of either side as is shown.
const SHOWN: usize = 1_500;

/// A response, as far as it came.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body, null when it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What was sent, and everything that came back until the other side closed or the time was over.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    sent: Vec<u8>,
    received: Vec<u8>,
    /// Whether the other side closed the connection.
    pub(crate) closed: bool,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Sends bytes, in pieces with a pause before each but the first, and reads until the other side closes.
pub(crate) async fn exchange(
    (address, trust): (&str, Option<&Trust>),
    pieces: &[&[u8]],
    pause: Duration,
    patience: Duration,
) -> std::io::Result<Exchange> {
    let stream = TcpStream::connect(address).await?;
    match trust {
        None => converse(stream, pieces, pause, patience).await,
        Some(trust) => {
            let stream = trust.connect(address, stream).await?;
            Box::pin(converse(stream, pieces, pause, patience)).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    pieces: &[&[u8]],
    pause: Duration,
    patience: Duration,
) -> std::io::Result<Exchange> {
    let begin = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                tokio::time::sleep(pause).await;
            }
            // the other side may have had enough already
            if writer.write_all(piece).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
        // stays open: only the other side ends the exchange
        std::future::pending::<()>().await;
    };
    let mut received = Vec::new();
    let reading = read(&mut reader, &mut received);
    let closed = tokio::select! {
        ended = tokio::time::timeout(patience, reading) => ended.is_ok(),
        () = writing => false,
    };
    Ok(Exchange {
        sent: pieces.concat(),
        received,
        closed,
        took: begin.elapsed(),
    })
}

/// Until the end, a reset included.
async fn read(reader: &mut (impl AsyncReadExt + Unpin), received: &mut Vec<u8>) {
    let mut chunk = vec![0; 16 * 1024];
    while received.len() < MAX_ANSWER {
        match reader.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => received.extend(chunk.get(..length).unwrap_or_default()),
        }
    }
}

impl Exchange {
    /// The responses that came, without those that only said to go on.
    pub(crate) fn responses(&self) -> Vec<Response> {
        let mut rest = self.received.as_slice();
        let mut responses = Vec::new();
        while let Some((response, length)) = parse(rest) {
            if response.status >= 200 {
                responses.push(response);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        responses
    }

    /// Both sides, with what does not print escaped, and without credentials.
    pub(crate) fn shown(&self) -> String {
        let state = if self.closed { "closed" } else { "open" };
        format!(
            "        > {}\n        < {}\n        ({state} after {:.1} s)",
            paper(&self.sent),
            paper(&self.received),
            self.took.as_secs_f64()
        )
    }

    pub(crate) const fn is_silent(&self) -> bool {
        self.received.is_empty()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.received).contains(text)
    }
}

fn paper(bytes: &[u8]) -> String {
    let part = bytes.get(..SHOWN).unwrap_or(bytes);
    let mut text = part
        .escape_ascii()
        .to_string()
        .replace("\\r\\n", "\\r\\n\n          ");
    // a token is shown by its beginning
    while let Some(at) = text.find("Bearer ey") {
        let begin = at.saturating_add("Bearer ".len());
        let end = text
            .get(begin..)
            .and_then(|rest| rest.find('\\'))
            .map_or(text.len(), |end| begin + end);
        text.replace_range(begin..end, "(token)");
    }
    if bytes.len() > SHOWN {
        text.push_str(&format!("… {} bytes", bytes.len()));
    }
    text
}

/// The first response in `bytes`, and its length.
fn parse(bytes: &[u8]) -> Option<(Response, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begin) = head.parse(bytes).ok()? else {
        return None;
    };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| {
            (
                header.name.to_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        })
        .collect();
    let mut response = Response {
        status: head.code?,
        headers,
        body: Vec::new(),
    };
    let rest = bytes.get(begin..)?;
    let length = if response.header("transfer-encoding").is_some() {
        dechunk(rest, &mut response.body)
    } else {
        let declared = response
            .header("content-length")
            .and_then(|length| length.parse().ok());
        let length = declared
            .unwrap_or(if response.status < 200 { 0 } else { rest.len() })
            .min(rest.len());
        response.body = rest.get(..length)?.to_vec();
        length
    };
    Some((response, begin + length))
}

/// Puts the chunks together; answers how long they were in all.
fn dechunk(bytes: &[u8], body: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Ok(httparse::Status::Complete((begin, size))) = httparse::parse_chunk_size(rest) else {
            return bytes.len();
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(chunk) = begin.checked_add(size).and_then(|end| rest.get(begin..end)) else {
            return bytes.len();
        };
        body.extend(chunk);
        at = at.saturating_add(begin).saturating_add(size).saturating_add(2);
        if size == 0 {
            return at.min(bytes.len());
        }
    }
}
