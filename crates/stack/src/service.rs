//! The five services: their names, their ports, and the settings that connect them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// One of the platform's deployables. Its name is that of its program, its database and its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The only entry from outside.
    Gateway,
    /// Accounts, logins and signing keys.
    Auth,
    /// Catalogue and orders.
    Order,
    /// Payments and refunds.
    Payment,
    /// Notifications to customers.
    Notification,
}

impl Service {
    /// All of them, in the order of their ports.
    pub const ALL: [Self; 5] = [
        Self::Gateway,
        Self::Auth,
        Self::Order,
        Self::Payment,
        Self::Notification,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Auth => "auth",
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Notification => "notification",
        }
    }

    fn offset(self) -> u16 {
        match self {
            Self::Gateway => 0,
            Self::Auth => 1,
            Self::Order => 2,
            Self::Payment => 3,
            Self::Notification => 4,
        }
    }

    /// Its ports when the gateway listens on `base`.
    pub fn ports(self, base: u16) -> Ports {
        let http = base.saturating_add(self.offset());
        Ports {
            http,
            management: http.saturating_add(100),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| Error::Invalid(format!("no service is called {name}")))
    }
}

/// Ports of one service process on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Its HTTP interface.
    pub http: u16,
    /// `/livez`, `/readyz` and `/metrics`.
    pub management: u16,
}

impl Ports {
    /// URL of the HTTP interface.
    pub fn url(self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// URL of the management port.
    pub fn management_url(self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }
}

/// Settings of one service process, as environment variables.
pub(crate) fn environment(
    service: Service,
    ports: Ports,
    first: &BTreeMap<Service, Ports>,
    database_url: &str,
    bootstrap: &str,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |key: &str, value: String| env.insert(format!("QUADRILLE__{key}"), value);
    set("HTTP__PORT", ports.http.to_string());
    set("MANAGEMENT__PORT", ports.management.to_string());
    set("DATABASE__URL", database_url.to_owned());
    set("KAFKA__BROKERS", bootstrap.to_owned());
    // there is no load balancer that must notice, and a stop waits for nothing
    set("HTTP__DRAIN_DELAY_MS", "0".to_owned());
    for (other, ports) in first {
        if *other == Service::Auth {
            set(
                "TOKEN__JWKS_URL",
                format!("{}/.well-known/jwks.json", ports.url()),
            );
        }
        if service == Service::Gateway && *other != Service::Gateway {
            set(
                &format!("UPSTREAMS__{}", other.name().to_uppercase()),
                ports.url(),
            );
        }
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_ports_are_those_of_the_documentation() {
        let ports: Vec<(u16, u16)> = Service::ALL
            .map(|service| (service.ports(5000).http, service.ports(5000).management))
            .to_vec();
        assert_eq!(
            ports,
            [
                (5000, 5100),
                (5001, 5101),
                (5002, 5102),
                (5003, 5103),
                (5004, 5104)
            ]
        );
    }

    #[test]
    fn only_the_gateway_knows_the_other_services() {
        let first = Service::ALL.map(|service| (service, service.ports(7000))).into();
        let of = |service: Service| environment(service, service.ports(7000), &first, "postgres://x", "b:1");
        assert_eq!(
            of(Service::Gateway).get("QUADRILLE__UPSTREAMS__ORDER").unwrap(),
            "http://127.0.0.1:7002"
        );
        assert!(!of(Service::Order).keys().any(|key| key.contains("UPSTREAMS")));
        assert_eq!(
            of(Service::Order).get("QUADRILLE__TOKEN__JWKS_URL").unwrap(),
            "http://127.0.0.1:7001/.well-known/jwks.json"
        );
    }
}
