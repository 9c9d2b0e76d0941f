//! `upstreams.*`: where the services answer.

use actix_web::http::Uri;
use actix_web::http::uri::Authority;
use serde::Deserialize;
use thiserror::Error;

use crate::domain::routing::Upstream;

/// Where the services answer.
#[derive(Debug, Clone, Deserialize)]
pub struct UpstreamSettings {
    /// Auth service.
    pub auth: UpstreamUrls,
    /// Order service.
    pub order: UpstreamUrls,
    /// Payment service.
    pub payment: UpstreamUrls,
    /// Notification service.
    pub notification: UpstreamUrls,
}

impl UpstreamSettings {
    /// Where one service answers.
    #[must_use]
    pub const fn of(&self, upstream: Upstream) -> &UpstreamUrls {
        match upstream {
            Upstream::Auth => &self.auth,
            Upstream::Order => &self.order,
            Upstream::Payment => &self.payment,
            Upstream::Notification => &self.notification,
        }
    }
}

/// The addresses of a service, one for each of its processes, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UpstreamUrls(Vec<UpstreamUrl>);

/// The address of one process of a service: `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl(Authority);

/// Not the address of a service.
#[derive(Debug, Error)]
pub enum UpstreamUrlError {
    /// Not a URL at all.
    #[error("{url:?} is not a URL")]
    Malformed {
        /// What was configured.
        url: String,
        /// What is wrong with it.
        source: actix_web::http::uri::InvalidUri,
    },
    /// A URL, but not of a plain HTTP service at the root of its host.
    #[error("{0:?} is not of the form http://host:port")]
    Unsupported(String),
}

impl UpstreamUrls {
    /// Hosts and ports, at least one.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.0.iter().map(|url| &url.0)
    }
}

impl TryFrom<String> for UpstreamUrls {
    type Error = UpstreamUrlError;

    fn try_from(urls: String) -> Result<Self, Self::Error> {
        let each = urls.split(',').map(|url| url.trim().to_owned().try_into());
        each.collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for UpstreamUrl {
    type Error = UpstreamUrlError;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        let uri: Uri = match url.parse() {
            Ok(uri) => uri,
            Err(source) => return Err(UpstreamUrlError::Malformed { url, source }),
        };
        match uri.authority() {
            Some(authority)
                if uri.scheme_str() == Some("http")
                    && matches!(uri.path(), "" | "/")
                    && uri.query().is_none()
                    && !authority.as_str().contains('@') =>
            {
                Ok(Self(authority.clone()))
            }
            _ => Err(UpstreamUrlError::Unsupported(url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(urls: &str) -> Result<Vec<String>, UpstreamUrlError> {
        let urls = UpstreamUrls::try_from(urls.to_owned())?;
        Ok(urls.authorities().map(ToString::to_string).collect())
    }

    #[test]
    fn a_service_is_a_host_and_a_port() {
        assert_eq!(parse("http://order:5002/").unwrap(), ["order:5002"]);
        assert_eq!(parse("http://[::1]:5002").unwrap(), ["[::1]:5002"]);
        assert_eq!(
            parse("http://order-1:5002, http://order-2:5002").unwrap(),
            ["order-1:5002", "order-2:5002"]
        );
    }

    #[test]
    fn anything_else_is_refused_at_start() {
        for url in [
            "",
            "order:5002",
            "https://order:5002",
            "http://order/v1",
            "http://a:b@order",
            "http://order?x",
            "http://",
            "http://order:5002,",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
