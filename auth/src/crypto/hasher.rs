//! argon2id off the HTTP workers, on a few threads of its own, with a bounded queue and a bounded time.
//!
//! A hash takes 25 ms of a core and 19 MiB, which its thread keeps (see [`memory`]): the number of threads bounds the
//! memory, however many cores there are. A longer queue would only make clients wait for an answer they have given up on.
//! The threads stand back behind all others of the machine: a flood of logins takes what time there is left, and whoever
//! gets none of it is refused in time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt};
use argon2::{Algorithm, Argon2, Params, RECOMMENDED_SALT_LEN, Version};
use prometheus_client::metrics::counter::Counter;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use crate::config::PasswordSettings;
use crate::domain::password::prepared;
use memory::Memory;
use threads::Job;

mod memory;
mod threads;

/// How many parts of the time of a request there are: in the last no hash is waited for, since nothing could follow it.
const TIME_PARTS: u32 = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HasherError {
    /// Too many hashes are waiting, or this one waited too long.
    #[error("the password hashing queue is full")]
    Overloaded,
    /// There was no time left: hashing, or what comes before and after it, took too long.
    #[error("a request with a password was not done in time")]
    Late,
    /// There is no memory to hash in.
    #[error("no memory for argon2")]
    Memory(#[from] std::collections::TryReserveError),
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

impl HasherError {
    fn argon2(error: impl std::fmt::Display) -> Self {
        Self::Argon2(error.to_string())
    }
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
        /// Its hash by the parameters of today and in normal form, where the stored one is of others.
        rehashed: Option<PasswordHash>,
    },
}

/// A place among the hashes that run or wait, and the time that its holder has. Whoever takes it before any other work
/// costs nothing when there is none. It is free again when its last clone is gone.
#[derive(Clone)]
#[must_use]
pub(crate) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    /// When hashing must be done.
    hashed_by: Instant,
    /// When everything must be.
    done_by: Instant,
}

