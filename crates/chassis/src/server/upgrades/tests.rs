use proptest::prelude::*;

use super::*;

/// What comes out of a stream that arrives in pieces of these lengths.
fn passed(stream: &str, mut pieces: impl Iterator<Item = usize>) -> String {
    let mut bytes = stream.as_bytes().to_vec();
    let (mut reader, mut at) = (Reader::default(), 0);
    while at < bytes.len() {
        let end = (at + pieces.next().unwrap_or(bytes.len())).min(bytes.len());
        reader.pass(&mut bytes[at..end]);
        at = end;
    }
    String::from_utf8(bytes).unwrap()
}

const OFFER: &str = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";
const NO_OFFER: &str =
    "POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrad-, HTTP2-Settings\r\nUpgrade: h2c\r\n";

#[test]
fn an_offer_is_overwritten_on_each_request_of_a_connection_and_bodies_are_left_alone() {
    let body = "connection: upgrade\r\n\r\n";
    let (length, chunk) = (body.len(), format!("{:X};x=y\r\n{body}\r\n", body.len()));
    let stream = |head: &str| {
        format!(
            "\r\n{head}Content-Length: {length}\r\n\r\n{body}{head}\r\n\
             {head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\nTrailer: upgrade\r\n\r\n{head}\r\n"
        )
    };
    for piece in [1, 2, 3, 7, 1_000] {
        assert_eq!(
            passed(&stream(OFFER), std::iter::repeat(piece)),
            stream(NO_OFFER),
            "{piece}"
        );
    }
}

#[test]
fn only_the_option_is_overwritten() {
    for (written, read) in [
        ("keep-alive,upgrade", "keep-alive,upgrad-"),
        ("UPGRADE", "UPGRAD-"),
        (" ,upgrade ,te", " ,upgrad- ,te"),
        ("upgrade,upgrade", "upgrad-,upgrad-"),
        ("no-upgrade", "no-upgrade"),
        ("close", "close"),
        ("up grade", "up grade"),
    ] {
        let stream = |value: &str| format!("GET / HTTP/1.1\nconnection:{value}\nother: upgrade\n\n");
        assert_eq!(passed(&stream(written), std::iter::empty()), stream(read));
    }
}

#[test]
fn where_two_could_read_differently_all_that_follows_passes_as_it_is() {
    for doubtful in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: x",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Upgrade: WebSocket",
    ] {
        let stream = format!("GET / HTTP/1.1\r\n{doubtful}\r\n\r\n{OFFER}\r\n");
        assert_eq!(passed(&stream, std::iter::empty()), stream, "{doubtful}");
    }
    let connect = format!("CONNECT a:1 HTTP/1.1\r\n\r\n{OFFER}\r\n");
    assert_eq!(passed(&connect, std::iter::empty()), connect);
    let chunk = format!("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{OFFER}\r\n");
    assert_eq!(passed(&chunk, std::iter::empty()), chunk);
}

proptest! {
    /// Whatever comes, in whatever pieces: it keeps its length, changes in nothing but that letter, and does not depend on the
    /// pieces.
    #[test]
    fn nothing_else_changes(
        lines in prop::collection::vec(prop_oneof![
            "[ -~]{0,30}", Just(OFFER.to_owned()), Just("content-length: 5\r\n".to_owned()), Just("Connection: upgrade".to_owned()),
            Just("transfer-encoding: chunked\r\n\r\n".to_owned()), "[0-9a-f]{1,2}",
        ], 0..12),
        pieces in prop::collection::vec(1_usize..20, 1..20),
    ) {
        let stream = lines.join("\r\n");
        let whole = passed(&stream, std::iter::empty());
        prop_assert_eq!(&passed(&stream, pieces.into_iter().cycle()), &whole);
        prop_assert_eq!(whole.len(), stream.len());
        for (before, after) in stream.bytes().zip(whole.bytes()) {
            prop_assert!(before == after || (before.eq_ignore_ascii_case(&b'e') && after == OVERWRITTEN));
        }
    }
}
