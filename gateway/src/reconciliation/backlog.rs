//! What each service has in hand, as its status tells.

use std::collections::BTreeMap;

use actix_web::http::uri::PathAndQuery;
use books::report::Backlog;
use chassis::problem::Problem;
use futures::future::join_all;
use messaging::operations::Status;
use serde::Deserialize;

use super::Reader;
use crate::domain::routing::Upstream;
use crate::proxy::ProxyError;

const OWN_NAME: &str = "gateway";

/// Of a service's status, what counts here.
#[derive(Deserialize)]
struct StatusView {
    outbox: Option<OutboxView>,
    pending: Option<i64>,
    dead_letters: Option<i64>,
}

#[derive(Deserialize)]
struct OutboxView {
    rows: i64,
}

impl StatusView {
    fn of(status: &Status) -> Self {
        let rows = status.outbox.as_ref().map(|outbox| outbox.rows);
        Self {
            outbox: rows.map(|rows| OutboxView { rows }),
            pending: status.pending,
            dead_letters: status.dead_letters,
        }
    }

    /// None while the service's database does not tell.
    fn backlog(&self) -> Option<Backlog> {
        let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
        Some(Backlog {
            outbox: count(self.outbox.as_ref()?.rows),
            pending: count(self.pending?),
            dead: count(self.dead_letters?),
            lag: None,
            processed: None,
        })
    }
}

impl Reader<'_> {
    /// By service. One that does not tell is left out: orders and payments are compared without it.
    pub(super) async fn backlogs(&self) -> BTreeMap<String, Backlog> {
        let others = join_all(Upstream::ALL.map(|upstream| self.status_of(upstream))).await;
        let own = StatusView::of(&self.operations.status().await).backlog();
        let others = Upstream::ALL.iter().map(|upstream| upstream.name()).zip(others);
        others
            .map(|(name, status)| (name, status.ok().as_ref().and_then(StatusView::backlog)))
            .chain([(OWN_NAME, own)])
            .filter_map(|(name, backlog)| Some((name.to_owned(), backlog?)))
            .collect()
    }

    async fn status_of(&self, upstream: Upstream) -> Result<StatusView, Problem> {
        let target = format!("/{}/events/status", upstream.public_name());
        let target = PathAndQuery::try_from(target).map_err(|_no_path| ProxyError::NoPath)?;
        Ok(self
            .proxy
            .read(self.request, upstream, target, &self.request_id)
            .await?)
    }
}
