//! The throttle of password guesses, in the database: it holds over replicas and restarts. Whether there is such an
//! account makes no difference to it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use chassis::problem::{Code, Problem};
use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

use crate::client;
use crate::config::ThrottleSettings;
use crate::crypto::KeyEncryption;
use crate::domain::email::canonical;
use crate::domain::throttle::{Failures, Judgement, Policy};
use crate::metrics::AuthMetrics;
use crate::store::throttle::{self as rows, SubjectKey};
use crate::store::{Conn, StoreError};

/// Counts failed password guesses, and refuses those that come too early. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Throttle {
    inner: Arc<Inner>,
}

struct Inner {
    /// Of accounts, of client addresses.
    policies: [Policy; 2],
    trusted_proxies: Vec<IpNet>,
    /// Hashes what is counted, so that the table tells no addresses.
    key: SecretBox<[u8; 32]>,
    metrics: AuthMetrics,
}

/// An attempt that is being made. Say how it ended.
#[must_use]
pub(crate) struct Attempt {
    /// The account and the client.
    subjects: [SubjectKey; 2],
    /// Whether it was counted as failed before it was made.
    charged: [bool; 2],
}

/// Why an attempt is not made.
enum Refusal {
    Blocked { policy: Policy, until: DateTime<Utc> },
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Throttle {
    /// A throttle with these policies.
    pub(crate) fn new(settings: &ThrottleSettings, encryption: &KeyEncryption, metrics: AuthMetrics) -> Self {
        Self {
            inner: Arc::new(Inner {
                policies: [settings.account(), settings.address()],
                trusted_proxies: settings.trusted_proxies.clone(),
                key: encryption.derive("login throttle"),
                metrics,
            }),
        }
    }

    /// Lets an attempt on an account be made, or not. `email` is whatever was sent as its address.
    ///
    /// # Errors
    /// 429 when it comes too early.
    pub(crate) async fn admit(
        &self,
        conn: &mut Conn,
        email: &str,
        request: &HttpRequest,
        now: DateTime<Utc>,
    ) -> Result<Attempt, Problem> {
        let address = client::address(request, &self.inner.trusted_proxies);
        let subjects = self.subjects(email, address);
        self.judge(conn, subjects, now)
            .await
            .map_err(|refusal| match refusal {
                Refusal::Store(error) => error.into(),
                Refusal::Blocked { policy, until } => {
                    self.inner.metrics.throttled(policy.name);
                    tracing::info!(
                        security.event = "login_throttled",
                        throttle.policy = policy.name,
                        "attempt refused"
                    );
                    too_early(policy, until, now)
                }
            })
    }

    /// The password was wrong, or there is no such account.
    pub(crate) async fn failed(
        &self,
        conn: &mut Conn,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.inner.metrics.failed_logins.inc();
        if attempt.charged == [true, true] {
            return Ok(());
        }
        let subjects = attempt.subjects.each_ref();
        conn.transaction::<(), StoreError, _>(async |conn| {
            rows::ensure(conn, subjects, now).await?;
            let past = rows::lock(conn, subjects).await?;
            for (((subject, charged), past), policy) in subjects
                .iter()
                .zip(attempt.charged)
                .zip(past)
                .zip(self.inner.policies)
            {
                if !charged {
                    rows::save(conn, subject, policy.failed(past, now)).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The password was right: the account's failures are forgotten, the client's stay as they were.
    pub(crate) async fn succeeded(
        &self,
        conn: &mut Conn,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let [account, _client] = &attempt.subjects;
        rows::forget(conn, account).await?;
        let [_forgotten, charged] = attempt.charged;
        self.give_back(conn, &attempt.subjects, [false, charged], now)
            .await
    }

    /// Nobody looked at the password.
    pub(crate) async fn withdrawn(
        &self,
        conn: &mut Conn,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.give_back(conn, &attempt.subjects, attempt.charged, now)
            .await
    }

    async fn judge(
        &self,
        conn: &mut Conn,
        subjects: [SubjectKey; 2],
        now: DateTime<Utc>,
    ) -> Result<Attempt, Refusal> {
        // Nearly always nobody has failed: then nothing is written.
        let past = rows::read(conn, subjects.each_ref()).await?;
        if self.charges(past, now)? == [None, None] {
            return Ok(Attempt {
                subjects,
                charged: [false, false],
            });
        }
        conn.transaction::<Attempt, Refusal, _>(async |conn| {
            let past = rows::lock(conn, subjects.each_ref()).await?;
            let charges = self.charges(past, now)?;
            for (subject, charge) in subjects.iter().zip(charges) {
                if let Some(failures) = charge {
                    rows::save(conn, subject, failures).await?;
                }
            }
            Ok(Attempt {
                subjects,
                charged: charges.map(|charge| charge.is_some()),
            })
        })
        .await
    }

    /// The failures with this attempt, where it counts as one from the start.
    fn charges(
        &self,
        past: [Option<Failures>; 2],
        now: DateTime<Utc>,
    ) -> Result<[Option<Failures>; 2], Refusal> {
        let mut charges = [None, None];
        for ((charge, past), policy) in charges.iter_mut().zip(past).zip(self.inner.policies) {
            match policy.judge(past, now) {
                Judgement::Free => {}
                Judgement::Charged(failures) => *charge = Some(failures),
                Judgement::Blocked { until } => return Err(Refusal::Blocked { policy, until }),
            }
        }
        Ok(charges)
    }

    async fn give_back(
        &self,
        conn: &mut Conn,
        subjects: &[SubjectKey; 2],
        charged: [bool; 2],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if charged == [false, false] {
            return Ok(());
        }
        conn.transaction::<(), StoreError, _>(async |conn| {
            let past = rows::lock(conn, subjects.each_ref()).await?;
            for (((subject, charged), past), policy) in
                subjects.iter().zip(charged).zip(past).zip(self.inner.policies)
            {
                let Some(past) = past.filter(|_| charged) else {
                    continue;
                };
                match policy.withdrawn(past, now) {
                    Some(failures) => rows::save(conn, subject, failures).await?,
                    None => rows::forget(conn, subject).await?,
                }
            }
            Ok(())
        })
        .await
    }

    fn subjects(&self, email: &str, address: IpAddr) -> [SubjectKey; 2] {
        let network = client::network(address).to_string();
        [
            self.subject("account", &canonical(email)),
            self.subject("address", &network),
        ]
    }

    fn subject(&self, kind: &str, text: &str) -> SubjectKey {
        Sha256::new()
            .chain_update(self.inner.key.expose_secret())
            .chain_update(kind)
            .chain_update(b"\0")
            .chain_update(text)
            .finalize()
            .into()
    }
}

fn too_early(policy: Policy, until: DateTime<Utc>, now: DateTime<Utc>) -> Problem {
    let wait_ms = u64::try_from((until - now).num_milliseconds()).unwrap_or_default();
    let wait_s = wait_ms.div_ceil(1000).max(1);
    let detail = format!(
        "too many failed attempts: the policy {:?} takes the next one in {wait_s} s",
        policy.name
    );
    Problem::new(Code::RateLimited).detail(detail).retry_after(wait_s)
}
