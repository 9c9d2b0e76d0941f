//! A running payment service.

use std::time::{Duration, Instant};

use chassis::test::{TestClient, TestIssuer, TestService};
use chassis::{Service, clock, database};
use contracts::events::{CancellationReason, OrderCancelled, OrderCreated, OrderLine};
use contracts::{Context, Currency, Fact, Money, OrderId, PaymentId, Reaction, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use messaging::command::{self, Done};
use messaging::{Change, Repository};
use payment::PaymentService;
use payment::domain::{
    Payment, PaymentAction, Provider, Status, on_order_cancelled, on_order_cancelled_at, on_order_created,
    on_order_created_at,
};
use payment::store::PaymentRepository;
use serde_json::Value;
use stack::postgres::{TestDatabase, connect};
use uuid::Uuid;

/// How long anything may take to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens there: the broker is down, and nothing but the announcing may mind.
const NO_BROKER: &str = "127.0.0.1:1";
/// What every order costs.
pub(crate) const PRICE: Money = Money::new(1_999, Currency::EUR);

/// The service, with a database and token keys of its own.
pub(crate) struct Payments {
    pub(crate) service: TestService,
    pub(crate) issuer: TestIssuer,
    database: TestDatabase,
}

impl Payments {
    /// The service without a broker.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The service with settings besides its own.
    pub(crate) async fn with(more: &[(&str, &str)]) -> Self {
        let database = database().await;
        let issuer = TestIssuer::start().unwrap();
        let jwks_url = issuer.jwks_url();
        let mut settings = vec![
            ("database.url", database.url()),
            ("database.pool_size", "8"),
            ("kafka.brokers", NO_BROKER),
            ("token.jwks_url", &jwks_url),
            ("messaging.dispatch_poll_ms", "20"),
            ("messaging.retry_delays_ms", "20,20,20"),
            ("messaging.obsolete_check_ms", "50"),
        ];
        settings.extend(more);
        let service = TestService::start::<PaymentService>(&settings).await.unwrap();
        Self {
            service,
            issuer,
            database,
        }
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

    /// The rows that a query finds, each as a JSON object.
    pub(crate) async fn rows(&self, query: &str) -> Vec<Value> {
        rows(&self.database, query).await
    }

    /// Does something to the database behind the service's back.
    pub(crate) async fn run(&self, statements: &str) {
        let client = connect(self.database.url()).await.unwrap();
        client.batch_execute(statements).await.unwrap();
    }

    /// Locks a table for as long as the answer lives.
    pub(crate) async fn lock(&self, table: &str) -> impl Sized + use<> {
        let client = connect(self.database.url()).await.unwrap();
        let lock = format!("begin; lock table {table} in access exclusive mode");
        client.batch_execute(&lock).await.unwrap();
        client
    }

    /// What waits for the broker about this order: topic and number of each event, in order.
    pub(crate) async fn announced(&self, order: OrderId) -> Vec<(String, u64)> {
        let rows = self
            .rows(&format!(
                "select topic, (select header->>1 from jsonb_array_elements(headers) header
                                where header->>0 = 'ce_sequence') as sequence
                 from outbox where convert_from(key, 'UTF8') = '{order}' order by id"
            ))
            .await;
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| {
                (
                    text(row, "topic"),
                    text(row, "sequence").parse().unwrap_or_default(),
                )
            })
            .collect()
    }

    /// What the provider's books say of the order's charge; none when it has never been asked for one.
    pub(crate) async fn charge_of(&self, order: OrderId) -> Option<Value> {
        charge_of(&self.database, &order.to_string()).await
    }

    /// Stores payments as they are, in this order.
    pub(crate) async fn stored(&self, payments: &[Payment]) {
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        let change = |state: &Payment| Change {
            id: state.order_id.uuid(),
            version: 1,
            state: state.clone(),
        };
        let changes: Vec<_> = payments.iter().map(change).collect();
        let saved = PaymentRepository.save(&mut conn, &changes).await.unwrap();
        assert_eq!(saved, changes.len());
    }

    /// Lets the service hear of a placed order, as the kernel does. False when that changed nothing.
    pub(crate) async fn placed(&self, order: &Order) -> bool {
        self.hears(on_order_created, order.placed()).await
    }

    /// Lets the service hear of a cancelled order, as the kernel does. False when that changed nothing.
    pub(crate) async fn cancelled(&self, order: &Order) -> bool {
        self.hears(on_order_cancelled, order.cancelled()).await
    }

    /// The same, where new payments go through Stripe.
    pub(crate) async fn placed_at_stripe(&self, order: &Order) -> bool {
        self.hears(
            |payment, order, context| on_order_created_at(Provider::Stripe, payment, order, context),
            order.placed(),
        )
        .await
    }

    /// The same, where new payments go through Stripe.
    pub(crate) async fn cancelled_at_stripe(&self, order: &Order) -> bool {
        self.hears(
            |payment, order, context| on_order_cancelled_at(Provider::Stripe, payment, order, context),
            order.cancelled(),
        )
        .await
    }

    async fn hears<F: Fact>(
        &self,
        reaction: fn(Option<Payment>, &F, &Context) -> Reaction<Payment, PaymentAction>,
        fact: F,
    ) -> bool {
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        let id = fact.key();
        let context = Context {
            now: clock::now(),
            fresh_id: clock::new_id(),
            cause_id: clock::new_id(),
            correlation_id: id,
        };
        let decide = |payment, context: &Context| Ok(reaction(payment, &fact, context)?);
        let done = conn
            .transaction::<_, anyhow::Error, _>(async |conn| {
                command::execute(&PaymentRepository, conn, "payment", id, &context, decide).await
            })
            .await;
        matches!(done.unwrap(), Done::Moved(_))
    }

    /// The order's payment, once it has this status.
    pub(crate) async fn becomes(&self, order: &Order, status: &str) -> Value {
        let client = self.customer(order.customer);
        let path = format!("/payments?order_id={}", order.id);
        until(&format!("the payment is {status}"), async || {
            let page = client.get(&path).await.ok(200);
            let payment = page["items"].get(0)?.clone();
            (payment["status"] == status).then_some(payment)
        })
        .await
    }

    /// Waits until no action is left to perform.
    pub(crate) async fn at_rest(&self) {
        until("no work is pending", async || {
            let pending = self.rows("select id from work where state = 'pending'").await;
            pending.is_empty().then_some(())
        })
        .await;
    }
}

