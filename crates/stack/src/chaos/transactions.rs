//! A long write transaction in each database, one after the other, for as long as chaos lasts. It has drawn the lowest
//! id of the outbox and keeps every horizon back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::world::World;
use crate::error::Result;
use crate::postgres::connect;
use crate::service::Service;

/// Ends with this value.
#[derive(Debug)]
pub(super) struct LongTransactions {
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    held: AtomicUsize,
}

impl LongTransactions {
    /// Each is kept open for `length`, unless the server ends it.
    pub(super) fn begin(world: &World, length: Duration) -> Self {
        let counts = Arc::new(Counts::default());
        let mut tasks = JoinSet::new();
        for service in Service::ALL {
            let (url, counts) = (world.stack.admin_database_url(service), counts.clone());
            tasks.spawn(async move {
                loop {
                    if keep_one(&url, length, &counts).await.is_err() {
                        // the server is down
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            });
        }
        Self {
            counts,
            _tasks: tasks,
        }
    }

    /// How many were begun.
    pub(super) fn begun(&self) -> usize {
        self.counts.begun.load(Ordering::Relaxed)
    }

    /// How many of them were open for the whole length.
    pub(super) fn held(&self) -> usize {
        self.counts.held.load(Ordering::Relaxed)
    }
}

async fn keep_one(url: &str, length: Duration, counts: &Counts) -> Result<()> {
    let client = connect(url).await?;
    client
        .batch_execute(
            "begin;
             insert into outbox (event_id, topic, headers) values (gen_random_uuid(), 'order.created', '[]')",
        )
        .await?;
    counts.begun.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(length).await;
    // a server that was away meanwhile has ended it
    client.batch_execute("rollback").await?;
    counts.held.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
