//! Damages to the databases, and how they are undone.

use stack::books::comparison::Kind;
use stack::postgres::connect;
use stack::{Service, Stack};
use uuid::Uuid;

/// What there is to damage.
pub(super) struct Orders {
    pub(super) confirmed: Uuid,
    pub(super) declined: Uuid,
    pub(super) refunded: Uuid,
    pub(super) stuck: Uuid,
    /// The event that nobody understands.
    pub(super) poison: Uuid,
}

/// One damage to one table.
pub(super) struct Damage {
    pub(super) what: &'static str,
    service: Service,
    table: &'static str,
    /// `{confirmed}` stands for that order, and so on.
    sql: &'static str,
    /// The names under which it must be found, and no others.
    pub(super) found: &'static [Kind],
}

/// Brings a table back to what it was.
pub(super) struct Undo {
    url: String,
    table: &'static str,
}

impl Damage {
    const fn to(
        what: &'static str,
        service: Service,
        table: &'static str,
        sql: &'static str,
        found: &'static [Kind],
    ) -> Self {
        Self {
            what,
            service,
            table,
            sql,
            found,
        }
    }

    pub(super) async fn inflict(&self, stack: &Stack, orders: &Orders) -> Undo {
        let url = stack.database_url(self.service).to_owned();
        let sql = [
            ("{confirmed}", orders.confirmed),
            ("{declined}", orders.declined),
            ("{refunded}", orders.refunded),
            ("{stuck}", orders.stuck),
            ("{poison}", orders.poison),
            ("{new}", Uuid::from_u128(orders.confirmed.as_u128() ^ 1)),
        ]
        .iter()
        .fold(self.sql.to_owned(), |sql, (name, id)| {
            sql.replace(name, &id.to_string())
        });
        let client = connect(&url).await.unwrap();
        for table in together(self.table) {
            let keep = format!("create table {} as select * from {table}", copy(table));
            client.batch_execute(&keep).await.unwrap();
        }
        let touched = client
            .execute(&sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.what));
        assert!(touched > 0, "{}: nothing was damaged", self.what);
        Undo {
            url,
            table: self.table,
        }
    }
}

impl Undo {
    pub(super) async fn run(self) {
        let client = connect(&self.url).await.unwrap();
        let tables = together(self.table);
        let back: String = tables
            .iter()
            .map(|table| {
                let copy = copy(table);
                format!(
                    "delete from {table}; insert into {table} overriding system value select * from {copy}; drop table {copy};"
                )
            })
            .collect();
        client
            .batch_execute(&format!("begin; {back} commit"))
            .await
            .unwrap();
    }
}

