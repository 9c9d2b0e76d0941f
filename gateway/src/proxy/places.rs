//! How many requests of one class of routes one worker has under way to one service: those that are slow leave room for the
//! others. Event streams last: they have places of their own, and take none from the requests that are answered and gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ProxyError;
use crate::config::ProxySettings;
use crate::domain::routing::Upstream;

/// The places of one class of a service's routes.
#[derive(Debug)]
pub(super) struct Places {
    upstream: Upstream,
    exchanges: Arc<Semaphore>,
    /// Of the whole service: any of its answers may turn out to be a stream.
    streams: Arc<Semaphore>,
    patience: Duration,
}

/// A place that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Places {
    pub(super) fn new(upstream: Upstream, settings: &ProxySettings, streams: Arc<Semaphore>) -> Self {
        Self {
            upstream,
            exchanges: Arc::new(Semaphore::new(settings.exchanges_per_worker.get())),
            streams,
            patience: settings.connect_timeout(),
        }
    }

    /// A place for a request, as soon as there is one. That none is free says nothing about the service.
    ///
    /// # Errors
    /// [`ProxyError::Full`] when none has become free in the time that a connection may take.
    pub(super) async fn enter(&self) -> Result<Place, ProxyError> {
        match tokio::time::timeout(self.patience, self.exchanges.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place(permit)),
            Ok(Err(_)) | Err(_) => Err(self.full()),
        }
    }

    /// Changes a request's place for that of an event stream, which its answer turned out to be.
    ///
    /// # Errors
    /// [`ProxyError::Full`] when there is none.
    pub(super) fn to_stream(&self, place: Place) -> Result<Place, ProxyError> {
        let permit = self.streams.clone().try_acquire_owned();
        drop(place);
        permit.map(Place).map_err(|_none| self.full())
    }

    const fn full(&self) -> ProxyError {
        ProxyError::Full {
            upstream: self.upstream,
        }
    }
}