/// A migrated database.
pub(crate) async fn database() -> TestDatabase {
    TestDatabase::create("payment", async |url: String| {
        database::migrate(&url.into(), PaymentService::migrations())
            .await
            .map(drop)
    })
    .await
    .unwrap()
}

/// The rows that a query finds, each as a JSON object.
pub(crate) async fn rows(database: &TestDatabase, query: &str) -> Vec<Value> {
    let client = connect(database.url()).await.unwrap();
    let query = format!("select to_jsonb(found) from ({query}) found");
    let rows = client.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What the provider's books say of the charge under `key`.
pub(crate) async fn charge_of(database: &TestDatabase, key: &str) -> Option<Value> {
    let query = format!("select * from simulator.charge where idempotency_key = '{key}'");
    rows(database, &query).await.pop()
}

/// Asks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An order that somebody placed.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) customer: UserId,
    pub(crate) total: Money,
    pub(crate) method: String,
}

impl Order {
    /// Of somebody new, to be paid with `method`.
    pub(crate) fn by(method: &str) -> Self {
        Self {
            id: OrderId::new(clock::new_id()),
            customer: user(),
            total: PRICE,
            method: method.to_owned(),
        }
    }

    pub(crate) fn placed(&self) -> OrderCreated {
        OrderCreated {
            order_id: self.id,
            customer_id: self.customer,
            items: vec![OrderLine {
                sku: "CABLE-USBC".to_owned(),
                name: "USB-C cable, 2 m".to_owned(),
                quantity: 1,
                unit_price: self.total,
            }],
            total: self.total,
            payment_method: self.method.clone(),
        }
    }

    pub(crate) fn cancelled(&self) -> OrderCancelled {
        OrderCancelled {
            order_id: self.id,
            customer_id: self.customer,
            total: self.total,
            reason: CancellationReason::CustomerRequest,
            code: None,
        }
    }
}

/// A payment as it may lie in the database.
pub(crate) fn payment(customer: UserId, status: Status) -> Payment {
    Payment {
        id: PaymentId::new(clock::new_id()),
        order_id: OrderId::new(clock::new_id()),
        customer_id: customer,
        amount: PRICE,
        payment_method: "pm_card_visa".to_owned(),
        corrections: Vec::new(),
        provider: "simulated".to_owned(),
        status,
        attempts: 1,
        announced: 1,
        created_at: clock::now(),
        updated_at: clock::now(),
    }
}

/// A payment that has been taken.
pub(crate) fn completed(customer: UserId) -> Payment {
    let reference = format!("sim_ch_{}", clock::new_id().simple());
    payment(customer, Status::Completed { reference })
}

/// Somebody new.
pub(crate) fn user() -> UserId {
    UserId::new(clock::new_id())
}

/// The ids of a page's items, in its order.
pub(crate) fn ids(page: &Value) -> Vec<Uuid> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// The ids that a list shows, the newest first.
pub(crate) fn newest_first(payments: &[Payment]) -> Vec<Uuid> {
    let mut ids: Vec<_> = payments.iter().map(|payment| payment.id.uuid()).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    ids
}
