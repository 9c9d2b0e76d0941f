//! How services stand, as operators see it: no field of it is hard-coded.

use std::time::Duration;

use acceptance::customer::Customer;
use acceptance::records;
use acceptance::{PATIENCE, turn, until};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Service, Stack};

/// The services that operators ask, with their names in paths.
const ASKED: [(Service, &str); 4] = [
    (Service::Auth, "auth"),
    (Service::Order, "orders"),
    (Service::Payment, "payments"),
    (Service::Notification, "notifications"),
];

/// What only operators bring about, who rest here: `gateway/tests/api/constants.rs` has them act.
const OPERATORS: [&str; 4] = [
    "totals.discarded",
    "totals.replayed",
    "totals.replaying",
    "totals.superseded",
];

/// All that was answered, by the schema of the answers.
#[derive(Default)]
struct Seen {
    status: Vec<Value>,
    stats: Vec<Value>,
    health: Vec<Value>,
}

/// Somebody who asks each service at its own port: neither the gateway's limits nor its outages are meant.
struct Desk {
    http: reqwest::Client,
    token: String,
}

impl Desk {
    async fn ask(&self, stack: &Stack, (service, prefix): (Service, &str), what: &str) -> Option<Value> {
        let url = format!("{}/{prefix}/events/{what}", stack.service_url(service));
        let answer = self.http.get(&url).bearer_auth(&self.token).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// Asks everybody everything once, and answers with how `service` stands.
    async fn look(&self, stack: &Stack, seen: &mut Seen, service: Service) -> Value {
        let mut asked = Value::Null;
        for of in ASKED {
            // statistics are in the database: they may be away
            seen.stats.extend(self.ask(stack, of, "stats").await);
            let status = self.ask(stack, of, "status").await;
            if of.0 == service {
                asked = status.clone().unwrap_or_default();
            }
            seen.status.extend(status);
        }
        seen.health.extend(stack.health().await);
        asked
    }

    async fn until(
        &self,
        stack: &Stack,
        seen: &mut Seen,
        service: Service,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) {
        until(what, PATIENCE, async || {
            let status = self.look(stack, seen, service).await;
            is(&status).then_some(())
        })
        .await;
    }
}

/// Lets a topic take nothing that is larger.
async fn limit(stack: &Stack, topic: &str, bytes: &str) {
    let admin: AdminClient<DefaultClientContext> = stack::kafka::client(stack.brokers()).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
    let changed = admin
        .alter_configs([&change], &AdminOptions::new())
        .await
        .unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
}

#[tokio::test]
async fn of_how_services_stand_no_field_is_constant() {
    let _turn = turn().await;
    let builder = Stack::builder()
        .retry_delays(&[Duration::from_millis(200)])
        .env("QUADRILLE__MESSAGING__HEALTH_GRACE_MS", "1000")
        .env("QUADRILLE__MESSAGING__OUTBOX_OVERDUE_MS", "1000")
        .service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_S", "3")
        .service_env(Service::Order, "QUADRILLE__SAGA__DEADLINE_OPERATOR_S", "1");
    let mut stack = Box::pin(builder.build()).await.unwrap();
    let (customer, admin) = (Customer::register(&stack).await, Customer::admin(&stack).await);
    let desk = Desk {
        http: reqwest::Client::new(),
        token: admin.token().to_owned(),
    };
    let mut seen = Seen::default();
    desk.look(&stack, &mut seen, Service::Order).await;

    // what is delivered again
    let order = customer.place("pm_card_visa").await;
    customer.sees(order, "confirmed").await;
    let facts = records::all(stack.brokers()).await;
    records::publish_again(stack.brokers(), &facts, 1).await;

    // a provider that fails for everybody, until their orders' time is up
    let error = json!({"mode": "error", "remaining": null});
    admin
        .send(Method::PUT, "/payments/simulator", Some(&error))
        .await
        .expect(200);
    for _order in 0..12 {
        customer.place("pm_card_visa").await;
    }
    let is = |member: &'static str, value: &'static str| move |status: &Value| status[member] == value;
    desk.until(
        &stack,
        &mut seen,
        Service::Payment,
        "the breaker to open",
        is("breaker", "open"),
    )
    .await;
    admin
        .send(Method::DELETE, "/payments/simulator", None)
        .await
        .expect(204);
    let given_up = |status: &Value| status["dead_letters"].as_i64() > Some(0);
    customer.place("pm_provider_error").await;
    desk.until(
        &stack,
        &mut seen,
        Service::Payment,
        "a charge to be given up",
        given_up,
    )
    .await;

    // a fact that Kafka refuses
    limit(&stack, "order.cancelled", "100").await;
    customer.cancel(order).await.expect(202);
    desk.until(
        &stack,
        &mut seen,
        Service::Order,
        "a refused publication",
        given_up,
    )
    .await;
    limit(&stack, "order.cancelled", "1000000").await;

    // a consumer that is held up: what it has not read might be what its order waits for
    let lock = stack::postgres::connect(&stack.admin_database_url(Service::Order))
        .await
        .unwrap();
    lock.batch_execute("begin; lock table processed_event in access exclusive mode")
        .await
        .unwrap();
    customer.place("pm_card_visa").await;
    desk.until(
        &stack,
        &mut seen,
        Service::Order,
        "an order that is not judged unread",
        |status| status["held_back"]["reason"] == "unread",
    )
    .await;
    drop(lock);
    desk.until(&stack, &mut seen, Service::Order, "it to be judged", |status| {
        status["held_back"].is_null()
    })
    .await;

    // no broker: what is placed meanwhile cannot be judged, and in the end somebody must decide
    stack.kafka().stop().await;
    customer.place("pm_card_visa").await;
    customer.place("pm_card_visa").await;
    desk.until(
        &stack,
        &mut seen,
        Service::Order,
        "orders that need an operator",
        |status| status["held_back"]["need_operator"].as_i64() > Some(1) && status["broker"] == "down",
    )
    .await;
    stack.kafka().restart().await.unwrap();
    desk.until(
        &stack,
        &mut seen,
        Service::Order,
        "nothing to be held back",
        |status| status["held_back"].is_null() && status["broker"] == "up",
    )
    .await;

    // no database, while something comes that nobody has seen before
    stack.postgres().stop().await;
    let producer: FutureProducer = stack::kafka::client(stack.brokers()).create().unwrap();
    let garbage = FutureRecord::to("payment.completed")
        .key("none")
        .payload("no JSON");
    producer.send(garbage, Timeout::Never).await.unwrap();
    desk.until(
        &stack,
        &mut seen,
        Service::Order,
        "the consumer to wait",
        |status| status["consumption"] == "paused" && status["database"] == "down",
    )
    .await;
    until("/health to say so", PATIENCE, async || {
        desk.look(&stack, &mut seen, Service::Order).await;
        let order = &seen.health.last()?["services"]["order"];
        (order["database"] == "down" && order["relay"]["role"] != "leader").then_some(())
    })
    .await;
    stack.postgres().restart().await.unwrap();
    stack.wait_until_healthy(PATIENCE).await.unwrap();
    desk.look(&stack, &mut seen, Service::Order).await;

    let order_document = include_str!("../../docs/contracts/openapi/order.json");
    let gateway_document = include_str!("../../docs/contracts/openapi/gateway.json");
    for (document, schema, answers, expected) in [
        (order_document, "Status", &seen.status, &[][..]),
        (order_document, "Stats", &seen.stats, &OPERATORS),
        (gateway_document, "PlatformHealth", &seen.health, &[]),
    ] {
        let document: Value = serde_json::from_str(document).unwrap();
        let constant = chassis::test::constants(&document, schema, answers);
        assert_eq!(constant, expected, "{schema}: {:#}", answers.last().unwrap());
    }
}
