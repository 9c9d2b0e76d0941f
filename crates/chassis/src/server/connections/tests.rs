use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::tests::serving;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
/// A second as an idle connection, and half a second for a head.
const IDLE: Duration = Duration::from_millis(1_500);

fn short(settings: &mut HttpSettings) {
    settings.keep_alive_s = 1;
    settings.header_timeout_ms = 500;
    settings.answer_timeout_ms = 500;
}

async fn ask(connection: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until `end` has come.
async fn read_up_to(connection: &mut TcpStream, end: &str) {
    let mut text = String::new();
    while !text.contains(end) {
        let mut bytes = [0; 4096];
        let read = connection.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "it ended before {end:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

/// How long it takes until the other side has closed the connection; what it says until then is read.
async fn end(mut connection: TcpStream) -> Duration {
    let begun_at = Instant::now();
    let mut rest = Vec::new();
    // an end may be an error, too
    let _ended = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut rest))
        .await
        .expect("it never ended");
    begun_at.elapsed()
}

#[tokio::test]
async fn who_begins_a_second_head_and_falls_silent_is_cut_off() {
    serving(short, async |address| {
        let mut connection = TcpStream::connect(address).await.unwrap();
        ask(&mut connection, "/health").await;
        read_up_to(&mut connection, "ok\"}").await;
        connection.write_all(b"G").await.unwrap();
        let took = end(connection).await;
        assert!(took >= IDLE.mul_f32(0.9), "{took:?}");
    })
    .await;
}

#[tokio::test]
async fn who_sends_a_second_head_byte_by_byte_is_cut_off() {
    serving(short, async |address| {
        let mut connection = TcpStream::connect(address).await.unwrap();
        ask(&mut connection, "/health").await;
        read_up_to(&mut connection, "ok\"}").await;
        let begun_at = Instant::now();
        // each byte would start any clock anew
        while connection.write_all(b"a").await.is_ok() {
            assert!(begun_at.elapsed() < PATIENCE, "it is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn requests_that_follow_each_other_keep_a_connection_as_long_as_they_come() {
    serving(short, async |address| {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let begun_at = Instant::now();
        while begun_at.elapsed() < IDLE * 2 {
            ask(&mut connection, "/health").await;
            read_up_to(&mut connection, "ok\"}").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off_unless_it_is_an_event_stream() {
    serving(short, async |address| {
        let mut plain = TcpStream::connect(address).await.unwrap();
        ask(&mut plain, "/endless").await;
        let took = end(plain).await;
        assert!(took >= Duration::from_millis(450), "{took:?}");

        let mut events = TcpStream::connect(address).await.unwrap();
        ask(&mut events, "/events").await;
        let begun_at = Instant::now();
        while begun_at.elapsed() < IDLE * 2 {
            read_up_to(&mut events, "tick").await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_takes_an_answer_a_few_bytes_at_a_time_is_cut_off() {
    serving(short, async |address| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        // so that the answer does not fit into what the kernel holds
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut connection = socket.connect(address).await.unwrap();
        ask(&mut connection, "/huge").await;
        let begun_at = Instant::now();
        let mut few = [0; 512];
        while connection.read(&mut few).await.is_ok_and(|read| read > 0) {
            assert!(begun_at.elapsed() < PATIENCE, "it is still served");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
