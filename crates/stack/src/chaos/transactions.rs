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
    kept: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl LongTransactions {
    /// Each is kept open for `length`, unless the server ends it.
    pub(super) fn begin(world: &World, length: Duration) -> Self {
        let kept = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for service in Service::ALL {
            let (url, kept) = (world.stack.admin_database_url(service), kept.clone());
            tasks.spawn(async move {
                loop {
                    match keep_one(&url, length).await {
                        Ok(()) => drop(kept.fetch_add(1, Ordering::Relaxed)),
                        // the server is down
                        Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
                    }
                }
            });
        }
        Self { kept, _tasks: tasks }
    }

    /// How many were kept to their end.
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

async fn keep_one(url: &str, length: Duration) -> Result<()> {
    let client = connect(url).await?;
    client
        .batch_execute(
            "begin;
             insert into outbox (event_id, topic, headers) values (gen_random_uuid(), 'order.created', '[]')",
        )
        .await?;
    tokio::time::sleep(length).await;
    Ok(client.batch_execute("rollback").await?)
}
