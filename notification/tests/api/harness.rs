//! A running notification service.

use std::time::{Duration, Instant};

use chassis::test::{TestClient, TestIssuer, TestService};
use chassis::{Service, clock, database};
use contracts::{Currency, EventId, Money, OrderId, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use messaging::{Change, Repository};
use notification::NotificationService;
use notification::domain::{Channel, Details, Kind, Notification};
use notification::store::{Channels, NotificationRepository};
use serde_json::Value;
use stack::postgres::TestDatabase;
use uuid::Uuid;

/// Nobody listens there: the broker is down, and no endpoint may mind.
const NO_BROKER: &str = "127.0.0.1:1";

/// The service, with a database and token keys of its own.
pub(crate) struct Notifications {
    pub(crate) service: TestService,
    pub(crate) issuer: TestIssuer,
    pub(crate) database: TestDatabase,
    settings: Vec<(String, String)>,
}

impl Notifications {
    /// The service without a broker.
    pub(crate) async fn start() -> Self {
        Self::with_broker(NO_BROKER).await
    }

    /// The service without a broker, with these settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_both(NO_BROKER, settings).await
    }

    /// The service as a consumer of that broker.
    pub(crate) async fn with_broker(brokers: &str) -> Self {
        Self::with_both(brokers, &[]).await
    }

    /// The service as a consumer of that broker, with these settings.
    pub(crate) async fn with_both(brokers: &str, settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create("notification", async |url: String| {
            database::migrate(&url.into(), NotificationService::migrations())
                .await
                .map(drop)
        })
        .await
        .unwrap();
        let issuer = TestIssuer::start().unwrap();
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let service = serve(&database, &issuer, brokers, &settings).await;
        Self {
            service,
            issuer,
            database,
            settings,
        }
    }

    /// Stops the process and starts another on the same database, which remembers nothing else.
    pub(crate) async fn restarted(self, brokers: &str) -> Self {
        assert!(self.service.stop().await, "it ends in good order");
        let service = serve(&self.database, &self.issuer, brokers, &self.settings).await;
        Self { service, ..self }
    }

    /// Another process on the same database, with settings of its own.
    pub(crate) async fn replica(&self, settings: &[(&str, &str)]) -> TestService {
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        serve(&self.database, &self.issuer, NO_BROKER, &settings).await
    }

    /// What a query of one number says.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            count: i64,
        }
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        let found: Count = diesel_async::RunQueryDsl::get_result(diesel::sql_query(query), &mut conn)
            .await
            .unwrap();
        found.count
    }

    /// A client with this customer's token.
    pub(crate) fn customer(&self, user: UserId) -> TestClient {
        self.service.client(Some(self.issuer.customer(user).unwrap()))
    }

    /// A client with an admin's token.
    pub(crate) fn admin(&self) -> TestClient {
        self.service.client(Some(self.issuer.admin(user()).unwrap()))
    }

    /// Stores what has been told, as the kernel does, in this order.
    pub(crate) async fn told(&self, notifications: &[Notification]) {
        let mut conn = AsyncPgConnection::establish(self.database.url()).await.unwrap();
        let change = |state: &Notification| Change {
            id: state.id.uuid(),
            version: 1,
            state: state.clone(),
        };
        let changes: Vec<_> = notifications.iter().map(change).collect();
        let channels = Channels {
            email: self.settings.iter().any(|(key, _)| key == "email.host"),
            disable_after: 2,
        };
        let repository = NotificationRepository(channels);
        conn.transaction::<_, diesel::result::Error, _>(async |conn| {
            let saved = repository.save(conn, &changes).await?;
            assert_eq!(saved, changes.len());
            Ok(())
        })
        .await
        .unwrap();
    }
}

async fn serve(
    database: &TestDatabase,
    issuer: &TestIssuer,
    brokers: &str,
    more: &[(String, String)],
) -> TestService {
    let jwks_url = issuer.jwks_url();
    let mut settings = vec![
        ("database.url", database.url()),
        ("database.pool_size", "8"),
        ("kafka.brokers", brokers),
        ("token.jwks_url", &jwks_url),
        ("messaging.dispatch_poll_ms", "20"),
        ("deliveries.poll_ms", "20"),
        ("stream.poll_ms", "20"),
        ("webhooks.disable_after", "2"),
        ("webhooks.retry_delays_ms", "20,20"),
        ("webhooks.busy_wait_ms", "20"),
        ("email.retry_wait_ms", "20"),
    ];
    settings.extend(more.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    TestService::start::<NotificationService>(&settings)
        .await
        .unwrap()
}

/// Somebody new.
pub(crate) fn user() -> UserId {
    UserId::new(clock::new_id())
}

/// An order nobody has heard of.
pub(crate) fn order() -> OrderId {
    OrderId::new(clock::new_id())
}

/// A notification of a fact that has just happened.
pub(crate) fn notification(user: UserId, order: OrderId) -> Notification {
    let id = clock::new_id();
    Notification {
        id: EventId::new(id),
        user_id: user,
        order_id: Some(order),
        kind: Kind::OrderConfirmed,
        channel: Channel::InApp,
        title: "Order confirmed".to_owned(),
        body: format!("It is {id}."),
        created_at: clock::now(),
        address: None,
        details: Details {
            status: Some("confirmed".to_owned()),
            amount: Some(Money::new(1_999, Currency::EUR)),
            ..Details::default()
        },
    }
}

/// How long anything may take to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Notifications of facts that happened one after the other.
pub(crate) fn notifications(user: UserId, order: OrderId, count: usize) -> Vec<Notification> {
    let mut all: Vec<_> = (0..count).map(|_| notification(user, order)).collect();
    all.sort_by_key(|notification| notification.id);
    all
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
pub(crate) fn newest_first(notifications: &[Notification]) -> Vec<Uuid> {
    notifications.iter().rev().map(|told| told.id.uuid()).collect()
}
