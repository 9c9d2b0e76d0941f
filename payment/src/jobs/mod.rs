//! What happens by the clock.

pub(crate) mod webhook_events;
