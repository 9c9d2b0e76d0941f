//! The public keys that tokens are verified with: fetched, kept, refreshed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use tokio::sync::Mutex;

/// How often keys are fetched at most while there are none at all.
const FIRST_FETCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Length of an Ed25519 public key, in bytes.
const KEY_LENGTH: usize = 32;

/// Gets the current key set from wherever it is kept.
pub type FetchKeys = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<JwkSet>> + Send + Sync>;

/// There is no key set that still counts: nobody's token can be judged.
#[derive(Debug, thiserror::Error)]
#[error("the token keys cannot be fetched")]
pub struct KeysUnavailable(#[source] pub anyhow::Error);

/// The keys we have, and how to get new ones. A key set once fetched is kept until a newer one replaces it; while
/// its source is down it counts for a limited time, for a key may have been withdrawn meanwhile.
pub struct KeySource {
    fetch: FetchKeys,
    /// How often keys are fetched at most because a token names one we do not have.
    refetch_interval: Duration,
    /// How long a key set counts that cannot be fetched anew.
    stale_max: Duration,
    keys: RwLock<Option<KeySet>>,
    /// Counts key sets.
    version: AtomicU64,
    /// When a fetch was last tried. Held while fetching: all who need it share one fetch.
    last_fetch: Mutex<Option<Instant>>,
}

type Keys = HashMap<String, DecodingKey>;

#[derive(Clone)]
struct KeySet {
    keys: Arc<Keys>,
    fetched_at: Instant,
}

impl KeySource {
    /// Keys from `fetch`, refetched for a key we do not have at most every 30 seconds and kept for an hour while their
    /// source is down.
    #[must_use]
    pub fn new(fetch: FetchKeys) -> Self {
        Self {
            fetch,
            refetch_interval: Duration::from_secs(30),
            stale_max: Duration::from_secs(3_600),
            keys: RwLock::new(None),
            version: AtomicU64::new(0),
            last_fetch: Mutex::new(None),
        }
    }

    /// Keys from a JWKS URL.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn url(url: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self::new(Arc::new(move || {
            let request = client.get(&url);
            Box::pin(async move { Ok(request.send().await?.error_for_status()?.json().await?) })
        })))
    }

    /// The same with other times.
    #[must_use]
    pub const fn with_times(mut self, refetch_interval: Duration, stale_max: Duration) -> Self {
        self.refetch_interval = refetch_interval;
        self.stale_max = stale_max;
        self
    }

    /// The key named `kid`, fetching the set anew when we do not have it and have not just tried. All who want a key
    /// that nobody knows share one fetch.
    ///
    /// # Errors
    /// When no key set counts and the source is down.
    pub async fn key(&self, kid: &str) -> Result<Option<DecodingKey>, KeysUnavailable> {
        if let Some(key) = self.known(kid) {
            return Ok(Some(key));
        }
        let mut last_fetch = self.last_fetch.lock().await;
        if let Some(key) = self.known(kid) {
            return Ok(Some(key));
        }
        let pause = match self.current() {
            Some(_) => self.refetch_interval,
            None => FIRST_FETCH_INTERVAL.min(self.refetch_interval),
        };
        if last_fetch.is_some_and(|tried| tried.elapsed() < pause) {
            return match self.current() {
                Some(_) => Ok(None),
                None => Err(KeysUnavailable(anyhow::anyhow!(
                    "the last attempt failed a moment ago"
                ))),
            };
        }
        let outcome = self.fetch().await;
        *last_fetch = Some(Instant::now());
        match outcome {
            Ok(()) => Ok(self.known(kid)),
            Err(error) if self.current().is_none() => Err(KeysUnavailable(error)),
            Err(error) => {
                tracing::warn!(
                    error.message = format!("{error:#}"),
                    "token keys not refreshed, keeping the old ones"
                );
                Ok(None)
            }
        }
    }

    /// Fetches the set anew, whatever we have.
    ///
    /// # Errors
    /// When the source is down; the keys we have stay.
    pub async fn refresh(&self) -> anyhow::Result<()> {
        let mut last_fetch = self.last_fetch.lock().await;
        self.fetch().await?;
        *last_fetch = Some(Instant::now());
        Ok(())
    }

    async fn fetch(&self) -> anyhow::Result<()> {
        let set = tokio::time::timeout(FETCH_TIMEOUT, (self.fetch)()).await??;
        let keys: Keys = set.keys.iter().filter_map(usable).collect();
        anyhow::ensure!(!keys.is_empty(), "the key set has no usable key");
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(KeySet {
            keys: Arc::new(keys),
            fetched_at: Instant::now(),
        });
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Another number for each key set that was fetched.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether there is a key set that counts.
    pub(super) fn is_usable(&self) -> bool {
        self.current().is_some()
    }

    fn current(&self) -> Option<Arc<Keys>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let set = keys.as_ref()?;
        (set.fetched_at.elapsed() < self.stale_max).then(|| set.keys.clone())
    }

    fn known(&self, kid: &str) -> Option<DecodingKey> {
        self.current()?.get(kid).cloned()
    }
}

/// Ed25519 keys that have a name; others are not ours.
fn usable(jwk: &Jwk) -> Option<(String, DecodingKey)> {
    let kid = jwk.common.key_id.clone()?;
    let AlgorithmParameters::OctetKeyPair(pair) = &jwk.algorithm else {
        return None;
    };
    // The verifier would panic over a key of another length.
    let is_ed25519 = pair.curve == EllipticCurve::Ed25519
        && URL_SAFE_NO_PAD
            .decode(&pair.x)
            .is_ok_and(|key| key.len() == KEY_LENGTH);
    if !is_ed25519 {
        return None;
    }
    Some((kid, DecodingKey::from_jwk(jwk).ok()?))
}
