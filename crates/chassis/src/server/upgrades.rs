//! Offers to go on in another protocol, which are not taken.
//!
//! A client offers with `Connection: Upgrade`, as Java's HTTP client and `curl --http2` do on every request; a server that does
//! not want to ignores it (RFC 9110, section 7.8) and goes on. The HTTP library does not: it answers `Connection: upgrade` and
//! then closes the connection without having said so. It decides that while it parses the head, before anything of ours runs.
//! So the bytes are read along on their way there, and where a head's `Connection` names the option, its last letter is
//! overwritten. Lengths stay, nothing is held back or buffered, and the HTTP library alone judges the message: where the two
//! could read it differently, all that follows on the connection passes as it is.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest header name that matters here: `transfer-encoding`.
const NAME_MAX: usize = 17;
/// Longest value that matters here, but for that of `Connection`: a 64-bit number.
const VALUE_MAX: usize = 20;
/// The option.
const OPTION: &[u8] = b"upgrade";
/// What becomes of its last letter: the rest is an option that nobody knows.
const OVERWRITTEN: u8 = b'-';

/// A connection on which no upgrade is offered.
#[derive(Debug)]
pub(super) struct WithoutUpgrades<T> {
    io: T,
    reader: Reader,
}

impl<T> WithoutUpgrades<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            reader: Reader::default(),
        }
    }

    pub(super) fn get_ref(&self) -> &T {
        &self.io
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WithoutUpgrades<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        self.reader
            .pass(buffer.filled_mut().get_mut(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WithoutUpgrades<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Where in the stream of requests the next byte is.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Head,
    /// So many bytes of a body are left.
    Body(u64),
    /// In the line that says how long the next chunk is.
    ChunkSize,
    /// So many bytes of a chunk are left.
    Chunk(u64),
    /// In the end of the line after a chunk.
    ChunkEnd,
    /// In the lines after the last chunk.
    Trailers,
    /// Nothing is read along any more.
    Blind,
}

/// Reads requests along.
#[derive(Debug, Default)]
struct Reader {
    place: Place,
    head: Head,
    line: Line,
}

/// What a head has said so far about what follows it.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    length: Option<u64>,
    chunked: bool,
    doubtful: bool,
}

/// The line that the next byte is in.
#[derive(Debug, Default)]
struct Line {
    name: Text<NAME_MAX>,
    value: Text<VALUE_MAX>,
    in_value: bool,
    /// How much of the option the current token has been so far; nothing when it cannot become it any more.
    matched: Option<usize>,
}

/// The first bytes of a text, in lower case.
#[derive(Debug)]
struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    length: usize,
}

impl<const MAX: usize> Default for Text<MAX> {
    fn default() -> Self {
        Self {
            bytes: [0; MAX],
            length: 0,
        }
    }
}

impl<const MAX: usize> Text<MAX> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length = self.length.saturating_add(1);
    }

    /// The text; nothing when it was longer.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length).map(<[u8]>::trim_ascii)
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Reader {
    /// Reads what came along, and overwrites what is to be.
    fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.place {
                Place::Blind => return,
                Place::Body(left) => skip(left, bytes.len()),
                Place::Chunk(left) => skip(left, bytes.len()),
                Place::Head | Place::ChunkSize | Place::ChunkEnd | Place::Trailers => {
                    if let Some(byte) = bytes.first_mut() {
                        self.byte(byte);
                    }
                    1
                }
            };
            if matches!(self.place, Place::Body(0)) {
                self.place = Place::Head;
            } else if matches!(self.place, Place::Chunk(0)) {
                self.place = Place::ChunkEnd;
            }
            bytes = bytes.get_mut(taken..).unwrap_or_default();
        }
    }

    fn byte(&mut self, byte: &mut u8) {
        if *byte == b'\n' {
            let line = std::mem::take(&mut self.line);
            self.place = self.after(&line);
        } else if matches!(self.place, Place::Head) && self.head.begun {
            self.line.header_byte(byte);
        } else {
            self.line.value.push(*byte);
        }
    }

    /// Where the next line is.
    fn after(&mut self, line: &Line) -> Place {
        let text = line.value.get();
        match self.place {
            Place::Head if !self.head.begun => {
                // empty lines may come before a request
                self.head.begun = text != Some(b"");
                let is_connect = line.value.bytes.starts_with(b"connect ");
                self.head.doubtful |= is_connect;
                Place::Head
            }
            Place::Head if line.is_empty() => std::mem::take(&mut self.head).body(),
            Place::Head => {
                self.head.note(line);
                Place::Head
            }
            Place::ChunkSize => match text.and_then(chunk_size) {
                Some(0) => Place::Trailers,
                Some(size) => Place::Chunk(size),
                None => Place::Blind,
            },
            Place::ChunkEnd => Place::ChunkSize,
            Place::Trailers if text == Some(b"") => Place::Head,
            Place::Trailers => Place::Trailers,
            Place::Body(_) | Place::Chunk(_) | Place::Blind => Place::Blind,
        }
    }
}

fn skip(left: &mut u64, here: usize) -> usize {
    let taken = u64::try_from(here).unwrap_or(u64::MAX).min(*left);
    *left = left.saturating_sub(taken);
    // no more than is here
    usize::try_from(taken).unwrap_or(here)
}

/// The size of a chunk; extensions after it count for nothing.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

impl Line {
    fn is_empty(&self) -> bool {
        !self.in_value && self.name.get() == Some(b"")
    }

    fn header_byte(&mut self, byte: &mut u8) {
        if !self.in_value {
            if *byte == b':' {
                self.in_value = true;
                self.matched = Some(0);
            } else {
                self.name.push(*byte);
            }
            return;
        }
        if self.name.get() == Some(b"connection") {
            self.option_byte(byte);
        } else if !(self.value.is_empty() && byte.is_ascii_whitespace()) {
            self.value.push(*byte);
        }
    }

    fn option_byte(&mut self, byte: &mut u8) {
        self.matched = match (self.matched, *byte) {
            (_, b',') => Some(0),
            (Some(0), b' ' | b'\t') => Some(0),
            (Some(matched), letter) if OPTION.get(matched) == Some(&letter.to_ascii_lowercase()) => {
                if matched.saturating_add(1) == OPTION.len() {
                    *byte = OVERWRITTEN;
                    None
                } else {
                    Some(matched.saturating_add(1))
                }
            }
            _ => None,
        };
    }
}

impl Head {
    fn note(&mut self, line: &Line) {
        let value = line.value.get();
        match line.name.get() {
            Some(b"content-length") => {
                let text = value.and_then(|value| std::str::from_utf8(value).ok());
                let length = text.and_then(|text| text.parse().ok());
                self.doubtful |= length.is_none() || self.length.is_some();
                self.length = length;
            }
            Some(b"transfer-encoding") => {
                self.doubtful |= value != Some(b"chunked") || self.chunked;
                self.chunked = true;
            }
            // the HTTP library takes all that follows such a head for its body
            Some(b"upgrade") => self.doubtful |= value == Some(b"websocket"),
            _ => {}
        }
    }

    /// What follows it.
    fn body(self) -> Place {
        match (self.doubtful, self.chunked, self.length) {
            (true, _, _) | (_, true, Some(_)) => Place::Blind,
            (_, true, None) => Place::ChunkSize,
            (_, false, length) => Place::Body(length.unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests;
