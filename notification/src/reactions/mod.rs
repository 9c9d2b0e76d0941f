//! Which facts are told: one line a topic. And how deliveries go on.

use contracts::events::{
    OrderCancelled, OrderConfirmed, OrderCreated, PaymentCompleted, PaymentFailed, PaymentRefunded,
    UserRegistered,
};
use messaging::Participant;

use crate::actions::Deliverer;
use crate::domain::{notify, on_outcome, precondition};
use crate::store::{Channels, DeliveryRepository, NotificationRepository};

/// Tells every fact that concerns a user.
pub(crate) fn telling(channels: Channels) -> Participant<NotificationRepository> {
    Participant::new(NotificationRepository(channels))
        .on(notify::<UserRegistered>)
        .on(notify::<OrderCreated>)
        .on(notify::<OrderConfirmed>)
        .on(notify::<OrderCancelled>)
        .on(notify::<PaymentCompleted>)
        .on(notify::<PaymentFailed>)
        .on(notify::<PaymentRefunded>)
}

/// Attempts deliveries.
pub(crate) fn delivering(channels: Channels, deliverer: Deliverer) -> Participant<DeliveryRepository> {
    Participant::new(DeliveryRepository(channels)).performing(deliverer, precondition, on_outcome)
}
