//! The gateway with a certificate of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::upstream::{behaviour, echo};
use crate::harness::{Behaviour, Gateway, token};

const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a certificate for `localhost` and its key into a directory, and hands it over.
fn issue(directory: &Path) -> CertificateDer<'static> {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    std::fs::write(directory.join("certificate.pem"), issued.cert.pem()).unwrap();
    issued.cert.der().clone()
}

async fn connect(
    gateway: &Gateway,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let connection = TcpStream::connect(gateway.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, connection)
        .await
}

async fn secured(directory: &Path, behaviour: Behaviour) -> Gateway {
    let path = |file: &str| directory.join(file).to_str().unwrap().to_owned();
    let settings = [
        ("http.tls.certificate", &*path("certificate.pem")),
        ("http.tls.key", &*path("key.pem")),
        ("http.tls.reload_s", "1"),
    ];
    Gateway::configured(behaviour, &settings).await
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn with_a_certificate_it_speaks_tls_and_http_2_and_shows_a_new_one_when_the_file_changes() {
    let directory = tempfile::tempdir().unwrap();
    let old = issue(directory.path());
    let gateway = secured(directory.path(), echo()).await;

    // HTTP/1.1
    let mut connection = connect(&gateway, &old, "http/1.1").await.unwrap();
    let request = b"GET /products HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // the end of a TLS stream may come without its farewell
    let _ended = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age=31536000; includeSubDomains"),
        "{answer}"
    );

    // HTTP/2
    let connection = connect(&gateway, &old, "h2").await.unwrap();
    assert_eq!(connection.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/products").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    drop((client, response));
    driver.abort();
    let seen = gateway.upstream.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
        assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("localhost"));
    }

    // a broken file changes nothing, a good one does
    std::fs::write(directory.path().join("certificate.pem"), "nonsense").unwrap();
    assert!(connect(&gateway, &old, "http/1.1").await.is_ok());
    let new = issue(directory.path());
    let deadline = Instant::now() + PATIENCE;
    while connect(&gateway, &new, "http/1.1").await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(connect(&gateway, &old, "http/1.1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_not_spoken_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    issue(directory.path());
    let gateway = secured(directory.path(), echo()).await;
    let mut connection = TcpStream::connect(gateway.address()).await.unwrap();
    connection
        .write_all(b"GET /products HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _reset = connection.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    assert!(gateway.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn over_http_2_heads_and_requests_at_once_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let trusted = issue(directory.path());
    let path = |file: &str| directory.path().join(file).to_str().unwrap().to_owned();
    let settings = [
        ("http.tls.certificate", &*path("certificate.pem")),
        ("http.tls.key", &*path("key.pem")),
        ("http.requests_per_connection", "2"),
        ("edge.header_list_bytes_max", "4000"),
    ];
    // given a service that never answers about orders
    let silent = behaviour(async |request, _| {
        if request.path() == "/products/slow" {
            std::future::pending::<()>().await;
        }
        HttpResponse::Ok().body("done")
    });
    let gateway = Gateway::configured(silent, &settings).await;
    let bearer = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let connection = connect(&gateway, &trusted, "h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    tokio::spawn(connection);
    let mut ask = |path: &str, extra: usize| {
        let request = http::Request::get(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {bearer}"))
            .header("x-extra", "x".repeat(extra))
            .body(())
            .unwrap();
        client.send_request(request, true).unwrap().0
    };
    // then a long head is refused
    assert_eq!(ask("/products", 4_000).await.unwrap().status().as_u16(), 431);
    assert_eq!(ask("/products", 1).await.unwrap().status().as_u16(), 200);
    // and so is a third request at once
    let _waiting = (ask("/products/slow", 1), ask("/products/slow", 1));
    let deadline = Instant::now() + PATIENCE;
    while gateway.upstream.seen().len() < 3 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = ask("/products", 1).await.unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
}

/// A page that is left resets its streams, over a connection that stays.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "what is started ends with the test's runtime"
)]
async fn a_stream_that_is_reset_over_http_2_ends_the_services_work_at_once() {
    struct Left(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Left {
        fn drop(&mut self) {
            let _nobody_waits = self.0.send(());
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let certificate = issue(directory.path());
    let (left, mut leaving) = tokio::sync::mpsc::unbounded_channel();
    let silent = behaviour(move |_, _| {
        let guard = Left(left.clone());
        let silent = futures::stream::poll_fn(move |_| {
            let _held = &guard;
            std::task::Poll::<Option<Result<actix_web::web::Bytes, actix_web::Error>>>::Pending
        });
        async {
            HttpResponse::Ok()
                .content_type("text/event-stream")
                .streaming(silent)
        }
    });
    let gateway = secured(directory.path(), silent).await;
    let connection = connect(&gateway, &certificate, "h2").await.unwrap();
    let (mut client, connection) = h2::client::handshake(connection).await.unwrap();
    let driver = tokio::spawn(connection);
    let token = gateway.issuer.customer(token::user(token::CUSTOMER)).unwrap();
    let request = http::Request::get("https://localhost/notifications/stream")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let left_at = Instant::now();
    // the last handle: it is reset
    drop(response);
    tokio::time::timeout(PATIENCE, leaving.recv()).await.unwrap();
    // a second is promised; a busy machine may be late
    assert!(
        left_at.elapsed() < Duration::from_secs(3),
        "{:?}",
        left_at.elapsed()
    );
    driver.abort();
}
