//! What the payment makes of a dispute that Stripe reports, and who is told of it.

use chassis::clock;
use contracts::{Context, DisputeId, Money, OrderId};
use diesel::QueryResult;
use messaging::Conn;
use messaging::command::{self, Done};
use tracing::warn;

use super::inbox::{NotHeard, Outcome};
use crate::domain::{DisputeReport, DisputeStatus, on_dispute_reported};
use crate::metrics::PaymentMetrics;
use crate::store::DisputeRepository;

/// A dispute that has come to another status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DisputeNews {
    order_id: OrderId,
    dispute_id: DisputeId,
    reference: String,
    status: DisputeStatus,
    amount: Money,
}

impl DisputeNews {
    /// Tells operators: once for each status, and after it is committed. Neither line nor counter says whose money it is.
    pub(super) fn tell(&self, metrics: &PaymentMetrics) {
        metrics.disputes(self.status);
        warn!(
            saga.id = %self.order_id,
            dispute.id = %self.dispute_id,
            dispute.reference = self.reference,
            dispute.status = self.status.as_str(),
            dispute.amount = %self.amount,
            "a payment's dispute is {}",
            self.status.as_str()
        );
    }
}

/// Lets the payment hear of it, in the caller's transaction.
pub(super) async fn hear(
    conn: &mut Conn,
    order: OrderId,
    report: &DisputeReport,
) -> QueryResult<(Outcome, Option<DisputeNews>)> {
    let context = Context {
        now: clock::now(),
        fresh_id: clock::new_id(),
        cause_id: clock::new_id(),
        correlation_id: order.uuid(),
    };
    let service = <crate::PaymentService as chassis::Service>::NAME;
    let mut before = None;
    let done: Result<_, NotHeard> = command::execute(
        &DisputeRepository,
        conn,
        service,
        order.uuid(),
        &context,
        |payment, context| {
            let mut known = payment.iter().flat_map(|payment| &payment.disputes);
            before = known
                .find(|dispute| dispute.reference == report.reference)
                .map(|dispute| dispute.status);
            Ok(on_dispute_reported(payment, report, context)?)
        },
    )
    .await;
    match done {
        Ok(Done::Moved(stored)) => {
            let mut disputes = stored.state.disputes.into_iter();
            let dispute = disputes.find(|dispute| dispute.reference == report.reference);
            let news = dispute
                .filter(|dispute| before != Some(dispute.status))
                .map(|dispute| DisputeNews {
                    order_id: order,
                    dispute_id: dispute.id,
                    reference: dispute.reference,
                    status: dispute.status,
                    amount: dispute.amount,
                });
            Ok((Outcome::Applied, news))
        }
        Ok(Done::Unchanged(_)) => Ok((Outcome::Unchanged, None)),
        Err(NotHeard::Rejected(rejection)) => Ok((Outcome::Refused(rejection.detail), None)),
        Err(NotHeard::Database(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use contracts::Currency;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn operators_are_told_in_one_line_which_dispute_of_which_order_and_no_more() {
        let news = DisputeNews {
            order_id: OrderId::new(Uuid::from_u128(1)),
            dispute_id: DisputeId::new(Uuid::from_u128(2)),
            reference: "dp_1".to_owned(),
            status: DisputeStatus::NeedsResponse,
            amount: Money::new(1_999, Currency::EUR),
        };
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || news.tell(&PaymentMetrics::default()));
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "level": "WARN", "message": "a payment's dispute is needs_response", "target": module_path!()
                .trim_end_matches("::tests"),
            "saga.id": Uuid::from_u128(1), "dispute.id": Uuid::from_u128(2), "dispute.reference": "dp_1",
            "dispute.status": "needs_response", "dispute.amount": "19.99 EUR",
        });
        assert_eq!(line, expected);
    }
}
