//! argon2id off the HTTP workers, on threads of its own, as many as there are cores, with a bounded queue.
//!
//! A hash takes 25 ms of a core and 19 MiB. More threads than cores would only make every hash slower and
//! cost memory; a longer queue would only make clients wait for an answer they have given up on. The threads stand back
//! behind all others of the machine: a flood of logins takes what time there is left.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::Span;

use crate::config::PasswordSettings;
use threads::Job;

mod threads;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HasherError {
    /// Too many hashes are waiting, or this one waited too long.
    #[error("the password hashing queue is full")]
    Overloaded,
    /// Parameters or a stored hash that argon2 refuses.
    #[error("argon2: {0}")]
    Argon2(String),
    /// The hash panicked.
    #[error("a hash ended without an answer")]
    Panicked(#[from] oneshot::error::RecvError),
    /// The threads could not be started.
    #[error("the hashing threads do not start")]
    Threads(#[from] std::io::Error),
}

/// A password's hash as it is stored: a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    /// A hash out of a row.
    pub(crate) fn from_row(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a password is the one that was stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not, or there is none.
    Wrong,
    /// It is.
    Right {
        /// Its hash by the parameters of today, where the stored one has others.
        rehashed: Option<PasswordHash>,
    },
}

/// A place among the hashes that run or wait. Whoever takes it before any other work costs nothing when there is none. It
/// is free again when its last clone is gone.
#[derive(Clone)]
#[must_use]
pub(crate) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Hashes and verifies passwords. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hasher {
    inner: Arc<Inner>,
}

struct Inner {
    argon2: Argon2<'static>,
    jobs: mpsc::Sender<Job>,
    /// One permit for each hash that runs or waits.
    places: Arc<Semaphore>,
    places_total: usize,
    /// One permit for each hash that runs.
    threads: Arc<Semaphore>,
    wait: Duration,
    operations: Counter,
    /// Verified when there is no account, so that the answer takes as long as with one.
    dummy: PasswordHash,
}

impl Hasher {
    /// A hasher, whose threads end with its last clone; `operations` counts what it does.
    ///
    /// # Errors
    /// When argon2 refuses the parameters, or there are no threads to be had.
    pub(crate) fn new(settings: &PasswordSettings, operations: Counter) -> Result<Self, HasherError> {
        let params = Params::new(
            settings.memory_kib,
            settings.iterations,
            settings.parallelism,
            None,
        )
        .map_err(|error| HasherError::Argon2(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            asked => asked,
        };
        let places = threads.saturating_add(settings.queue_max);
        let dummy = hash(&argon2, b"no account has this password")?;
        Ok(Self {
            inner: Arc::new(Inner {
                argon2,
                jobs: threads::start(threads, settings.niceness)?,
                places: Arc::new(Semaphore::new(places)),
                places_total: places,
                threads: Arc::new(Semaphore::new(threads)),
                wait: settings.wait(),
                operations,
                dummy,
            }),
        })
    }

    /// A place for a hash.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn place(&self) -> Result<Place, HasherError> {
        let place = Arc::clone(&self.inner.places).try_acquire_owned();
        place
            .map(|permit| Place {
                _permit: Arc::new(permit),
            })
            .map_err(|_full| HasherError::Overloaded)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// When there is too much to do.
    pub(crate) async fn hash(
        &self,
        place: Place,
        password: SecretString,
    ) -> Result<PasswordHash, HasherError> {
        self.run(place, move |inner| inner.hash(&password)).await?
    }

    /// Whether the password is the one of `stored`. Without a stored hash it is not, after the same work; a stored one of
    /// other parameters takes a time of its own, until its owner's next login makes it anew.
    ///
    /// # Errors
    /// When there is too much to do, or the stored hash cannot be read.
    pub(crate) async fn verify(
        &self,
        place: Place,
        password: SecretString,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, HasherError> {
        self.run(place, move |inner| {
            let matches = inner.verify(&password, stored.as_ref().unwrap_or(&inner.dummy))?;
            let Some(stored) = stored.filter(|_| matches) else {
                return Ok(Verdict::Wrong);
            };
            let rehashed = (!inner.is_current(&stored)?)
                .then(|| inner.hash(&password))
                .transpose()?;
            Ok(Verdict::Right { rehashed })
        })
        .await?
    }

    /// Runs a job on one of the threads. The job owns its permits: a client that hangs up meanwhile does not make room
    /// for another hash.
    async fn run<T, J>(&self, place: Place, job: J) -> Result<T, HasherError>
    where
        T: Send + 'static,
        J: FnOnce(&Inner) -> T + Send + 'static,
    {
        let thread = self.thread().await?;
        let (answer, answered) = oneshot::channel();
        let (inner, span) = (Arc::clone(&self.inner), Span::current());
        let job: Job = Box::new(move || {
            let permits = (place, thread);
            let outcome = span.in_scope(|| job(&inner));
            drop(permits);
            // the client may have hung up
            let _told = answer.send(outcome);
        });
        // whoever has a thread's permit finds room
        self.inner
            .jobs
            .try_send(job)
            .map_err(|_full| HasherError::Overloaded)?;
        Ok(answered.await?)
    }

    /// Waits for a thread to be free, but not for ever.
    async fn thread(&self) -> Result<OwnedSemaphorePermit, HasherError> {
        let thread = Arc::clone(&self.inner.threads).acquire_owned();
        match tokio::time::timeout(self.inner.wait, thread).await {
            Ok(Ok(thread)) => Ok(thread),
            Ok(Err(_)) | Err(_) => Err(HasherError::Overloaded),
        }
    }

    /// Hashes that run or wait right now.
    pub(crate) fn in_hand(&self) -> usize {
        self.inner
            .places_total
            .saturating_sub(self.inner.places.available_permits())
    }
}

impl Inner {
    fn hash(&self, password: &SecretString) -> Result<PasswordHash, HasherError> {
        self.operations.inc();
        hash(&self.argon2, password.expose_secret().as_bytes())
    }

    fn verify(&self, password: &SecretString, stored: &PasswordHash) -> Result<bool, HasherError> {
        self.operations.inc();
        let phc = stored.parse()?;
        match self
            .argon2
            .verify_password(password.expose_secret().as_bytes(), &phc)
        {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HasherError::Argon2(error.to_string())),
        }
    }

    /// Whether a hash was made with the parameters of today.
    fn is_current(&self, stored: &PasswordHash) -> Result<bool, HasherError> {
        let phc = stored.parse()?;
        let params = Params::try_from(&phc).map_err(|error| HasherError::Argon2(error.to_string()))?;
        let today = self.argon2.params();
        Ok(phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into())
            && (params.m_cost(), params.t_cost(), params.p_cost())
                == (today.m_cost(), today.t_cost(), today.p_cost()))
    }
}

impl PasswordHash {
    fn parse(&self) -> Result<Phc, HasherError> {
        Phc::new(self.as_str()).map_err(|error| HasherError::Argon2(error.to_string()))
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<PasswordHash, HasherError> {
    let phc = argon2
        .hash_password(password)
        .map_err(|error| HasherError::Argon2(error.to_string()))?;
    Ok(PasswordHash(phc.to_string()))
}

#[cfg(test)]
mod tests;