/// The table, and what goes with its rows.
fn together(table: &'static str) -> Vec<&'static str> {
    match table {
        "orders" => vec!["orders", "order_fact"],
        alone => vec![alone],
    }
}

fn copy(table: &str) -> String {
    format!("{}_as_it_was", table.replace('.', "_"))
}

use Kind::*;
use Service::{Auth, Gateway, Notification, Order, Payment};

pub(super) const DAMAGES: &[Damage] = &[
    Damage::to(
        "an order line removed",
        Order,
        "orders",
        "update orders set items = items - 1 where id = '{confirmed}'",
        &[OrderLinesDiffer, FactDiffers],
    ),
    Damage::to(
        "an order's total changed",
        Order,
        "orders",
        "update orders set total_minor = total_minor + 1 where id = '{confirmed}'",
        &[OrderLinesDiffer, FactDiffers, PaymentAmountDiffers, SumsDiffer],
    ),
    Damage::to(
        "an order moved to another customer",
        Order,
        "orders",
        "update orders set customer_id = '{new}' where id = '{confirmed}'",
        &[FactDiffers, PaymentCustomerDiffers],
    ),
    Damage::to(
        "a confirmed order pending again",
        Order,
        "orders",
        "update orders set status = 'pending' where id = '{confirmed}'",
        &[OrderBehind, FactUnfounded, SumsDiffer],
    ),
    Damage::to(
        "a declined order confirmed",
        Order,
        "orders",
        "update orders set status = 'confirmed', cancellation_reason = null, payment_id = '{new}' where id = '{declined}'",
        &[
            ConfirmedNotPaid,
            PaymentIdDiffers,
            FactUnfounded,
            FactMissing,
            SumsDiffer,
        ],
    ),
    Damage::to(
        "another reason of cancellation",
        Order,
        "orders",
        "update orders set cancellation_reason = 'payment_timeout', cancellation_code = null where id = '{declined}'",
        &[FactDiffers],
    ),
    Damage::to(
        "an order that names another payment",
        Order,
        "orders",
        "update orders set payment_id = '{new}' where id = '{confirmed}'",
        &[FactDiffers, PaymentIdDiffers],
    ),
    Damage::to(
        "an order that forgot its refund",
        Order,
        "orders",
        "update orders set refunded = false where id = '{refunded}'",
        &[RefundDiffers],
    ),
    Damage::to(
        "an order that has announced more than the topics have",
        Order,
        "orders",
        "update orders set announced = announced + 1 where id = '{confirmed}'",
        &[SequenceGap],
    ),
    Damage::to(
        "a follower of an order shown another number",
        Order,
        "order_fact",
        "update order_fact set sequence = sequence + 1 where order_id = '{confirmed}' and topic = 'order.confirmed'",
        &[OrderFactDiffers],
    ),
    Damage::to(
        "a follower of an order shown something else",
        Order,
        "order_fact",
        "update order_fact set data = data || '{\"code\": \"made up\"}' where order_id = '{declined}' \
         and topic = 'order.cancelled'",
        &[OrderFactDiffers],
    ),
    Damage::to(
        "a delivery that nobody attempts",
        Notification,
        "delivery",
        "insert into delivery (id, user_id, channel, status, created_at, updated_at, version) \
         select id, user_id, 'email', 'sending', created_at, created_at, 1 from notification \
         where order_id = '{confirmed}' and kind = 'order_confirmed'",
        &[ActionMissing],
    ),
    Damage::to(
        "an order removed",
        Order,
        "orders",
        "delete from orders where id = '{confirmed}'",
        &[OrderMissing, PaymentWithoutOrder, SumsDiffer],
    ),
    Damage::to(
        "a payment's amount changed",
        Payment,
        "payment",
        "update payment set amount_minor = amount_minor - 1 where order_id = '{confirmed}'",
        &[PaymentAmountDiffers, FactDiffers, ChargeDiffers],
    ),
    Damage::to(
        "a payment removed",
        Payment,
        "payment",
        "delete from payment where order_id = '{confirmed}'",
        &[PaymentMissing, ChargeWithoutPayment],
    ),
    Damage::to(
        "a payment without an order",
        Payment,
        "payment",
        "insert into payment (order_id, id, customer_id, amount_minor, currency, payment_method, status, provider, \
         announced, version, created_at, updated_at) select '{new}', '{new}', customer_id, amount_minor, currency, \
         payment_method, 'voided', provider, 0, 1, created_at, updated_at from payment where order_id = '{confirmed}'",
        &[PaymentWithoutOrder],
    ),
    Damage::to(
        "a payment refunded without a refund",
        Payment,
        "payment",
        "update payment set status = 'refunded', refund_reference = 'made up' where order_id = '{confirmed}'",
        &[ConfirmedNotPaid, ChargeNotRefunded, FactMissing],
    ),
    Damage::to(
        "a refunded payment completed again",
        Payment,
        "payment",
        "update payment set status = 'completed', refund_reference = null where order_id = '{refunded}'",
        &[MoneyKept, RefundUnfounded, FactUnfounded],
    ),
    Damage::to(
        "a declined payment voided",
        Payment,
        "payment",
        "update payment set status = 'voided', failure_code = null where order_id = '{declined}'",
        &[CancellationDiffers, FactUnfounded],
    ),
    Damage::to(
        "a dispute that was never announced",
        Payment,
        "dispute",
        "insert into dispute (id, payment_id, order_id, provider, provider_reference, amount_minor, currency, reason, status, \
         opened_at, reported_at, created_at, updated_at) select '{new}', id, order_id, provider, 'dp_made_up', amount_minor, \
         currency, 'fraudulent', 'needs_response', created_at, created_at, created_at, created_at \
         from payment where order_id = '{confirmed}'",
        &[FactMissing],
    ),
    Damage::to(
        "a dispute lost without a word",
        Payment,
        "dispute",
        "insert into dispute (id, payment_id, order_id, provider, provider_reference, amount_minor, currency, reason, status, \
         opened_at, closed_at, reported_at, created_at, updated_at) select '{new}', id, order_id, provider, 'dp_made_up', \
         amount_minor, currency, 'fraudulent', 'lost', created_at, created_at, created_at, created_at, created_at \
         from payment where order_id = '{confirmed}'",
        &[FactMissing, SumsDiffer],
    ),
    Damage::to(
        "a dispute of a payment that is not there",
        Payment,
        "dispute",
        "insert into dispute (id, payment_id, order_id, provider, provider_reference, amount_minor, currency, reason, status, \
         opened_at, reported_at, created_at, updated_at) select '{new}', '{new}', '{new}', provider, 'dp_made_up', \
         amount_minor, currency, 'fraudulent', 'needs_response', created_at, created_at, created_at, created_at \
         from payment where order_id = '{confirmed}'",
        &[PaymentMissing],
    ),
    Damage::to(
        "a charge duplicated",
        Payment,
        "simulator.charge",
        "insert into simulator.charge select idempotency_key || '-again', amount_minor, currency, payment_method, status, \
         'made up', failure_code, refund_reference, attempts, forced_mode, forced_generation, created_at \
         from simulator.charge where idempotency_key = '{confirmed}'",
        &[ChargedTwice, SumsDiffer],
    ),
    Damage::to(
        "a charge for an order that nobody knows",
        Payment,
        "simulator.charge",
        "insert into simulator.charge select '{new}', amount_minor, currency, payment_method, status, \
         'made up', failure_code, refund_reference, attempts, forced_mode, forced_generation, created_at \
         from simulator.charge where idempotency_key = '{confirmed}'",
        &[ChargeWithoutPayment, SumsDiffer],
    ),
    Damage::to(
        "a charge removed",
        Payment,
        "simulator.charge",
        "delete from simulator.charge where idempotency_key = '{confirmed}'",
        &[ChargeMissing, SumsDiffer],
    ),
    Damage::to(
        "a charge of another amount",
        Payment,
        "simulator.charge",
        "update simulator.charge set amount_minor = amount_minor + 1 where idempotency_key = '{confirmed}'",
        &[ChargeDiffers, SumsDiffer],
    ),
    Damage::to(
        "a refund that the provider never made",
        Payment,
        "simulator.charge",
        "update simulator.charge set refund_reference = null where idempotency_key = '{refunded}'",
        &[ChargeNotRefunded, SumsDiffer],
    ),
    Damage::to(
        "a refund of what is to be kept",
        Payment,
        "simulator.charge",
        "update simulator.charge set refund_reference = 'made up' where idempotency_key = '{confirmed}'",
        &[RefundUnfounded, SumsDiffer],
    ),
    Damage::to(
        "money taken for a declined payment",
        Payment,
        "simulator.charge",
        "update simulator.charge set status = 'approved', reference = 'made up' where idempotency_key = '{declined}'",
        &[MoneyKept, SumsDiffer],
    ),
    Damage::to(
        "a dead action's row removed",
        Payment,
        "work",
        "delete from work where kind = 'action' and state = 'dead'",
        &[DeadLetterLost],
    ),
    Damage::to(
        "a dead message's row removed",
        Notification,
        "work",
        "delete from work where event_id = '{poison}'",
        &[DeadLetterLost],
    ),
    Damage::to(
        "a dead letter that was never announced",
        Notification,
        "work",
        "update work set id = '{new}' where event_id = '{poison}'",
        &[DeadLetterUnannounced],
    ),
    Damage::to(
        "an event that payment never took charge of",
        Payment,
        "processed_event",
        "delete from processed_event where event_id = (select event_id from processed_event order by event_id limit 1)",
        &[EventNotConsumed],
    ),
    Damage::to(
        "an event that no topic has",
        Order,
        "processed_event",
        "insert into processed_event values ('{new}')",
        &[EventVanished],
    ),
    Damage::to(
        "a notification removed",
        Notification,
        "notification",
        "delete from notification where order_id = '{confirmed}' and kind = 'order_confirmed'",
        &[NotificationMissing],
    ),
    Damage::to(
        "a welcome removed",
        Notification,
        "notification",
        "delete from notification where kind = 'welcome'",
        &[NotificationMissing],
    ),
    Damage::to(
        "a notification to somebody else",
        Notification,
        "notification",
        "update notification set user_id = '{new}' where order_id = '{confirmed}' and kind = 'order_confirmed'",
        &[NotificationDiffers],
    ),
    Damage::to(
        "a notification doubled",
        Notification,
        "notification",
        "insert into notification select '{new}', user_id, order_id, kind, channel, title, body, created_at, read_at \
         from notification where order_id = '{confirmed}' and kind = 'order_confirmed'",
        &[NotificationRepeated],
    ),
    Damage::to(
        "a notification made up",
        Notification,
        "notification",
        "insert into notification select '{new}', user_id, order_id, 'payment_refunded', channel, title, body, created_at,          read_at from notification where order_id = '{confirmed}' and kind = 'order_confirmed'",
        &[NotificationWithoutFact],
    ),
    Damage::to(
        "an entry of the timeline removed",
        Gateway,
        "timeline_entry",
        "delete from timeline_entry where order_id = '{confirmed}' and type = 'payment.completed'",
        &[TimelineMissing],
    ),
    Damage::to(
        "an entry of the timeline changed",
        Gateway,
        "timeline_entry",
        "update timeline_entry set data = data || '{\"provider_reference\": \"made up\"}' \
         where order_id = '{confirmed}' and type = 'payment.completed'",
        &[TimelineDiffers],
    ),
    Damage::to(
        "an entry of the timeline made up",
        Gateway,
        "timeline_entry",
        "insert into timeline_entry select '{new}', order_id, customer_id, type, source, occurred_at, causation_id, \
         correlation_id, sequence, data, recorded_at from timeline_entry \
         where order_id = '{confirmed}' and type = 'payment.completed'",
        &[TimelineWithoutFact],
    ),
    Damage::to(
        "a user whom nobody announced",
        Auth,
        "users",
        "insert into users select '{new}', 'nobody@example.org', display_name, role, disabled, password_hash, 0, \
         created_at, updated_at from users limit 1",
        &[FactMissing],
    ),
];
