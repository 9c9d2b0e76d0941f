//! Cuts what goes over a connection into PostgreSQL's messages: a tag of one byte, a length of four, a body.

/// A message's tag and length.
const HEAD: usize = 5;
/// The first message of a client has no tag.
const UNTAGGED_HEAD: usize = 4;
/// Messages that are longer are never kept.
const KEPT_MAX: usize = 64 * 1024;

/// A part of the stream. All of them, one after the other, are the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A message begins.
    Head(u8, Vec<u8>),
    /// More of the body of the message that began last.
    Body(&'a [u8]),
    /// A message that was wanted whole, head and body.
    Whole(u8, Vec<u8>),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Frames {
    head: usize,
    /// What came of a head, or of a message that is wanted whole.
    kept: Vec<u8>,
    /// How long the message is whose bytes are kept, once its head is there.
    whole: Option<usize>,
    /// What is to come of a body that is not kept.
    passing: usize,
}

impl Frames {
    /// What a server sends.
    pub(super) const fn of_server() -> Self {
        Self {
            head: HEAD,
            kept: Vec::new(),
            whole: None,
            passing: 0,
        }
    }

    /// What a client sends.
    pub(super) const fn of_client() -> Self {
        let mut frames = Self::of_server();
        frames.head = UNTAGGED_HEAD;
        frames
    }

    /// Takes the next piece off `chunk`; none when there is nothing whole left in it. `wanted` says which messages come
    /// whole.
    pub(super) fn next<'a>(
        &mut self,
        chunk: &mut &'a [u8],
        wanted: impl Fn(u8) -> bool,
    ) -> Option<Piece<'a>> {
        if self.passing > 0 && !chunk.is_empty() {
            let body = take(chunk, self.passing);
            self.passing = self.passing.saturating_sub(body.len());
            return Some(Piece::Body(body));
        }
        loop {
            let missing = self.whole.unwrap_or(self.head).saturating_sub(self.kept.len());
            let more = take(chunk, missing);
            self.kept.extend_from_slice(more);
            if more.len() < missing {
                return None;
            }
            let tag = self.tag();
            if self.whole.take().is_some() {
                return Some(Piece::Whole(tag, self.forget()));
            }
            let length = self.length();
            let total = (HEAD - UNTAGGED_HEAD).saturating_add(length);
            if self.head == HEAD && wanted(tag) && total <= KEPT_MAX {
                self.whole = Some(total.max(HEAD));
                continue;
            }
            self.passing = length.saturating_sub(UNTAGGED_HEAD);
            let head = Piece::Head(tag, self.forget());
            self.head = HEAD;
            return Some(head);
        }
    }

    /// What is held back, when nothing more will come.
    pub(super) fn forget(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    fn tag(&self) -> u8 {
        match self.head {
            HEAD => self.kept.first().copied().unwrap_or_default(),
            _ => 0,
        }
    }

    /// It counts itself, and not the tag.
    fn length(&self) -> usize {
        let bytes = self.kept.last_chunk().copied().unwrap_or_default();
        usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
    }
}

fn take<'a>(chunk: &mut &'a [u8], max: usize) -> &'a [u8] {
    let (taken, rest) = chunk.split_at(max.min(chunk.len()));
    *chunk = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[tag], length.as_slice(), body].concat()
    }

    proptest! {
        /// However the network cuts it: every message is found, and nothing is lost or added.
        #[test]
        fn a_stream_in_any_pieces_is_the_same_stream(
            bodies in proptest::collection::vec((prop_oneof![Just(b'E'), Just(b'D')], proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
            cuts in proptest::collection::vec(1_usize..50, 1..20),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|(tag, body)| message(*tag, body)).collect();
            let (mut frames, mut seen, mut told) = (Frames::of_server(), Vec::new(), Vec::new());
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let mut chunk = take(&mut rest, *cut);
                while let Some(piece) = frames.next(&mut chunk, |tag| tag == b'E') {
                    match piece {
                        Piece::Head(tag, head) => { told.push(tag); seen.extend(head) }
                        Piece::Body(body) => seen.extend(body),
                        Piece::Whole(tag, whole) => { told.push(tag); seen.extend(whole) }
                    }
                }
            }
            let tags: Vec<u8> = bodies.iter().map(|(tag, _)| *tag).collect();
            prop_assert_eq!(told, tags);
            prop_assert_eq!(seen, stream);
        }
    }

    #[test]
    fn a_client_begins_without_a_tag() {
        let mut frames = Frames::of_client();
        let stream = [&[0, 0, 0, 8, 1, 2, 3, 4], message(b'Q', b"select").as_slice()].concat();
        let (mut chunk, mut tags) = (stream.as_slice(), Vec::new());
        while let Some(piece) = frames.next(&mut chunk, |_| false) {
            if let Piece::Head(tag, _) = piece {
                tags.push(tag);
            }
        }
        assert_eq!(tags, [0, b'Q']);
    }
}
