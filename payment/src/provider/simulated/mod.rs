//! A provider for trying things out: behaves by the payment method, or as it is forced to. It keeps its own books, in
//! tables and transactions of its own, as a provider outside would.

mod behaviour;
mod books;

use std::time::Duration;

use async_trait::async_trait;
use chassis::clock;
use contracts::{Money, UserId};
use diesel_async::AsyncConnection;
use messaging::Conn;
use messaging::operations::{self, Deed};
use tokio::time::{sleep, timeout};

use self::behaviour::{Behaviour, behaviour};
use super::{Ledger, PaymentProvider, ProviderError};
use crate::domain::{ChargeAnswer, VoidAnswer};

pub use self::behaviour::{Mode, Setting};

/// The simulated provider.
#[derive(Clone)]
pub struct SimulatedProvider {
    ledger: Ledger,
    slow: Duration,
    patience: Duration,
}

/// What is to happen after the books are written.
enum Reply {
    /// Answers, perhaps late.
    Answer(ChargeAnswer, Duration),
    /// Fails this time.
    Error,
    /// The money is taken, but the answer never comes.
    Silence,
}

impl SimulatedProvider {
    /// A provider whose books are `ledger`, which takes `slow` where it is to be slow, and is waited for as long as
    /// `patience`.
    #[must_use]
    pub fn new(ledger: Ledger, slow: Duration, patience: Duration) -> Self {
        Self {
            ledger,
            slow,
            patience,
        }
    }

    /// How it is forced to behave.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] when its books cannot be reached.
    pub async fn setting(&self) -> Result<Setting, ProviderError> {
        let now = self.ledger.entry(async |conn| books::setting(conn).await).await?;
        Ok(now.setting)
    }

    /// Forces it to behave so from now on, because `actor` says so: the audit tells.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] when its books cannot be reached.
    pub async fn force(&self, actor: UserId, setting: &Setting) -> Result<Setting, ProviderError> {
        let forced = async |conn: &mut Conn| {
            let before = books::setting_to_change(conn).await?.setting;
            let now = books::force(conn, setting).await?.setting;
            let deed = Deed {
                actor: actor.uuid(),
                action: "force-payments",
                resource: "/payments/simulator",
                before: Some(before.audited()),
                after: Some(now.audited()),
            };
            operations::record(conn, deed).await?;
            Ok::<_, diesel::result::Error>(now)
        };
        self.ledger
            .entry(async |conn| conn.transaction(forced).await)
            .await
    }

    /// Writes the books; what comes after needs no connection any more.
    async fn settle(&self, key: &str, amount: Money, method: &str) -> Result<Reply, ProviderError> {
        self.ledger
            .entry(async |conn| self.write(conn, key, amount, method).await)
            .await
    }

    async fn write(
        &self,
        conn: &mut Conn,
        key: &str,
        amount: Money,
        method: &str,
    ) -> Result<Reply, ProviderError> {
        let slow = self.slow;
        conn.transaction(async |conn| {
            let now = books::setting_for_charge(conn).await?;
            let charge = books::open(conn, key, amount, method).await?;
            if !charge.is_for(amount, method) {
                let reason = "the key was used for another charge".to_owned();
                return Err(ProviderError::Refused(reason));
            }
            if let Some(answer) = charge.answer() {
                return Ok(Reply::Answer(answer, Duration::ZERO));
            }
            let chosen = behaviour(&now, charge.forced, method);
            books::note_forced(conn, &now, key, &chosen).await?;
            let Some(answer) = answer(chosen.behaviour, charge.attempts) else {
                return Ok(Reply::Error);
            };
            books::conclude(conn, key, &answer).await?;
            let latency = Duration::from_millis(u64::from(now.setting.latency_ms));
            Ok(match chosen.behaviour {
                Behaviour::Silent => Reply::Silence,
                Behaviour::Slow => Reply::Answer(answer, latency.saturating_add(slow)),
                Behaviour::Approve | Behaviour::Decline(_) | Behaviour::Flaky | Behaviour::Fail => {
                    Reply::Answer(answer, latency)
                }
            })
        })
        .await
    }
}

/// How attempt number `attempt` (from 1) ends the charge; none when it fails.
fn answer(behaviour: Behaviour, attempt: i32) -> Option<ChargeAnswer> {
    match behaviour {
        Behaviour::Fail => None,
        Behaviour::Flaky if attempt <= FLAKY_FAILURES => None,
        Behaviour::Approve | Behaviour::Slow | Behaviour::Silent | Behaviour::Flaky => {
            let reference = format!("sim_ch_{}", clock::new_id().simple());
            Some(ChargeAnswer::Approved { reference })
        }
        Behaviour::Decline(code) => Some(ChargeAnswer::Declined {
            code: code.to_owned(),
        }),
    }
}

/// `pm_provider_flaky` fails this often, then approves.
const FLAKY_FAILURES: i32 = 2;

#[async_trait]
impl PaymentProvider for SimulatedProvider {
    async fn charge(&self, key: &str, amount: Money, method: &str) -> Result<ChargeAnswer, ProviderError> {
        match self.settle(key, amount, method).await? {
            Reply::Answer(answer, late) if late.is_zero() => Ok(answer),
            Reply::Answer(answer, late) => match timeout(self.patience, sleep(late)).await {
                Ok(()) => Ok(answer),
                Err(_elapsed) => Err(ProviderError::Silent(self.patience)),
            },
            Reply::Error => Err(ProviderError::Failed("simulated outage".to_owned())),
            Reply::Silence => {
                sleep(self.patience).await;
                Err(ProviderError::Silent(self.patience))
            }
        }
    }

    async fn void(&self, key: &str) -> Result<VoidAnswer, ProviderError> {
        self.ledger.entry(async |conn| books::void(conn, key).await).await
    }

    async fn refund(&self, key: &str) -> Result<String, ProviderError> {
        let reference = format!("sim_re_{}", clock::new_id().simple());
        self.ledger
            .entry(async |conn| books::refund(conn, key, &reference).await)
            .await?
            .ok_or_else(|| ProviderError::Refused("there is no captured charge to give back".to_owned()))
    }
}
