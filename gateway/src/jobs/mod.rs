//! What happens by the clock.

pub(crate) mod check_health;
pub(crate) mod follow_revocations;
pub(crate) mod forget_the_idle;
pub(crate) mod gather_health;
pub(crate) mod hear_revocations;
