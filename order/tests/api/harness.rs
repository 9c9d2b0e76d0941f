//! A running order service.

use chassis::test::{Answer, TestClient, TestIssuer, TestService};
use chassis::{Service, clock, database};
use contracts::events::{PaymentCompleted, PaymentRefunded};
use contracts::{Context, Currency, Fact, Money, OrderId, PaymentId, Reaction, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use messaging::command::{self, Done};
use order::OrderService;
use order::domain::{Order, on_payment_completed, on_payment_refunded};
use order::store::OrderRepository;
use serde_json::{Value, json};
use stack::postgres::{TestDatabase, connect};
use uuid::Uuid;

/// Connections that requests have at most.
pub(crate) const POOL_SIZE: usize = 6;

/// The service, with a database and token keys of its own. Nobody listens where its broker should be unless the settings
/// name one: most of what is asked of it here it does without.
pub(crate) struct Orders {
    pub(crate) service: TestService,
    pub(crate) issuer: TestIssuer,
    database: TestDatabase,
}

/// Prices up to what 64 bits hold.
pub(crate) const ANY_PRICE: (&str, &str) = ("catalogue.price_max_minor", "9223372036854775807");

impl Orders {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings besides those that all tests have.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create("order", async |url: String| {
            database::migrate(&url.into(), OrderService::migrations())
                .await
                .map(drop)
        })
        .await
        .unwrap();
        let issuer = TestIssuer::start().unwrap();
        let service = start(&database, &issuer, settings).await;
        Self {
            service,
            issuer,
            database,
        }
    }

    /// One more process on the same database.
    pub(crate) async fn replica(&self, settings: &[(&str, &str)]) -> TestService {
        start(&self.database, &self.issuer, settings).await
    }

    /// Changes rows behind the service's back; returns how many.
    pub(crate) async fn tamper(&self, statement: &str) -> u64 {
        let client = connect(self.database.url()).await.unwrap();
        client.execute(statement, &[]).await.unwrap()
    }

    /// Runs statements behind the service's back, on a connection that stands as they left it until it is dropped.
    pub(crate) async fn standing(&self, statements: &str) -> impl Sized + use<> {
        let client = connect(self.database.url()).await.unwrap();
        client.batch_execute(statements).await.unwrap();
        client
    }

    /// A connection behind the service's back.
    pub(crate) async fn connection(&self) -> AsyncPgConnection {
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        conn.batch_execute("set statement_timeout = '10s'").await.unwrap();
        conn
    }

    pub(crate) fn anonymous(&self) -> TestClient {
        self.service.client(None)
    }

    /// A client with this customer's token.
    pub(crate) fn customer(&self, user: UserId) -> TestClient {
        self.service.client(Some(self.issuer.customer(user).unwrap()))
    }

    /// A client with the token of somebody new.
    pub(crate) fn somebody(&self) -> TestClient {
        self.customer(user())
    }

    pub(crate) fn admin(&self) -> TestClient {
        self.service.client(Some(self.issuer.admin(user()).unwrap()))
    }

    /// Adds or changes a product.
    pub(crate) async fn product(&self, sku: &str, amount_minor: i64, currency: &str, active: bool) {
        let unit_price = json!({"amount_minor": amount_minor, "currency": currency});
        let product = json!({"name": sku, "unit_price": unit_price, "active": active});
        let answer = self.admin().put(&format!("/products/{sku}"), &product).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }

    /// The rows that a query finds, each as a JSON object.
    pub(crate) async fn rows(&self, query: &str) -> Vec<Value> {
        let client = connect(self.database.url()).await.unwrap();
        let query = format!("select to_jsonb(found) from ({query}) found");
        let rows = client.query(&query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The rows that wait for the broker, the oldest first.
    pub(crate) async fn outbox(&self) -> Vec<Value> {
        self.rows(
            "select topic, convert_from(key, 'UTF8') as key, convert_from(payload, 'UTF8')::jsonb as payload,
                    (select jsonb_object_agg(header->>0, header->1) from jsonb_array_elements(headers) header)
                        as headers
             from outbox order by id",
        )
        .await
    }

    /// Asserts how many rows there are of each kind that placing an order writes.
    #[track_caller]
    pub(crate) fn stored(&self, orders: i64, outbox: i64, keys: i64) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let found = self
                .rows(
                    "select (select count(*) from orders) as orders, (select count(*) from outbox) as outbox,
                            (select count(*) from idempotency_key) as keys",
                )
                .await;
            let expected = json!({"orders": orders, "outbox": outbox, "keys": keys});
            assert_eq!(found, [expected], "at {place}");
        }
    }

    /// Lets the order hear of its payment, as the kernel does.
    pub(crate) async fn paid(&self, order: &Value) -> PaymentId {
        let fact = payment_of(order);
        let payment_id = fact.payment_id;
        self.hears(on_payment_completed, fact).await;
        payment_id
    }

    /// Lets the order hear that the money is back.
    pub(crate) async fn refunded(&self, order: &Value, payment_id: PaymentId) {
        let fact = PaymentRefunded {
            payment_id,
            order_id: id_of(order),
            customer_id: order["customer_id"].as_str().unwrap().parse().unwrap(),
            amount: total_of(order),
            refund_reference: "re_1".to_owned(),
        };
        self.hears(on_payment_refunded, fact).await;
    }

    async fn hears<F: Fact>(&self, reaction: fn(Option<Order>, &F, &Context) -> Reaction<Order>, fact: F) {
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        let id = fact.key();
        let context = Context {
            now: clock::now(),
            fresh_id: clock::new_id(),
            cause_id: clock::new_id(),
            correlation_id: id,
        };
        let decide = |order, context: &Context| Ok(reaction(order, &fact, context)?);
        let done = conn
            .transaction::<_, anyhow::Error, _>(async |conn| {
                command::execute(&OrderRepository, conn, "order", id, &context, decide).await
            })
            .await;
        assert!(matches!(done.unwrap(), Done::Moved(_)));
    }
}

