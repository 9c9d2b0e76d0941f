use contracts::events::{
    CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, OrderLine, PaymentCompleted,
    PaymentFailed, PaymentRefunded, UserRegistered,
};
use contracts::{Currency, Money, PaymentId};

use super::*;

const EVENT: Uuid = Uuid::from_u128(0x01936d9a_7c00_7000_8000_000000000001);
const ORDER: OrderId = OrderId::new(Uuid::from_u128(0x01936d9a_7c00_7000_8000_00000000000a));
const PAYMENT: PaymentId = PaymentId::new(Uuid::from_u128(0x01936d9a_7c00_7000_8000_00000000000b));
const USER: UserId = UserId::new(Uuid::from_u128(0x01936d9a_7c00_7000_8000_00000000000c));
const PRICE: Money = Money::new(2_598, Currency::EUR);

fn context() -> Context {
    Context {
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        fresh_id: Uuid::from_u128(99),
        cause_id: EVENT,
        correlation_id: ORDER.uuid(),
    }
}

fn told<F: Wording + Detailed>(fact: &F) -> Notification {
    match notify(None, fact, &context()) {
        Ok(Step::Next(next)) => {
            assert!(next.events.is_empty() && next.actions.is_empty());
            next.state
        }
        other => panic!("not told: {other:?}"),
    }
}

fn registered(display_name: Option<&str>) -> UserRegistered {
    UserRegistered {
        user_id: USER,
        email: "ada@example.org".to_owned(),
        display_name: display_name.map(ToOwned::to_owned),
    }
}

fn created(quantities: &[i32]) -> OrderCreated {
    let line = |quantity: &i32| OrderLine {
        sku: "TEA".to_owned(),
        name: "Tea".to_owned(),
        quantity: *quantity,
        unit_price: PRICE,
    };
    OrderCreated {
        order_id: ORDER,
        customer_id: USER,
        items: quantities.iter().map(line).collect(),
        total: PRICE,
        payment_method: "pm_card_visa".to_owned(),
    }
}

fn cancelled(reason: CancellationReason, code: Option<&str>) -> OrderCancelled {
    OrderCancelled {
        order_id: ORDER,
        customer_id: USER,
        total: PRICE,
        reason,
        code: code.map(ToOwned::to_owned),
    }
}

fn failed(code: &str) -> PaymentFailed {
    PaymentFailed {
        payment_id: PAYMENT,
        order_id: ORDER,
        customer_id: USER,
        amount: PRICE,
        failure_code: code.to_owned(),
    }
}

#[test]
fn a_fact_becomes_a_notification_of_its_user_with_the_events_id_and_time() {
    let confirmed = OrderConfirmed {
        order_id: ORDER,
        customer_id: USER,
        payment_id: PAYMENT,
        total: PRICE,
    };
    assert_eq!(
        told(&confirmed),
        Notification {
            id: EventId::new(EVENT),
            user_id: USER,
            order_id: Some(ORDER),
            kind: Kind::OrderConfirmed,
            channel: Channel::InApp,
            title: "Order confirmed".to_owned(),
            body: "Your order for €25.98 is paid and confirmed.".to_owned(),
            created_at: "2024-11-27T12:31:01.120Z".parse().unwrap(),
            address: None,
            details: Details {
                status: Some("confirmed".to_owned()),
                amount: Some(PRICE),
                payment_id: Some(PAYMENT),
                ..Details::default()
            },
        }
    );
}

#[test]
fn what_has_been_told_is_not_told_again() {
    let fact = created(&[1]);
    let before = told(&fact);
    assert_eq!(notify(Some(before), &fact, &context()), Ok(Step::Unchanged));
}

#[test]
fn a_new_user_is_welcomed_by_name_where_there_is_one() {
    let welcome = told(&registered(Some("Ada")));
    assert_eq!((welcome.kind, welcome.order_id), (Kind::Welcome, None));
    assert_eq!(welcome.body, "Hello Ada, your account is ready.");
    assert_eq!(told(&registered(None)).body, "Your account is ready.");
}

#[test]
fn a_name_that_cannot_be_stored_does_not_keep_anybody_from_being_welcomed() {
    assert_eq!(
        told(&registered(Some("A\0da\n"))).body,
        "Hello Ada, your account is ready."
    );
    assert_eq!(told(&registered(Some(" \0 "))).body, "Your account is ready.");
}

#[test]
fn nobodys_e_mail_address_is_repeated() {
    let welcome = told(&registered(None));
    assert!(!format!("{welcome:?}").contains("ada@example.org"));
}

#[test]
fn an_order_is_told_with_its_pieces_and_its_total() {
    assert_eq!(
        told(&created(&[1])).body,
        "Your order of 1 item for €25.98 has been received and waits for its payment."
    );
    let many = told(&created(&[i32::MAX, i32::MAX, 2])).body;
    assert!(many.starts_with("Your order of 4294967296 items for"), "{many}");
}

#[test]
fn a_cancellation_says_why() {
    let because = |reason, code| told(&cancelled(reason, code)).body;
    assert_eq!(
        because(CancellationReason::PaymentFailed, Some("insufficient_funds")),
        "Your order for €25.98 has been cancelled because its payment failed (insufficient funds). \
         You have not been charged."
    );
    assert!(because(CancellationReason::PaymentFailed, None).contains("payment failed."));
    let given_back = |because: &str| {
        format!("{because}. If you have been charged, you get the full amount back, and we will tell you.")
    };
    assert!(because(CancellationReason::CustomerRequest, None).ends_with(&given_back("as requested")));
    assert!(because(CancellationReason::PaymentTimeout, None).ends_with(&given_back("in time")));
}

#[test]
fn only_failure_codes_that_people_understand_are_shown() {
    assert_eq!(
        told(&failed("card_declined")).body,
        "Your payment of €25.98 failed (the card was declined). You have not been charged."
    );
    assert_eq!(
        told(&failed("E\u{0}2041")).body,
        "Your payment of €25.98 failed. You have not been charged."
    );
}

#[test]
fn money_that_comes_and_goes_is_told() {
    let completed = PaymentCompleted {
        payment_id: PAYMENT,
        order_id: ORDER,
        customer_id: USER,
        amount: PRICE,
        provider: "simulated".to_owned(),
        provider_reference: "ch_1".to_owned(),
    };
    assert_eq!(told(&completed).body, "Your payment of €25.98 has been received.");
    let refunded = PaymentRefunded {
        payment_id: PAYMENT,
        order_id: ORDER,
        customer_id: USER,
        amount: PRICE,
        refund_reference: "re_1".to_owned(),
    };
    assert_eq!(told(&refunded).body, "You have been refunded €25.98.");
}

#[test]
fn names_of_kinds_and_channels_read_back() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_name(kind.as_str()), Some(kind));
    }
    assert_eq!(Channel::from_name("in_app"), Some(Channel::InApp));
    assert_eq!(Kind::from_name("gossip"), None);
    assert_eq!(Channel::from_name("pigeon"), None);
}
