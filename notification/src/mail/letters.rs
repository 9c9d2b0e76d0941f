//! A mail's text and HTML, from one template each a kind. What is filled into HTML is escaped by the templates.

use askama::Template;
use contracts::OrderId;

use crate::domain::{Kind, Notification};

/// What the templates know.
struct Letter<'a> {
    title: &'a str,
    body: &'a str,
    order_id: Option<OrderId>,
}

/// A mail's two forms.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) html: String,
}

macro_rules! templates {
    ($($name:ident: $text:literal, $html:literal;)*) => {
        $(mod $name {
            use super::{Letter, Template};

            #[derive(Template)]
            #[template(path = $text)]
            pub(super) struct Text<'a>(pub(super) &'a Letter<'a>);

            #[derive(Template)]
            #[template(path = $html)]
            pub(super) struct Html<'a>(pub(super) &'a Letter<'a>);

            pub(super) fn write(letter: &Letter<'_>) -> askama::Result<super::Written> {
                Ok(super::Written { text: Text(letter).render()?, html: Html(letter).render()? })
            }
        })*
    };
}

templates! {
    welcome: "email/welcome.txt", "email/welcome.html";
    order_created: "email/order_created.txt", "email/order_created.html";
    payment_completed: "email/payment_completed.txt", "email/payment_completed.html";
    order_confirmed: "email/order_confirmed.txt", "email/order_confirmed.html";
    payment_failed: "email/payment_failed.txt", "email/payment_failed.html";
    order_cancelled: "email/order_cancelled.txt", "email/order_cancelled.html";
    payment_refunded: "email/payment_refunded.txt", "email/payment_refunded.html";
    webhook_disabled: "email/webhook_disabled.txt", "email/webhook_disabled.html";
}

pub(super) fn write(notification: &Notification) -> askama::Result<Written> {
    let letter = Letter {
        title: &notification.title,
        body: &notification.body,
        order_id: notification.order_id,
    };
    match notification.kind {
        Kind::Welcome => welcome::write(&letter),
        Kind::OrderCreated => order_created::write(&letter),
        Kind::PaymentCompleted => payment_completed::write(&letter),
        Kind::OrderConfirmed => order_confirmed::write(&letter),
        Kind::PaymentFailed => payment_failed::write(&letter),
        Kind::OrderCancelled => order_cancelled::write(&letter),
        Kind::PaymentRefunded => payment_refunded::write(&letter),
        Kind::WebhookDisabled => webhook_disabled::write(&letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Channel, Details};
    use contracts::{EventId, UserId};
    use uuid::Uuid;

    #[test]
    fn every_kind_has_both_forms_and_html_is_escaped() {
        for kind in Kind::ALL {
            let notification = Notification {
                id: EventId::new(Uuid::from_u128(1)),
                user_id: UserId::new(Uuid::from_u128(2)),
                order_id: Some(OrderId::new(Uuid::from_u128(3))),
                kind,
                channel: Channel::InApp,
                title: "A & B".to_owned(),
                body: "Hello <script>alert(\"1\")</script>, welcome.".to_owned(),
                created_at: "2026-11-21T10:00:00Z".parse().unwrap(),
                address: None,
                details: Details::default(),
            };
            let written = write(&notification).unwrap();
            assert!(written.text.contains(&notification.body), "{}", written.text);
            assert!(!written.html.contains("<script>"), "{}", written.html);
            assert!(written.html.contains("&#60;script&#62;"), "{}", written.html);
            assert!(written.html.contains("A &#38; B"), "{}", written.html);
        }
    }
}
