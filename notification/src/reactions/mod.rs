//! Which facts are told: one line a topic.

use contracts::events::{
    OrderCancelled, OrderConfirmed, OrderCreated, PaymentCompleted, PaymentFailed, PaymentRefunded,
    UserRegistered,
};
use messaging::Participant;

use crate::domain::notify;
use crate::store::NotificationRepository;

/// Tells every fact that concerns a user.
pub(crate) fn participant() -> Participant<NotificationRepository> {
    Participant::new(NotificationRepository)
        .on(notify::<UserRegistered>)
        .on(notify::<OrderCreated>)
        .on(notify::<OrderConfirmed>)
        .on(notify::<OrderCancelled>)
        .on(notify::<PaymentCompleted>)
        .on(notify::<PaymentFailed>)
        .on(notify::<PaymentRefunded>)
}
