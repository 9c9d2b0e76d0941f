//! The throttle of password guesses, in the database: it holds over replicas and restarts. Whether there is such an
//! account makes no difference to it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use chassis::clock;
use chassis::problem::{Code, Problem};
use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

use crate::client;
use crate::config::ThrottleSettings;
use crate::crypto::KeyEncryption;
use crate::domain::email::compared;
use crate::domain::throttle::{Failures, Judgement, Policy};
use crate::metrics::AuthMetrics;
use crate::store::throttle::{self as rows, SubjectKey};
use crate::store::{Conn, StoreError};

/// Counts password guesses, and refuses those that come too early. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Throttle {
    inner: Arc<Inner>,
}

struct Inner {
    /// Of accounts.
    account: Policy,
    /// Of client addresses.
    address: Policy,
    trusted_proxies: Vec<IpNet>,
    /// Hashes what is counted, so that the table tells no addresses.
    key: SecretBox<[u8; 32]>,
    metrics: AuthMetrics,
}

/// An attempt that is being made. It counts as failed unless it is said to have ended otherwise.
#[must_use]
pub(crate) struct Attempt {
    /// The account's.
    account: Charge,
    /// The client's.
    client: Charge,
}

/// What an attempt costs one of its subjects, until it is given back.
struct Charge {
    subject: SubjectKey,
    policy: Policy,
    /// The subject's failures with it.
    admitted: Failures,
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
                account: settings.account(),
                address: settings.address(),
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
    ) -> Result<Attempt, Problem> {
        let address = client::address(request, &self.inner.trusted_proxies);
        let subjects = self.subjects(email, address);
        self.charge(conn, subjects)
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
                    too_early(policy, until, clock::now())
                }
            })
    }

    /// Counts the attempt as failed before it is made, so that attempts side by side do not all look like the first.
    async fn charge(&self, conn: &mut Conn, subjects: [SubjectKey; 2]) -> Result<Attempt, Refusal> {
        // Whoever has to wait is refused without a lock.
        let past = rows::read(conn, subjects.each_ref()).await?;
        let _may_be_made = self.judge(subjects, past)?;
        conn.transaction::<Attempt, Refusal, _>(async |conn| {
            let past = rows::lock(conn, subjects.each_ref()).await?;
            let attempt = self.judge(subjects, past)?;
            for charge in [&attempt.account, &attempt.client] {
                rows::save(conn, &charge.subject, charge.admitted).await?;
            }
            Ok(attempt)
        })
        .await
    }

    fn judge(&self, subjects: [SubjectKey; 2], past: [Option<Failures>; 2]) -> Result<Attempt, Refusal> {
        let now = clock::now();
        let judge =
            |subject: SubjectKey, policy: Policy, past: Option<Failures>| match policy.judge(past, now) {
                Judgement::Blocked { until } => Err(Refusal::Blocked { policy, until }),
                Judgement::Admitted(admitted) => Ok(Charge {
                    subject,
                    policy,
                    admitted,
                }),
            };
        let ([account, client], [account_past, client_past]) = (subjects, past);
        Ok(Attempt {
            account: judge(account, self.inner.account, account_past)?,
            client: judge(client, self.inner.address, client_past)?,
        })
    }

    fn subjects(&self, email: &str, address: IpAddr) -> [SubjectKey; 2] {
        let network = client::network(address).to_string();
        [
            self.subject("account", &compared(email)),
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

impl Attempt {
    /// The password was right: the account's failures are forgotten, the client's are what they were.
    pub(crate) async fn succeeded(self, conn: &mut Conn) -> Result<(), StoreError> {
        conn.transaction::<(), StoreError, _>(async |conn| {
            let [_account, client] = rows::lock(conn, self.subjects()).await?;
            rows::forget(conn, &self.account.subject).await?;
            self.client.give_back(conn, client).await
        })
        .await
    }

    /// Nobody looked at the password.
    pub(crate) async fn withdrawn(self, conn: &mut Conn) -> Result<(), StoreError> {
        conn.transaction::<(), StoreError, _>(async |conn| {
            let [account, client] = rows::lock(conn, self.subjects()).await?;
            self.account.give_back(conn, account).await?;
            self.client.give_back(conn, client).await
        })
        .await
    }

    const fn subjects(&self) -> [&SubjectKey; 2] {
        [&self.account.subject, &self.client.subject]
    }
}

impl Charge {
    async fn give_back(&self, conn: &mut Conn, past: Option<Failures>) -> Result<(), StoreError> {
        let Some(past) = past else {
            // forgotten meanwhile
            return Ok(());
        };
        match self.policy.given_back(past, self.admitted, clock::now()) {
            Some(failures) => rows::save(conn, &self.subject, failures).await,
            None => rows::forget(conn, &self.subject).await,
        }
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
