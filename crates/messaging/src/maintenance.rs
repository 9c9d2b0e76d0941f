//! Runs the retention jobs. They work on connections of their own, with a short `lock_timeout`: what they cannot have at
//! once they give up and try again later.

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::SimpleAsyncConnection;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::Outage;
use crate::kernel::Core;
use crate::once;
use crate::retention::{self, Upkeep};
use crate::retry::Backoff;
use chassis::clock;
use chassis::database::Session;

impl Core {
    /// The consumer cannot take an event in without the partition of its day. Where all are there, this only looks.
    pub(crate) async fn await_partitions(&self, stop: &CancellationToken) {
        let mut backoff = Backoff::new(&self.settings);
        let mut warned = false;
        loop {
            match self.prepare_partitions().await {
                Ok(true) => return,
                Ok(false) => debug!("partitions of processed events are being made, waiting"),
                Err(outage) if warned => debug!(error = %outage, "still no partitions of processed events"),
                Err(outage) => {
                    warned = true;
                    warn!(error = %outage, "a partition of processed events is missing and cannot be made, waiting");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff.wait()) => {}
            }
        }
    }

    /// Whether the partitions are there; makes those that are missing.
    async fn prepare_partitions(&self) -> Result<bool, Outage> {
        let days = self.settings.dedupe_retention_days;
        let mut conn = self.maintenance_connection().await?;
        let prepared = async {
            if retention::are_partitions_ready(&mut conn, clock::now(), days).await? {
                return Ok(true);
            }
            let made = retention::make_partitions(&mut conn, clock::now(), days).await;
            // one that is not needed yet may have failed
            let ready = retention::are_partitions_ready(&mut conn, clock::now(), days).await?;
            if ready {
                Ok(true)
            } else {
                made.map(|_elsewhere| false)
            }
        };
        self.in_time(prepared).await
    }

    /// Runs the retention jobs at their interval until `stop`. That they are late is logged once.
    pub(crate) async fn keep_retention(&self, stop: CancellationToken) {
        let interval = Duration::from_millis(self.settings.retention_interval_ms.max(1));
        let retry = Duration::from_millis(self.settings.retention_retry_ms.max(1)).min(interval);
        let mut late = false;
        loop {
            // broken off, it is gone on with by the next run, here or elsewhere
            let ran = tokio::select! {
                () = stop.cancelled() => return,
                ran = self.retain() => ran,
            };
            let wait = match ran {
                Ok(Upkeep::Done) => {
                    if late {
                        info!("retention has caught up");
                    }
                    late = false;
                    self.metrics.retained(clock::now());
                    interval
                }
                Ok(Upkeep::Elsewhere) => retry,
                Err(outage) if late => {
                    debug!(error = %outage, "retention is still not done");
                    retry
                }
                // it would be fatal only after days: partitions are made far ahead
                Err(outage) => {
                    late = true;
                    warn!(error = %outage, "retention could not do everything, and tries again until it can");
                    retry
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn retain(&self) -> Result<Upkeep, Outage> {
        let mut conn = self.maintenance_connection().await?;
        let retained = async {
            let ids = self.settings.dedupe_retention_days;
            let upkeep = retention::keep_partitions(&mut conn, clock::now(), ids).await;
            let letters = self.settings.dead_letter_retention_days;
            retention::forget_letters(&mut conn, clock::now(), letters).await?;
            retention::forget_jobs(&mut conn, clock::now(), letters).await?;
            let keys = self.settings.operation_key_retention_hours;
            once::forget(&mut conn, clock::now(), keys).await?;
            upkeep
        };
        self.in_time(retained).await
    }

    /// Not of the pool any more: however the work on it ends, nobody else gets its `lock_timeout`, or a lock it holds.
    async fn maintenance_connection(&self) -> Result<Session, Outage> {
        let mut conn = self.connection().await?.take();
        // 0 would mean for ever
        let limit = self.settings.retention_lock_timeout_ms.max(1);
        conn.batch_execute(&format!("set lock_timeout = {limit}")).await?;
        Ok(conn)
    }

    async fn in_time<T>(&self, work: impl Future<Output = QueryResult<T>>) -> Result<T, Outage> {
        match timeout(self.patience(), work).await {
            Ok(worked) => Ok(worked?),
            Err(_elapsed) => Err(Outage::Stalled(self.patience())),
        }
    }
}
