//! A running notification service.

use chassis::test::{TestClient, TestIssuer, TestService};
use chassis::{Service, clock, database};
use contracts::{EventId, OrderId, UserId};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use messaging::{Change, Repository};
use notification::NotificationService;
use notification::domain::{Channel, Kind, Notification};
use notification::store::NotificationRepository;
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
}

impl Notifications {
    /// The service without a broker.
    pub(crate) async fn start() -> Self {
        Self::with_broker(NO_BROKER).await
    }

    /// The service as a consumer of that broker.
    pub(crate) async fn with_broker(brokers: &str) -> Self {
        let database = TestDatabase::create("notification", async |url: String| {
            database::migrate(&url.into(), NotificationService::migrations())
                .await
                .map(drop)
        })
        .await
        .unwrap();
        let issuer = TestIssuer::start().unwrap();
        let service = serve(&database, &issuer, brokers).await;
        Self {
            service,
            issuer,
            database,
        }
    }

    /// Stops the process and starts another on the same database, which remembers nothing else.
    pub(crate) async fn restarted(self, brokers: &str) -> Self {
        assert!(self.service.stop().await, "it ends in good order");
        let service = serve(&self.database, &self.issuer, brokers).await;
        Self { service, ..self }
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
        let saved = NotificationRepository.save(&mut conn, &changes).await.unwrap();
        assert_eq!(saved, changes.len());
    }
}

async fn serve(database: &TestDatabase, issuer: &TestIssuer, brokers: &str) -> TestService {
    let settings = [
        ("database.url", database.url()),
        ("database.pool_size", "4"),
        ("kafka.brokers", brokers),
        ("token.jwks_url", &issuer.jwks_url()),
    ];
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
