//! A gateway with upstreams of the test's own.

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod token;
pub(crate) mod upstream;

use chassis::test::{TestIssuer, TestService};
use gateway::GatewayService;
use stack::postgres::TestDatabase;

pub(crate) use client::{Answer, Client};
pub(crate) use upstream::{Behaviour, Upstream};

/// A running gateway.
pub(crate) struct Gateway {
    service: TestService,
    database: TestDatabase,
    pub(crate) issuer: TestIssuer,
    /// Stands for all four services.
    pub(crate) upstream: Upstream,
}

impl Gateway {
    /// A gateway whose services all behave in the same way.
    pub(crate) async fn before(behaviour: Behaviour) -> Self {
        Self::configured(behaviour, &[]).await
    }

    /// The same with settings that differ from the defaults.
    pub(crate) async fn configured(behaviour: Behaviour, settings: &[(&str, &str)]) -> Self {
        let upstream = Upstream::start(behaviour);
        let database = TestDatabase::create("gateway", async |url: String| {
            chassis::database::migrate(&url.into(), gateway_migrations())
                .await
                .map(drop)
        })
        .await
        .unwrap();
        let url = upstream.url("");
        let issuer = TestIssuer::start().unwrap();
        let jwks_url = issuer.jwks_url();
        let defaults = defaults(database.url(), &jwks_url, &url);
        let all: Vec<_> = defaults.iter().chain(settings).copied().collect();
        let service = TestService::start::<GatewayService>(&all).await.unwrap();
        Self {
            service,
            database,
            issuer,
            upstream,
        }
    }

    /// Another instance before the same services, with the same database.
    pub(crate) async fn sibling(&self, settings: &[(&str, &str)]) -> TestService {
        let url = self.upstream.url("");
        let jwks_url = self.issuer.jwks_url();
        let defaults = defaults(self.database.url(), &jwks_url, &url);
        let all: Vec<_> = defaults.iter().chain(settings).copied().collect();
        TestService::start::<GatewayService>(&all).await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.service.url(path)
    }

    /// The same settings for a process, as its environment.
    pub(crate) fn settings(&self, settings: &[(&str, &str)]) -> Vec<(String, String)> {
        let url = self.upstream.url("");
        let jwks_url = self.issuer.jwks_url();
        let defaults = defaults(self.database.url(), &jwks_url, &url);
        let all = defaults.iter().chain(settings);
        all.map(|(key, value)| {
            let variable = format!("QUADRILLE__{}", key.replace('.', "__").to_ascii_uppercase());
            (variable, (*value).to_owned())
        })
        .collect()
    }

    pub(crate) fn service(&self) -> &TestService {
        &self.service
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.service.address()
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database.url()
    }

    /// What Prometheus would read.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.service.management_address());
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    /// What a counter has come to, over all series that begin so.
    pub(crate) async fn counted(&self, series: &str) -> u64 {
        let metrics = self.metrics().await;
        let lines = metrics.lines().filter(|line| line.starts_with(series));
        let counts = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        counts.sum()
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::new(self.url(""), None)
    }

    /// A client with a customer's token.
    pub(crate) fn customer(&self) -> Client {
        self.user(token::CUSTOMER)
    }

    pub(crate) fn user(&self, id: &str) -> Client {
        Client::new(self.url(""), Some(self.issuer.customer(token::user(id)).unwrap()))
    }

    pub(crate) fn admin(&self) -> Client {
        Client::new(
            self.url(""),
            Some(self.issuer.admin(token::user(token::ADMIN)).unwrap()),
        )
    }

    pub(crate) async fn stop(self) -> bool {
        self.service.stop().await
    }
}

fn defaults<'a>(database: &'a str, jwks_url: &'a str, upstream: &'a str) -> [(&'static str, &'a str); 10] {
    [
        ("database.url", database),
        ("database.pool_size", "2"),
        // nobody listens there: the broker is down, and nothing here may mind
        ("kafka.brokers", "127.0.0.1:1"),
        ("revocations.start_wait_ms", "0"),
        ("token.jwks_url", jwks_url),
        ("upstreams.auth", upstream),
        ("upstreams.order", upstream),
        ("upstreams.payment", upstream),
        ("upstreams.notification", upstream),
        // what fails on purpose need not be read; a panic must be
        (
            "log.filter",
            "error,actix_http=off,librdkafka=off,rdkafka=off,chassis::problem=off",
        ),
    ]
}

fn gateway_migrations() -> diesel_migrations::EmbeddedMigrations {
    <GatewayService as chassis::Service>::migrations()
}
