//! A provider for trying things out: behaves by the payment method, or as it is forced to. It keeps its own books, in
//! tables and transactions of its own, as a provider outside would.

mod behaviour;
mod books;

use std::time::Duration;

use async_trait::async_trait;
use chassis::{Pool, clock};
use contracts::Money;
use diesel::QueryResult;
use diesel_async::AsyncConnection;

use self::behaviour::{Behaviour, behaviour};
use self::books::{Charge, Verdict};
use super::{PaymentProvider, ProviderError};
use crate::domain::{ChargeAnswer, VoidAnswer};

pub use self::behaviour::{Mode, Setting};

/// The simulated provider.
#[derive(Clone)]
pub struct SimulatedProvider {
    pool: Pool,
    slow: Duration,
}

/// What is to happen after the books are written.
enum Reply {
    Answer(ChargeAnswer),
    /// Answers late.
    Late(ChargeAnswer, Duration),
    /// Fails this time.
    Error,
    /// The money is taken, but the answer never comes.
    Silence,
}

impl SimulatedProvider {
    /// A provider whose books are in the database of `pool`, and which takes `slow` where it is to be slow.
    #[must_use]
    pub fn new(pool: Pool, slow: Duration) -> Self {
        Self { pool, slow }
    }

    /// How it is forced to behave.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] when its books cannot be reached.
    pub async fn setting(&self) -> Result<Setting, ProviderError> {
        let mut conn = self.pool.get().await.map_err(unreachable)?;
        books::setting(&mut conn).await.map_err(unreachable)
    }

    /// Forces it to behave so from now on.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] when its books cannot be reached.
    pub async fn force(&self, setting: &Setting) -> Result<Setting, ProviderError> {
        let mut conn = self.pool.get().await.map_err(unreachable)?;
        books::force(&mut conn, setting).await.map_err(unreachable)
    }

    async fn reply(
        &self,
        key: &str,
        amount: Money,
        method: &str,
    ) -> QueryResult<Result<Reply, ProviderError>> {
        let mut conn = match self.pool.get().await {
            Ok(conn) => conn,
            Err(error) => return Ok(Err(unreachable(error))),
        };
        let slow = self.slow;
        conn.transaction(async |conn| {
            let setting = books::setting_for_charge(conn).await?;
            let charge = books::open(conn, key, amount, method).await?;
            let latency = Duration::from_millis(u64::from(setting.latency_ms));
            if let Some(answer) = charge.answer() {
                return Ok(Ok(Reply::Answer(answer)));
            }
            if !charge.is_for(amount, method) {
                return Ok(Err(ProviderError::Refused(
                    "the key was used for another charge".to_owned(),
                )));
            }
            let chosen = behaviour(&setting, &charge, method);
            books::note_forced(conn, &setting, key, &chosen).await?;
            decide(conn, key, &charge, chosen.behaviour, latency, slow)
                .await
                .map(Ok)
        })
        .await
    }
}

async fn decide(
    conn: &mut messaging::Conn,
    key: &str,
    charge: &Charge,
    behaviour: Behaviour,
    latency: Duration,
    slow: Duration,
) -> QueryResult<Reply> {
    let reference = || format!("sim_ch_{}", clock::new_id().simple());
    let verdict = match behaviour {
        Behaviour::Approve | Behaviour::Slow | Behaviour::Silent => Verdict::Approved(reference()),
        Behaviour::Flaky if charge.attempts > FLAKY_FAILURES => Verdict::Approved(reference()),
        Behaviour::Decline(code) => Verdict::Declined(code),
        Behaviour::Flaky | Behaviour::Fail => return Ok(Reply::Error),
    };
    books::conclude(conn, key, &verdict).await?;
    let answer = match verdict {
        Verdict::Approved(reference) => ChargeAnswer::Approved { reference },
        Verdict::Declined(code) => ChargeAnswer::Declined {
            code: code.to_owned(),
        },
    };
    Ok(match behaviour {
        Behaviour::Silent => Reply::Silence,
        Behaviour::Slow => Reply::Late(answer, latency.saturating_add(slow)),
        Behaviour::Approve | Behaviour::Decline(_) | Behaviour::Flaky | Behaviour::Fail => {
            Reply::Late(answer, latency)
        }
    })
}

/// `pm_provider_flaky` fails this often, then approves.
const FLAKY_FAILURES: i32 = 2;

#[async_trait]
impl PaymentProvider for SimulatedProvider {
    async fn charge(&self, key: &str, amount: Money, method: &str) -> Result<ChargeAnswer, ProviderError> {
        match self.reply(key, amount, method).await.map_err(unreachable)?? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Late(answer, latency) => {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                Ok(answer)
            }
            Reply::Error => Err(ProviderError::Failed("simulated outage".to_owned())),
            Reply::Silence => std::future::pending().await,
        }
    }

    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError> {
        let mut conn = self.pool.get().await.map_err(unreachable)?;
        books::void(&mut conn, key).await.map_err(unreachable)
    }

    async fn refund(&self, key: &str) -> Result<String, ProviderError> {
        let mut conn = self.pool.get().await.map_err(unreachable)?;
        let reference = format!("sim_re_{}", clock::new_id().simple());
        books::refund(&mut conn, key, &reference)
            .await
            .map_err(unreachable)?
            .ok_or_else(|| ProviderError::Refused("there is no captured charge to give back".to_owned()))
    }
}

fn unreachable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ProviderError {
    ProviderError::Unreachable(error.into())
}
