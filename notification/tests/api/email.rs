//! E-mail, through a real dialogue with a mail server.

use contracts::UserId;
use notification::domain::{Address, Kind, Notification};
use serde_json::json;

use crate::harness::{Notifications, eventually, notification, order, user};
use crate::smtp::{LOGIN, MailServer};

const ADA: &str = "ada@example.org";

/// A notification that brings its user's address, as that of a new account does.
fn welcome(user: UserId, address: &str) -> Notification {
    let mut told = notification(user, order());
    told.kind = Kind::Welcome;
    told.order_id = None;
    told.title = "Welcome to Quadrille".to_owned();
    told.body = "Hello <b>Ada</b>, your account is ready.".to_owned();
    told.address = Some(Address::new(address.to_owned()));
    told
}

async fn with(port: &str, more: &[(&str, &str)]) -> Notifications {
    let mut settings = vec![
        ("email.host", "127.0.0.1"),
        ("email.port", port),
        ("email.security", "none"),
        ("email.from", "Quadrille <no-reply@quadrille.test>"),
        ("messaging.retry_delays_ms", "20,20,20"),
    ];
    settings.extend(more);
    Notifications::with(&settings).await
}

/// How many deliveries have that status.
async fn are(service: &Notifications, status: &str, count: i64) {
    let query = format!("select count(*) from delivery where status = '{status}'");
    eventually(&format!("{count} {status}"), async || {
        (service.count(&query).await == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_is_one_mail_in_text_and_html_that_nobody_can_write_into() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    let ada = user();
    let (told, tea) = (welcome(ada, ADA), order());
    service.told(&[told.clone(), notification(ada, tea)]).await;
    service.told(std::slice::from_ref(&told)).await;
    are(&service, "delivered", 2).await;
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let mail = mails
        .iter()
        .find(|mail| mail.header("Subject") == told.title)
        .unwrap();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_str()),
        ("no-reply@quadrille.test", ADA)
    );
    assert_eq!(mail.header("From"), "Quadrille <no-reply@quadrille.test>");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert!(
        mail.header("Message-ID").ends_with("@quadrille.test>"),
        "{}",
        mail.data
    );
    assert!(mail.header("Content-Type").starts_with("multipart/alternative"));
    let text = mail.text();
    assert!(
        text.contains("Hello <b>Ada</b>, your account is ready."),
        "{text}"
    );
    assert!(text.contains("Hello &#60;b&#62;Ada&#60;/b&#62;, your"), "{text}");
    let other = mails
        .iter()
        .find(|mail| mail.header("Subject") == "Order confirmed")
        .unwrap();
    assert!(other.text().contains(&format!("Order {tea}")));
    assert_ne!(mail.header("Message-ID"), other.header("Message-ID"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_logs_in_where_that_is_asked_for() {
    let server = MailServer::start(true).await;
    let login = [("email.username", LOGIN.0), ("email.password", LOGIN.1)];
    let service = with(&server.port(), &login).await;
    service.told(&[welcome(user(), ADA)]).await;
    assert_eq!(server.gets(1).await[0].to, ADA);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_nothing_but_waiting() {
    let server = MailServer::start(true).await;
    let wrong = [("email.username", LOGIN.0), ("email.password", "wrong")];
    let service = with(&server.port(), &wrong).await;
    service.told(&[welcome(user(), ADA)]).await;
    are(&service, "waiting", 1).await;
    let letters = service.admin().get("/notifications/dead-letters").await.ok(200);
    assert_eq!(letters["items"], json!([]));
    assert!(server.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_costs_nothing_but_waiting() {
    // bound and not listening: nobody else takes the port, and nobody answers
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let service = with(&port, &[]).await;
    service.told(&[welcome(user(), ADA)]).await;
    are(&service, "waiting", 1).await;
    let server = MailServer::listening(held.listen(16).unwrap(), false);
    assert_eq!(server.gets(1).await.len(), 1);
    are(&service, "delivered", 1).await;
    assert_eq!(
        service
            .count("select attempts::bigint as count from delivery")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_is_not_waited_for_for_ever() {
    // one that refuses the login, and one that is not there
    let (refusing, held) = (
        MailServer::start(true).await,
        tokio::net::TcpSocket::new_v4().unwrap(),
    );
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = held.local_addr().unwrap().port().to_string();
    let wrong = [("email.username", LOGIN.0), ("email.password", "wrong")];
    for (port, login) in [(refusing.port(), &wrong[..]), (nobody, &[])] {
        let service = with(&port, &[&[("email.give_up_after_s", "0")], login].concat()).await;
        service.told(&[welcome(user(), ADA)]).await;
        let admin = service.admin();
        let letter = eventually("a dead letter", async || {
            let letters = admin.get("/notifications/dead-letters").await.ok(200);
            letters["items"].get(0).cloned()
        })
        .await;
        assert_eq!(letter["name"], "email", "{letter}");
        assert_eq!(letter["error"]["class"], "smtp-unreachable", "{letter}");
        assert!(!letter.to_string().contains("ada@"), "{letter}");
    }
    assert!(refusing.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_does_not_want_by_mail_is_not_mailed() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    let ada = user();
    let unwanted =
        json!({"items": [{"kind": "order_confirmed", "in_app": true, "email": false, "webhook": true}]});
    let client = service.customer(ada);
    client.put("/notifications/preferences", &unwanted).await.ok(200);
    let (confirmed, greeting) = (notification(ada, order()), welcome(ada, ADA));
    service.told(&[confirmed.clone(), greeting.clone()]).await;
    are(&service, "delivered", 1).await;
    let mails = server.mails();
    let subjects: Vec<_> = mails.iter().map(|mail| mail.header("Subject")).collect();
    assert_eq!(subjects, [greeting.title]);
    assert_eq!(service.count("select count(*) from delivery").await, 1);
    // in the application both are there
    let told = client.get("/notifications").await.ok(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 2, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_later_is_asked_again() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    server.says_of_recipients(&["450 4.2.0 greylisted", "451 4.3.0 later"]);
    service.told(&[welcome(user(), ADA)]).await;
    assert_eq!(server.gets(1).await.len(), 1);
    are(&service, "delivered", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_does_not_exist_is_no_operators_trouble() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    server.says_of_recipients(&["550 5.1.1 <ada@example.org>: no such user"]);
    service.told(&[welcome(user(), ADA)]).await;
    are(&service, "failed", 1).await;
    let letters = service.admin().get("/notifications/dead-letters").await.ok(200);
    assert_eq!(letters["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_refused_is_a_dead_letter_without_the_address_and_can_be_replayed() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    server.says_of_data(&["554 5.7.1 spam from <ada@example.org>"; 4]);
    service.told(&[welcome(user(), ADA)]).await;
    let admin = service.admin();
    let letter = eventually("a dead letter", async || {
        let letters = admin.get("/notifications/dead-letters").await.ok(200);
        letters["items"].get(0).cloned()
    })
    .await;
    assert_eq!(letter["name"], "email", "{letter}");
    assert!(!letter.to_string().contains("ada@"), "{letter}");
    assert!(letter.to_string().contains("5.7.1"), "{letter}");
    assert!(server.mails().is_empty());
    let path = format!(
        "/notifications/dead-letters/{}/replay",
        letter["id"].as_str().unwrap()
    );
    admin.post(&path, &json!({"reason": "the relay is mended"})).await;
    assert_eq!(server.gets(1).await.len(), 1);
    are(&service, "delivered", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_waits_for_an_address_that_comes_later_and_not_for_ever() {
    let server = MailServer::start(false).await;
    let service = with(&server.port(), &[]).await;
    let ada = user();
    service.told(&[notification(ada, order())]).await;
    are(&service, "waiting", 1).await;
    service.told(&[welcome(ada, ADA)]).await;
    assert_eq!(server.gets(2).await.len(), 2);

    let service = with(&server.port(), &[("email.address_wait_s", "0")]).await;
    service.told(&[notification(user(), order())]).await;
    are(&service, "dropped", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_there_is_no_mail_to_send() {
    let service = Notifications::start().await;
    service.told(&[welcome(user(), ADA)]).await;
    assert_eq!(service.count("select count(*) from delivery").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_before_a_connection_is_secure() {
    let directory = tempfile::tempdir().unwrap();
    for (security, at_once) in [("starttls", false), ("tls", true)] {
        let (server, authority) = MailServer::secured(at_once).await;
        let ca_file = directory.path().join(format!("{security}.pem"));
        std::fs::write(&ca_file, authority).unwrap();
        let settings = [
            ("email.host", "localhost"),
            ("email.security", security),
            ("email.username", LOGIN.0),
            ("email.password", LOGIN.1),
        ];
        // nobody vouches for the server yet: no mail, and no login to overhear
        let wary = with(&server.port(), &settings).await;
        wary.told(&[welcome(user(), ADA)]).await;
        are(&wary, "waiting", 1).await;
        assert!(server.mails().is_empty());

        let trusting = [&settings[..], &[("email.ca_file", ca_file.to_str().unwrap())]].concat();
        let service = with(&server.port(), &trusting).await;
        service.told(&[welcome(user(), ADA)]).await;
        assert_eq!(server.gets(1).await[0].to, ADA);
        are(&service, "delivered", 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told_nothing_where_tls_is_asked_for() {
    let server = MailServer::start(true).await;
    let settings = [
        ("email.security", "starttls"),
        ("email.username", LOGIN.0),
        ("email.password", LOGIN.1),
    ];
    let service = with(&server.port(), &settings).await;
    service.told(&[welcome(user(), ADA)]).await;
    are(&service, "waiting", 1).await;
    assert!(server.mails().is_empty());
}
