//! What happens by the clock.

pub(crate) mod forget_the_idle;
