//! How each fact is put to its user.

use contracts::events::{
    CancellationReason, OrderCancelled, OrderConfirmed, OrderCreated, PaymentCompleted, PaymentFailed,
    PaymentRefunded, UserRegistered,
};
use contracts::{OrderId, UserId};

use super::notification::{Address, Kind, Wording};

impl Wording for UserRegistered {
    const KIND: Kind = Kind::Welcome;

    fn user_id(&self) -> UserId {
        self.user_id
    }

    fn order_id(&self) -> Option<OrderId> {
        None
    }

    fn title(&self) -> &'static str {
        "Welcome to Quadrille"
    }

    fn address(&self) -> Option<Address> {
        // a NUL cannot be stored, and is in no address
        (!self.email.contains('\0')).then(|| Address::new(self.email.clone()))
    }

    fn body(&self) -> String {
        // what cannot be shown cannot be stored either
        let name: String = self
            .display_name
            .iter()
            .flat_map(|name| name.chars())
            .filter(|c| !c.is_control())
            .collect();
        match name.trim() {
            "" => "Your account is ready.".to_owned(),
            name => format!("Hello {name}, your account is ready."),
        }
    }
}

/// What a cancelled order does not say, because whoever cancels does not know it: whether anything was taken.
const REFUNDED_IF_CHARGED: &str =
    "If you have been charged, you get the full amount back, and we will tell you.";
/// What is sure when a payment has failed.
const NOT_CHARGED: &str = "You have not been charged.";

/// Facts about an order all say whose it is.
macro_rules! about_an_order {
    () => {
        fn user_id(&self) -> UserId {
            self.customer_id
        }

        fn order_id(&self) -> Option<OrderId> {
            Some(self.order_id)
        }
    };
}

impl Wording for OrderCreated {
    const KIND: Kind = Kind::OrderCreated;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Order received"
    }

    fn body(&self) -> String {
        let pieces: i64 = self.items.iter().map(|line| i64::from(line.quantity)).sum();
        let items = if pieces == 1 { "item" } else { "items" };
        format!(
            "Your order of {pieces} {items} for {} has been received and waits for its payment.",
            self.total.in_a_sentence()
        )
    }
}

impl Wording for OrderConfirmed {
    const KIND: Kind = Kind::OrderConfirmed;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Order confirmed"
    }

    fn body(&self) -> String {
        format!(
            "Your order for {} is paid and confirmed.",
            self.total.in_a_sentence()
        )
    }
}

impl Wording for OrderCancelled {
    const KIND: Kind = Kind::OrderCancelled;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Order cancelled"
    }

    fn body(&self) -> String {
        let (why, money) = match self.reason {
            CancellationReason::PaymentFailed => match self.code.as_deref() {
                Some(code) => (
                    format!("because its payment failed{}", in_brackets(code)),
                    NOT_CHARGED,
                ),
                // the refund of what was taken after all came first
                None => ("because its payment failed".to_owned(), REFUNDED_IF_CHARGED),
            },
            CancellationReason::CustomerRequest => ("as requested".to_owned(), REFUNDED_IF_CHARGED),
            CancellationReason::PaymentTimeout => (
                "because its payment did not arrive in time".to_owned(),
                REFUNDED_IF_CHARGED,
            ),
        };
        let total = self.total.in_a_sentence();
        format!("Your order for {total} has been cancelled {why}. {money}")
    }
}

impl Wording for PaymentCompleted {
    const KIND: Kind = Kind::PaymentCompleted;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Payment received"
    }

    fn body(&self) -> String {
        format!(
            "Your payment of {} has been received.",
            self.amount.in_a_sentence()
        )
    }
}

impl Wording for PaymentFailed {
    const KIND: Kind = Kind::PaymentFailed;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Payment failed"
    }

    fn body(&self) -> String {
        format!(
            "Your payment of {} failed{}. {NOT_CHARGED}",
            self.amount.in_a_sentence(),
            in_brackets(&self.failure_code)
        )
    }
}

impl Wording for PaymentRefunded {
    const KIND: Kind = Kind::PaymentRefunded;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Payment refunded"
    }

    fn body(&self) -> String {
        format!("You have been refunded {}.", self.amount.in_a_sentence())
    }
}

/// A failure code in a user's words; a code that only the provider understands is left out.
fn in_brackets(code: &str) -> &'static str {
    match code {
        "card_declined" => " (the card was declined)",
        "insufficient_funds" => " (insufficient funds)",
        _ => "",
    }
}
