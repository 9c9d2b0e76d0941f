//! Settings of this service besides those every service has.

use std::num::NonZeroI64;
use std::time::Duration;

use chrono::TimeDelta;
use messaging::MessagingSettings;
use serde::Deserialize;

use crate::domain::PaymentMethods;

/// The service's own sections.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// How long an order may wait.
    pub saga: SagaSettings,
    /// How long keys are remembered.
    pub idempotency: IdempotencySettings,
    /// Who may follow orders.
    pub streams: StreamSettings,
    /// What may be offered.
    pub catalogue: CatalogueSettings,
    /// How orders may be paid.
    pub payment_methods: PaymentMethodSettings,
    /// Limits of the messaging kernel.
    #[serde(default)]
    pub messaging: MessagingSettings,
}

/// `saga.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SagaSettings {
    /// How long an order may wait for its payment, in seconds.
    pub deadline_s: u32,
    /// How often overdue orders are looked for, in milliseconds.
    pub deadline_poll_ms: u32,
    /// Overdue orders found at a time.
    pub deadline_batch: u16,
    /// How long Kafka has to tell how far payments have been read, in milliseconds.
    pub deadline_read_timeout_ms: u32,
    /// After an outage of Kafka nothing is judged before it has answered for so long, in milliseconds.
    pub deadline_settle_ms: u32,
    /// How long after its deadline an order that is held back needs an operator, in seconds.
    pub deadline_operator_s: u32,
}

impl SagaSettings {
    /// How long an order may wait for its payment.
    #[must_use]
    pub fn patience(&self) -> TimeDelta {
        TimeDelta::seconds(self.deadline_s.into())
    }

    /// How often overdue orders are looked for.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.deadline_poll_ms.max(1).into())
    }

    /// How long Kafka has to tell how far payments have been read.
    #[must_use]
    pub fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.deadline_read_timeout_ms.max(1).into())
    }

    /// How long Kafka must have answered after an outage before anything is judged.
    #[must_use]
    pub fn settle(&self) -> Duration {
        Duration::from_millis(self.deadline_settle_ms.into())
    }

    /// How long after its deadline an order that is held back needs an operator.
    #[must_use]
    pub fn operator_after(&self) -> TimeDelta {
        TimeDelta::seconds(self.deadline_operator_s.into())
    }

    /// Overdue orders found at a time.
    #[must_use]
    pub fn batch(&self) -> i64 {
        self.deadline_batch.max(1).into()
    }
}

/// `payment_methods.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentMethodSettings {
    /// Whose payment methods are taken.
    pub kind: PaymentMethods,
}

/// `catalogue.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueSettings {
    /// The highest price of a product, in minor units.
    pub price_max_minor: NonZeroI64,
}

/// `idempotency.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySettings {
    /// How long a key is remembered, in seconds.
    pub retention_s: u32,
    /// How often older ones are looked for, in milliseconds.
    pub sweep_ms: u32,
    /// How long a request waits for another that has its key in hand, in milliseconds.
    pub wait_ms: u32,
}

impl IdempotencySettings {
    /// How long a key is remembered.
    #[must_use]
    pub fn retention(&self) -> TimeDelta {
        TimeDelta::seconds(self.retention_s.into())
    }

    /// How long a request waits for another that has its key in hand.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.wait_ms.max(1).into())
    }

    /// How often older ones are looked for.
    #[must_use]
    pub fn sweep_every(&self) -> Duration {
        Duration::from_millis(self.sweep_ms.max(1).into())
    }
}

/// `streams.*`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// How many orders a user may follow at once in one process.
    pub per_user: usize,
    /// How many streams a process has at most.
    pub per_process: usize,
    /// How long whoever finds no seat waits for one, in milliseconds.
    pub seat_wait_ms: u32,
    /// How often new facts are looked for, in milliseconds: one query for all streams of the process.
    pub poll_ms: u32,
    /// How often a stream on which nothing happens gives a sign of life, in milliseconds.
    pub heartbeat_ms: u32,
}

impl StreamSettings {
    /// How often new facts are looked for.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms.max(1).into())
    }

    /// How long whoever finds no seat waits for one.
    #[must_use]
    pub fn seat_wait(&self) -> Duration {
        Duration::from_millis(self.seat_wait_ms.into())
    }

    /// How often a stream gives a sign of life.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.max(1).into())
    }
}
