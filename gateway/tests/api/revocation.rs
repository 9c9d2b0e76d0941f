//! Logins that ended: their access tokens stop counting at every instance. On a real broker and a real database.

use std::time::{Duration, Instant};

use chassis::auth::Role;
use chassis::clock;
use chassis::test::{TestService, claims};
use chrono::{DateTime, Utc};
use contracts::events::{OrderCreated, RevocationReason, SessionRevoked};
use contracts::{Currency, Money, OrderId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::broker::{Broker, Sent, announced};
use crate::harness::upstream::echo;
use crate::harness::{Client, Gateway};

const PATIENCE: Duration = Duration::from_secs(60);

/// A login and a token of it.
struct Login {
    session: Uuid,
    token: String,
}

fn login(gateway: &Gateway, user: UserId) -> Login {
    let claims = claims(user, Role::Customer);
    Login {
        session: claims["sid"].as_str().unwrap().parse().unwrap(),
        token: gateway.issuer.token(&claims).unwrap(),
    }
}

async fn revoke(broker: &Broker, user: UserId, session: Option<Uuid>, at: DateTime<Utc>) {
    let fact = SessionRevoked {
        user_id: user,
        session_id: session,
        revoked_at: at,
        reason: RevocationReason::Logout,
    };
    broker.deliver(&announced(fact, clock::new_id(), 1).1).await;
}

async fn status(service: &TestService, token: &str) -> u16 {
    let client = Client::new(service.url(""), Some(token.to_owned()));
    client.get("/orders").await.status.as_u16()
}

async fn refused_by_all(services: &[&TestService], token: &str) {
    let deadline = Instant::now() + PATIENCE;
    for service in services {
        while status(service, token).await != 401 {
            assert!(Instant::now() < deadline, "still let in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ended_is_refused_by_every_instance_also_by_one_that_starts_later() {
    let broker = Broker::start().await;
    let settings = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("revocations.start_wait_ms", "30000"),
        ("rate_limit.per_user_per_minute", "100000"),
        ("rate_limit.per_address_per_minute", "100000"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let other = gateway.sibling(&settings).await;
    let user = UserId::new(clock::new_id());
    let (phone, laptop) = (login(&gateway, user), login(&gateway, user));
    let stranger = login(&gateway, UserId::new(clock::new_id()));
    // verified once, so that the next time it comes from memory
    for login in [&phone, &laptop, &stranger] {
        assert_eq!(status(&other, &login.token).await, 200);
        assert_eq!(status(gateway.service(), &login.token).await, 200);
    }

    // when one login ends
    revoke(&broker, user, Some(phone.session), clock::now()).await;
    refused_by_all(&[gateway.service(), &other], &phone.token).await;
    let answer = Client::new(other.url(""), Some(phone.token.clone()))
        .get("/orders")
        .await;
    let problem = answer.problem(401, "unauthenticated");
    assert_eq!(problem["detail"], "the access token has been revoked");
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    // then the user's other login does not
    assert_eq!(status(&other, &laptop.token).await, 200);

    // when all of them end
    let now = clock::now();
    revoke(&broker, user, None, now).await;
    refused_by_all(&[gateway.service(), &other], &laptop.token).await;
    // then who logs in again, even within the same second, is let in, and others never noticed
    let mut again = claims(user, Role::Customer);
    again["iat"] = json!(now.timestamp());
    again["nbf"] = again["iat"].clone();
    let again = gateway.issuer.token(&again).unwrap();
    for service in [gateway.service(), &other] {
        assert_eq!(status(service, &again).await, 200);
        assert_eq!(status(service, &stranger.token).await, 200);
    }

    // when an instance starts anew, nobody slips in by its first request
    assert!(other.stop().await);
    let other = gateway.sibling(&settings).await;
    assert_eq!(status(&other, &phone.token).await, 401);
    assert_eq!(status(&other, &laptop.token).await, 401);
    assert_eq!(status(&other, &again).await, 200);
    assert!(other.stop().await);
    assert!(gateway.stop().await);
}

/// A logout counts within a second; a busy machine may take several. What it must not wait for takes far longer, and is shown to
/// be there still.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_does_not_wait_for_what_has_piled_up() {
    let broker = Broker::start().await;
    let settings = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("revocations.start_wait_ms", "30000"),
        ("rate_limit.per_user_per_minute", "100000"),
        ("rate_limit.per_address_per_minute", "100000"),
        // the timeline takes its time
        ("messaging.batch_max", "1"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    // given more orders than the timeline can write down soon
    let orders: Vec<_> = (0..3_000).map(|_| an_order()).collect();
    futures::future::join_all(orders.iter().map(|order| broker.deliver(order))).await;
    for _ in 0..5 {
        let user = UserId::new(clock::new_id());
        let login = login(&gateway, user);
        assert_eq!(status(gateway.service(), &login.token).await, 200);
        // when somebody logs out
        revoke(&broker, user, Some(login.session), clock::now()).await;
        // then that counts at once
        let begun = Instant::now();
        while status(gateway.service(), &login.token).await != 401 {
            assert!(
                begun.elapsed() < AT_ONCE,
                "still let in after {:?}",
                begun.elapsed()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(
        recorded(gateway.database_url()).await < 3_000,
        "there was no backlog to wait for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_made_while_no_gateway_ran_counts_from_the_first_request_on() {
    let broker = Broker::start().await;
    let settings = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("revocations.start_wait_ms", "30000"),
    ];
    let home = Gateway::before(echo()).await;
    let user = UserId::new(clock::new_id());
    let (ended, other) = (login(&home, user), login(&home, user));
    revoke(&broker, user, Some(ended.session), clock::now()).await;
    let service = home.sibling(&settings).await;
    assert_eq!(status(&service, &ended.token).await, 401);
    assert_eq!(status(&service, &other.token).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_a_start_does_not_wait_for_ever_and_says_what_it_does_not_know() {
    let settings = [("revocations.start_wait_ms", "200")];
    let gateway = Gateway::configured(echo(), &settings).await;
    assert_eq!(gateway.customer().get("/orders").await.status, 200);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = gateway.metrics().await;
        if metrics.contains("gateway_revocations_unread{source=\"topic\"} 1")
            && metrics.contains("gateway_revocations_unread{source=\"database\"} 0")
        {
            return;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_token_is_left_of_is_swept() {
    let broker = Broker::start().await;
    let settings = [
        ("kafka.brokers", broker.kafka.bootstrap()),
        ("revocations.start_wait_ms", "30000"),
        ("revocations.sweep_s", "1"),
    ];
    let gateway = Gateway::configured(echo(), &settings).await;
    let user = UserId::new(clock::new_id());
    let recent = login(&gateway, user);
    let long_ago = clock::now() - chrono::TimeDelta::days(2);
    revoke(&broker, user, None, long_ago).await;
    // the same key, so that it is heard after the other
    revoke(&broker, user, Some(recent.session), clock::now()).await;
    refused_by_all(&[gateway.service()], &recent.token).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = rows(gateway.database_url()).await;
        if rows == json!([recent.session]) {
            break;
        }
        assert!(Instant::now() < deadline, "{rows}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(gateway.stop().await);
}

/// An order as it is announced.
fn an_order() -> Sent {
    let price = Money::new(1_999, Currency::EUR);
    let placed = OrderCreated {
        order_id: OrderId::new(clock::new_id()),
        customer_id: UserId::new(clock::new_id()),
        items: Vec::new(),
        total: price,
        payment_method: "pm".to_owned(),
    };
    announced(placed, clock::new_id(), 1).1
}

/// How many events the timeline has.
async fn recorded(url: &str) -> i64 {
    use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
    #[derive(diesel::QueryableByName)]
    struct Rows {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let mut connection = AsyncPgConnection::establish(url).await.unwrap();
    let rows: Rows = diesel::sql_query("select count(*) as rows from timeline_entry")
        .get_result(&mut connection)
        .await
        .unwrap();
    rows.rows
}

async fn rows(url: &str) -> Value {
    use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
    #[derive(diesel::QueryableByName)]
    struct Rows {
        #[diesel(sql_type = diesel::sql_types::Jsonb)]
        rows: Value,
    }
    let mut connection = AsyncPgConnection::establish(url).await.unwrap();
    let rows: Rows =
        diesel::sql_query("select coalesce(jsonb_agg(session_id), '[]') as rows from session_revocation")
            .get_result(&mut connection)
            .await
            .unwrap();
    rows.rows
}
