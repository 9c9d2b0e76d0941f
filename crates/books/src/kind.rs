//! The names of what may be wrong.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What is wrong. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = MismatchKind)]
        pub enum Kind {
            $($(#[$doc])* $name,)+
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

kinds! {
    /// A client was told of an order, or a fact or payment speaks of it, and it is not there.
    OrderMissing = "order_missing",
    /// The lines of an order do not add up to its total.
    OrderLinesDiffer = "order_lines_differ",
    /// An order has not followed its payment.
    OrderBehind = "order_behind",
    /// An order was pending for longer than its deadline.
    OrderOverdue = "order_overdue",
    /// An order was cancelled for a reason that its payment does not give.
    CancellationDiffers = "cancellation_differs",

    /// A state was reached without announcing it.
    FactMissing = "fact_missing",
    /// A state was announced more than once, under different ids.
    FactRepeated = "fact_repeated",
    /// A fact and the row it tells of do not say the same.
    FactDiffers = "fact_differs",
    /// A fact announces a state that its aggregate is not in.
    FactUnfounded = "fact_unfounded",
    /// What those who follow an order are shown of it is not what was announced.
    OrderFactDiffers = "order_fact_differs",
    /// A number is missing in the events of an aggregate.
    SequenceGap = "sequence_gap",
    /// Two events of an aggregate have the same number.
    SequenceRepeated = "sequence_repeated",
    /// The facts of a saga do not agree on which saga it is.
    CorrelationDiffers = "correlation_differs",
    /// A fact names a cause that does not exist.
    CausationUnknown = "causation_unknown",

    /// An order that is known to be placed has no payment.
    PaymentMissing = "payment_missing",
    /// A payment pays for no order.
    PaymentWithoutOrder = "payment_without_order",
    /// An order has several payments.
    PaymentRepeated = "payment_repeated",
    /// A payment is not of its order's total.
    PaymentAmountDiffers = "payment_amount_differs",
    /// A payment is not by its order's customer.
    PaymentCustomerDiffers = "payment_customer_differs",
    /// An order names another payment than the one that pays for it.
    PaymentIdDiffers = "payment_id_differs",
    /// A confirmed order is not paid.
    ConfirmedNotPaid = "confirmed_not_paid",
    /// Money is kept for an order that was cancelled or never paid.
    MoneyKept = "money_kept",
    /// An order does not know of its refund, or knows of one that was not made.
    RefundDiffers = "refund_differs",
    /// A payment or a delivery is open, and nothing is on the way to change that.
    ActionMissing = "action_missing",
    /// A payment was open for longer than it may be.
    PaymentOverdue = "payment_overdue",

    /// A payment speaks of a charge that the provider has not made.
    ChargeMissing = "charge_missing",
    /// The provider has a charge that no payment speaks of.
    ChargeWithoutPayment = "charge_without_payment",
    /// The provider charged an order more than once.
    ChargedTwice = "charged_twice",
    /// A charge and its payment do not say the same.
    ChargeDiffers = "charge_differs",
    /// A payment counts as given back, and the provider has not given it back.
    ChargeNotRefunded = "charge_not_refunded",
    /// The provider has given back what was to be kept.
    RefundUnfounded = "refund_unfounded",
    /// Captured less refunded is not what the confirmed orders cost.
    SumsDiffer = "sums_differ",

    /// A consumer is past a record that it has not taken charge of.
    EventNotConsumed = "event_not_consumed",
    /// A consumer has taken charge of an event that no topic has.
    EventVanished = "event_vanished",
    /// A fact that a user should have been told was not.
    NotificationMissing = "notification_missing",
    /// A notification and its fact do not say the same.
    NotificationDiffers = "notification_differs",
    /// A user was told what was never announced.
    NotificationWithoutFact = "notification_without_fact",
    /// A user was told the same of the same order more than once.
    NotificationRepeated = "notification_repeated",
    /// A fact is not in the gateway's timeline.
    TimelineMissing = "timeline_missing",
    /// The timeline and the fact do not say the same.
    TimelineDiffers = "timeline_differs",
    /// The timeline tells what was never announced.
    TimelineWithoutFact = "timeline_without_fact",

    /// A dead letter was announced, its row has gone, and it was not made good.
    DeadLetterLost = "dead_letter_lost",
    /// A dead letter lies in a database and was never announced.
    DeadLetterUnannounced = "dead_letter_unannounced",
    /// Records wait for their way to Kafka for too long.
    OutboxOverdue = "outbox_overdue",
    /// Work is due for too long.
    WorkOverdue = "work_overdue",
    /// Records wait for a consumer for too long.
    ConsumerOverdue = "consumer_overdue",
    /// The backlog was not drained within the time that was given.
    NotSettled = "not_settled",
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