async fn start(database: &TestDatabase, issuer: &TestIssuer, settings: &[(&str, &str)]) -> TestService {
    let (jwks_url, pool_size) = (issuer.jwks_url(), POOL_SIZE.to_string());
    let common = [
        ("database.url", database.url()),
        ("database.pool_size", &pool_size),
        ("kafka.brokers", "127.0.0.1:1"),
        ("token.jwks_url", &jwks_url),
    ];
    let settings = [&common, settings].concat();
    TestService::start::<OrderService>(&settings).await.unwrap()
}

/// The completed payment of an order.
pub(crate) fn payment_of(order: &Value) -> PaymentCompleted {
    PaymentCompleted {
        payment_id: PaymentId::new(clock::new_id()),
        order_id: id_of(order),
        customer_id: order["customer_id"].as_str().unwrap().parse().unwrap(),
        amount: total_of(order),
        provider: "simulated".to_owned(),
        provider_reference: "ch_1".to_owned(),
    }
}

/// Somebody new.
pub(crate) fn user() -> UserId {
    UserId::new(clock::new_id())
}

/// A body that is good: one cable.
pub(crate) fn one_cable() -> Value {
    json!({"items": [{"sku": "CABLE-USBC", "quantity": 1}], "payment_method": "pm_card_visa"})
}

/// Places an order for one cable.
pub(crate) async fn place(client: &TestClient) -> Value {
    client.post("/orders", &one_cable()).await.ok(202)
}

pub(crate) async fn cancel(client: &TestClient, order: &Value) -> Answer {
    Answer::to(client.request(reqwest::Method::POST, &format!("{}/cancel", path_of(order)))).await
}

/// Where an order is.
pub(crate) fn path_of(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().unwrap())
}

pub(crate) fn id_of(order: &Value) -> OrderId {
    let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
    OrderId::new(id)
}

fn total_of(order: &Value) -> Money {
    Money::new(order["total"]["amount_minor"].as_i64().unwrap(), Currency::EUR)
}

/// The value at `name` of each item of a page.
pub(crate) fn each<'a>(page: &'a Value, name: &str) -> Vec<&'a str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item[name].as_str().unwrap()).collect()
}
