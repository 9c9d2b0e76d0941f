//! Webhooks are a way to make the platform call whatever a user names. These stories name what must not be called.

use chassis::test::Answer;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Notifications, eventually, notification, order, user};
use crate::receiver::{Receiver, Reply};
use crate::smtp::certified;
use crate::webhooks::{LOCAL, deliveries, registered};

const HOOKS: &str = "/notifications/webhooks";

#[tokio::test(flavor = "multi_thread")]
async fn addresses_inside_the_network_are_not_registered() {
    let (service, receiver) = (Notifications::start().await, Receiver::start());
    let client = service.customer(user());
    let port = receiver.port();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "metadata.google.internal",
        "localhost.",
    ] {
        let url = format!("https://{host}:{port}/");
        let problem = client
            .post(HOOKS, &json!({"url": url}))
            .await
            .problem(422, "validation");
        assert_eq!(problem.errors[0].pointer, "/url", "{host}");
    }
    for url in [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "example.org",
        "",
        "https://a:b@example.org/",
        "https://example.org/#x",
        "https://nowhere.invalid/",
    ] {
        client
            .post(HOOKS, &json!({"url": url}))
            .await
            .problem(422, "validation");
    }
    assert_eq!(client.get(HOOKS).await.ok(200)["items"], json!([]));
    assert!(receiver.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_inside_is_not_called_once_that_is_forbidden() {
    let settings = [("webhooks.allow_insecure", "true")];
    let (service, receiver) = (Notifications::with(&settings).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (lax, port) = (service.replica(&LOCAL).await, receiver.port());
    let (hook, _) = registered(
        &lax.client(Some(service.issuer.customer(ada).unwrap())),
        &json!({"url": format!("http://localhost:{port}/")}),
    )
    .await;
    assert!(lax.stop().await);
    // registered while it was allowed, and refused at each call now that it is not
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "failed", 1).await;
    for attempt in sent[0]["attempts"].as_array().unwrap() {
        assert_eq!(attempt["error"], "address-not-allowed");
        assert_eq!(attempt["status"], json!(null));
    }
    assert!(receiver.got().is_empty(), "nobody has connected");
    let changed = client
        .request(Method::PATCH, &hook)
        .json(&json!({"url": "http://127.1/"}));
    Answer::to(changed).await.problem(422, "validation");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_checked_again_at_each_call() {
    let receiver = Receiver::start();
    let service = Notifications::start().await;
    let ada = user();
    let client = service.customer(ada);
    let lax = service.replica(&LOCAL).await;
    let (hook, _) = registered(
        &lax.client(Some(service.issuer.customer(ada).unwrap())),
        &json!({"url": receiver.url("/")}),
    )
    .await;
    assert!(lax.stop().await);
    let answer = Answer::to(client.request(Method::POST, &format!("{hook}/test"))).await;
    let place = answer.header("location").to_owned();
    let error = eventually("an attempt", async || {
        let delivery = client.get(&place).await.ok(200);
        delivery["attempts"][0]["error"].as_str().map(ToOwned::to_owned)
    })
    .await;
    assert_eq!(error, "address-not-allowed");
    assert!(receiver.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_is_followed() {
    let (service, receiver) = (Notifications::with(&LOCAL).await, Receiver::start());
    let ada = user();
    let client = service.customer(ada);
    let (hook, _) = registered(&client, &json!({"url": receiver.url("/")})).await;
    let inside = receiver.url("/latest/meta-data");
    receiver.replies(vec![Reply::Redirect(inside); 3]);
    service.told(&[notification(ada, order())]).await;
    let sent = deliveries(&client, &hook, "failed", 1).await;
    assert_eq!(sent[0]["attempts"][0]["error"], "redirected");
    let got = receiver.got();
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|got| got.path == "/"), "{got:?}");
}

/// Answers every call over TLS with 204; and the PEM of who vouches for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the server ends with the test's runtime"
)]
async fn secured() -> (u16, String) {
    let (acceptor, authority) = certified();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut got = Vec::new();
            // the body is JSON, and ends it
            while !got.ends_with(b"}") && stream.read_buf(&mut got).await.is_ok_and(|read| read > 0) {}
            drop(stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await);
            drop(stream.shutdown().await);
        }
    });
    (port, authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_to_nobody_whose_certificate_does_not_hold() {
    let (port, authority) = secured().await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("authority.pem");
    std::fs::write(&ca_file, authority).unwrap();
    let private = ("webhooks.allow_private_addresses", "true");
    let trusting = [private, ("webhooks.ca_file", ca_file.to_str().unwrap())];
    for (settings, host, status, error) in [
        (&[private][..], "localhost", "failed", json!("tls-failed")),
        (&trusting[..], "127.0.0.1", "failed", json!("tls-failed")),
        (&trusting[..], "localhost", "delivered", json!(null)),
    ] {
        let service = Notifications::with(settings).await;
        let ada = user();
        let client = service.customer(ada);
        let (hook, _) = registered(&client, &json!({"url": format!("https://{host}:{port}/")})).await;
        service.told(&[notification(ada, order())]).await;
        let sent = deliveries(&client, &hook, status, 1).await;
        assert_eq!(sent[0]["attempts"][0]["error"], error, "{sent:?}");
    }
}
