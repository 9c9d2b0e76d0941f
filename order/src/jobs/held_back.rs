//! Shows which overdue orders are held back: in the status and the metrics at every sweep, in the log once.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use messaging::{DeadlineHold, FenceError, HeldBack, HoldReason};

use crate::store::overdue::Remaining;

/// What is held back for no longer than this is not worth a line: the consumer is a batch behind.
const QUIET: Duration = Duration::from_secs(10);

/// What this replica holds back, and what it has logged of it.
pub(crate) struct Holding {
    hold: DeadlineHold,
    begun_at: Option<Instant>,
    logged: bool,
    operator_logged: bool,
    error_logged: bool,
}

impl Holding {
    /// Orders that are named to an operator at most.
    pub(crate) const NAMED: i64 = 10;

    pub(crate) fn new(hold: DeadlineHold) -> Self {
        Self {
            hold,
            begun_at: None,
            logged: false,
            operator_logged: false,
            error_logged: false,
        }
    }

    /// Kafka was asked how far the service has read. The first error after an answer is logged.
    pub(crate) fn asked(&mut self, error: Option<&FenceError>) {
        let Some(error) = error else {
            self.error_logged = false;
            return;
        };
        if !std::mem::replace(&mut self.error_logged, true) {
            tracing::warn!(
                error.message = %error,
                "it is not known how far payments have been read, overdue orders wait"
            );
        }
    }

    /// Nothing is held back.
    pub(crate) fn ended(&mut self) {
        if self.logged {
            tracing::info!("overdue orders are judged again");
        }
        self.begun_at = None;
        self.logged = false;
        self.operator_logged = false;
        self.hold.set(None);
    }

    /// `remaining` is held back for `reason`; the oldest has been due since `since`.
    pub(crate) fn holds(
        &mut self,
        remaining: Remaining,
        since: DateTime<Utc>,
        reason: HoldReason,
        read_through: Option<DateTime<Utc>>,
    ) {
        let begun_at = *self.begun_at.get_or_insert_with(Instant::now);
        if !self.logged && begun_at.elapsed() >= QUIET {
            self.logged = true;
            tracing::warn!(
                orders.held_back = remaining.orders,
                orders.since = %since,
                reason = reason.as_str(),
                "overdue orders are held back until all that was said before their deadline is read"
            );
        }
        let needed = remaining.need_operator > 0;
        if needed && !self.operator_logged {
            tracing::error!(
                orders.need_operator = remaining.need_operator,
                orders.oldest = ?remaining.operator_decides,
                reason = reason.as_str(),
                "overdue orders are held back for too long, an operator must decide about them"
            );
        }
        self.operator_logged = needed;
        self.hold.set(Some(HeldBack {
            aggregates: remaining.orders,
            since,
            reason,
            need_operator: remaining.need_operator,
            operator_decides: remaining.operator_decides,
            read_through,
        }));
    }
}