impl Place {
    /// Does something in the time of the place.
    ///
    /// # Errors
    /// [`HasherError::Late`] when that is over: then `work` is dropped where it stands.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, HasherError> {
        timeout_at(self.done_by, work)
            .await
            .map_err(|_elapsed| HasherError::Late)
    }
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
    time: Duration,
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
        .map_err(HasherError::argon2)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            asked => asked,
        };
        let places = threads.saturating_add(settings.queue_max);
        let nobodys = Output::new(&rand::random::<[u8; 32]>()).map_err(HasherError::argon2)?;
        let dummy = phc(&argon2, fresh_salt()?, nobodys)?;
        Ok(Self {
            inner: Arc::new(Inner {
                argon2,
                jobs: threads::start(threads, settings.niceness)?,
                places: Arc::new(Semaphore::new(places)),
                places_total: places,
                threads: Arc::new(Semaphore::new(threads)),
                wait: settings.wait(),
                time: settings.answer(),
                operations,
                dummy,
            }),
        })
    }

    /// A place for a hash. The time of the request that needs one begins here.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn place(&self) -> Result<Place, HasherError> {
        let place = Arc::clone(&self.inner.places).try_acquire_owned();
        let permit = place.map_err(|_full| HasherError::Overloaded)?;
        let (now, time) = (Instant::now(), self.inner.time);
        Ok(Place {
            _permit: Arc::new(permit),
            hashed_by: now + (time - time / TIME_PARTS),
            done_by: now + time,
        })
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
        self.run(place, move |inner, memory| inner.hash(memory, &normal(&password)))
            .await?
    }

    /// Whether the password is the one of `stored`, in its normal form or as it was sent. Without a stored hash it is not, after the same work; a stored one of
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
        self.run(place, move |inner, memory| {
            let normal = normal(&password);
            let compared = stored.as_ref().unwrap_or(&inner.dummy);
            let matches = inner.verify(memory, &normal, compared)?;
            // the hash of an account that was made before passwords were normalized
            let as_sent = !matches
                && normal.expose_secret() != password.expose_secret()
                && inner.verify(memory, &password, compared)?;
            let Some(stored) = stored.filter(|_| matches || as_sent) else {
                return Ok(Verdict::Wrong);
            };
            let rehashed = (as_sent || !inner.is_current(&stored)?)
                .then(|| inner.hash(memory, &normal))
                .transpose()?;
            Ok(Verdict::Right { rehashed })
        })
        .await?
    }

    /// Runs a job on one of the threads. The job owns its permits: a client that hangs up while it runs does not make room
    /// for another hash. One that hung up or was refused before it began costs nothing more.
    async fn run<T, J>(&self, place: Place, job: J) -> Result<T, HasherError>
    where
        T: Send + 'static,
        J: FnOnce(&Inner, &mut Memory) -> T + Send + 'static,
    {
        let hashed_by = place.hashed_by;
        let thread = self.thread(hashed_by).await?;
        let (answer, answered) = oneshot::channel();
        let (inner, span) = (Arc::clone(&self.inner), Span::current());
        let job: Job = Box::new(move |memory| {
            let permits = (place, thread);
            if answer.is_closed() {
                return;
            }
            let outcome = span.in_scope(|| job(&inner, memory));
            drop(permits);
            // the client may have hung up
            let _told = answer.send(outcome);
        });
        // whoever has a thread's permit finds room
        self.inner
            .jobs
            .try_send(job)
            .map_err(|_full| HasherError::Overloaded)?;
        match timeout_at(hashed_by, answered).await {
            Ok(answer) => Ok(answer?),
            Err(_elapsed) => Err(HasherError::Late),
        }
    }

    /// Waits for a thread to be free, but not for ever.
    async fn thread(&self, hashed_by: Instant) -> Result<OwnedSemaphorePermit, HasherError> {
        let thread = Arc::clone(&self.inner.threads).acquire_owned();
        let until = hashed_by.min(Instant::now() + self.inner.wait);
        match timeout_at(until, thread).await {
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
    fn hash(&self, memory: &mut Memory, password: &SecretString) -> Result<PasswordHash, HasherError> {
        self.operations.inc();
        let salt = fresh_salt()?;
        let output = memory.output(&self.argon2, password.expose_secret().as_bytes(), &salt)?;
        phc(&self.argon2, salt, output)
    }

    /// Outputs are compared in constant time.
    fn verify(
        &self,
        memory: &mut Memory,
        password: &SecretString,
        stored: &PasswordHash,
    ) -> Result<bool, HasherError> {
        self.operations.inc();
        let stored = stored.parse()?;
        let (Some(salt), Some(output)) = (&stored.salt, &stored.hash) else {
            return Err(HasherError::argon2("a stored hash without salt or output"));
        };
        let argon2 = argon2_of(&stored)?;
        let computed = memory.output(&argon2, password.expose_secret().as_bytes(), salt)?;
        Ok(computed == *output)
    }

    /// Whether a hash was made with the parameters of today.
    fn is_current(&self, stored: &PasswordHash) -> Result<bool, HasherError> {
        let phc = stored.parse()?;
        let params = Params::try_from(&phc).map_err(HasherError::argon2)?;
        let today = self.argon2.params();
        Ok(phc.algorithm == Algorithm::Argon2id.ident()
            && phc.version == Some(Version::V0x13.into())
            && (params.m_cost(), params.t_cost(), params.p_cost())
                == (today.m_cost(), today.t_cost(), today.p_cost()))
    }
}

/// What is hashed of a password.
fn normal(password: &SecretString) -> SecretString {
    prepared(password.expose_secret()).into()
}

impl PasswordHash {
    fn parse(&self) -> Result<Phc, HasherError> {
        Phc::new(self.as_str()).map_err(HasherError::argon2)
    }
}

/// What a stored hash was made with.
fn argon2_of(stored: &Phc) -> Result<Argon2<'static>, HasherError> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).map_err(HasherError::argon2)?;
    let version = stored.version.map(Version::try_from).transpose();
    let version = version.map_err(HasherError::argon2)?.unwrap_or_default();
    let params = Params::try_from(stored).map_err(HasherError::argon2)?;
    Ok(Argon2::new(algorithm, version, params))
}

fn fresh_salt() -> Result<Salt, HasherError> {
    Salt::new(&rand::random::<[u8; RECOMMENDED_SALT_LEN]>()).map_err(HasherError::argon2)
}

/// A hash in the form in which it is stored.
fn phc(argon2: &Argon2<'_>, salt: Salt, output: Output) -> Result<PasswordHash, HasherError> {
    let phc = Phc {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(HasherError::argon2)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(PasswordHash(phc.to_string()))
}

#[cfg(test)]
mod tests;
