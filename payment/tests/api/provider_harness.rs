//! The simulated provider with books of its own, asked as the service asks it.

use std::time::Duration;

use chassis::database;
use chassis::settings::DatabaseSettings;
use contracts::{Currency, Money, UserId};
use payment::domain::ChargeAnswer;
use payment::provider::{Ledger, Mode, PaymentProvider, ProviderError, Setting, SimulatedProvider};
use serde_json::Value;
use stack::postgres::TestDatabase;

use crate::harness::{self, PRICE};

/// How late `pm_provider_slow` answers.
pub(crate) const SLOW: Duration = Duration::from_millis(200);

/// How long anything of the provider may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Provider {
    pub(crate) simulated: SimulatedProvider,
    pub(crate) database: TestDatabase,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let database = harness::database().await;
        let settings = DatabaseSettings {
            url: database.url().into(),
            pool_size: 8,
            background_pool_size: 8,
            wait_timeout_ms: 30_000,
            statement_timeout_ms: 30_000,
            idle_in_transaction_timeout_ms: 60_000,
            start_timeout_s: 30,
        };
        let pool = database::background_pool(&settings).unwrap();
        Self {
            simulated: SimulatedProvider::new(Ledger::new(pool, PATIENCE), SLOW, PATIENCE),
            database,
        }
    }

    /// Forces it; nothing is late.
    pub(crate) async fn force(&self, mode: Mode, remaining: Option<u32>) {
        self.force_late(mode, remaining, 0).await;
    }

    pub(crate) async fn force_late(&self, mode: Mode, remaining: Option<u32>, latency_ms: u32) {
        let setting = Setting {
            mode,
            remaining,
            latency_ms,
        };
        self.simulated
            .force(UserId::new(chassis::clock::new_id()), &setting)
            .await
            .unwrap();
    }

    pub(crate) async fn remaining(&self) -> Option<u32> {
        self.simulated.setting().await.unwrap().remaining
    }

    pub(crate) async fn charge(&self, key: &str, method: &str) -> Result<ChargeAnswer, ProviderError> {
        self.simulated.charge(key, PRICE, method).await
    }

    /// The reference of a charge that must be approved.
    pub(crate) async fn taken(&self, key: &str, method: &str) -> String {
        reference(self.charge(key, method).await.unwrap())
    }

    /// What the books say of the charge.
    pub(crate) async fn books(&self, key: &str) -> Value {
        harness::charge_of(&self.database, key).await.unwrap()
    }

    /// Charges that took money.
    pub(crate) async fn taken_in_all(&self) -> usize {
        let query = "select idempotency_key from simulator.charge where status = 'approved'";
        harness::rows(&self.database, query).await.len()
    }

    /// Asks for a charge whose answer never comes, until the books say that it has taken the money.
    pub(crate) async fn taken_in_silence(&self, key: &str, method: &str) {
        let written = harness::until("the money is taken", async || {
            let charge = harness::charge_of(&self.database, key).await?;
            (charge["status"] == "approved").then_some(())
        });
        tokio::select! {
            answer = self.charge(key, method) => panic!("it answered: {answer:?}"),
            () = written => {}
        }
    }
}

pub(crate) fn euros(amount_minor: i64) -> Money {
    Money::new(amount_minor, Currency::EUR)
}

#[track_caller]
pub(crate) fn reference(answer: ChargeAnswer) -> String {
    match answer {
        ChargeAnswer::Approved { reference } => reference,
        ChargeAnswer::Declined { .. } | ChargeAnswer::Voided => panic!("{answer:?}"),
    }
}

pub(crate) fn declined(code: &str) -> ChargeAnswer {
    let code = code.to_owned();
    ChargeAnswer::Declined { code }
}

pub(crate) fn has_failed(answer: &Result<ChargeAnswer, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Failed(_)))
}

pub(crate) fn is_refused<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Refused(_)))
}
