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

/// Whether something was paid is not known to whoever cancels.
const GIVEN_BACK: &str = "Whatever was paid for it is given back.";

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
            "Your order of {pieces} {items} over {} has been received and waits for its payment.",
            self.total
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
        format!("Your order over {} is paid and confirmed.", self.total)
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
            CancellationReason::PaymentFailed => {
                let code = self.code.as_deref().unwrap_or_default();
                let why = format!("because its payment failed{}", in_brackets(code));
                (why, "No money was taken.")
            }
            CancellationReason::CustomerRequest => ("as requested".to_owned(), GIVEN_BACK),
            CancellationReason::PaymentTimeout => (
                "because its payment did not arrive in time".to_owned(),
                GIVEN_BACK,
            ),
        };
        format!("Your order over {} has been cancelled {why}. {money}", self.total)
    }
}

impl Wording for PaymentCompleted {
    const KIND: Kind = Kind::PaymentCompleted;
    about_an_order!();

    fn title(&self) -> &'static str {
        "Payment received"
    }

    fn body(&self) -> String {
        format!("Your payment of {} has been received.", self.amount)
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
            "Your payment of {} failed{}. No money was taken.",
            self.amount,
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
        format!("{} has been given back to you.", self.amount)
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
