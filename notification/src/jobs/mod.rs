//! Timers.

mod resume;
mod retention;

pub(crate) use resume::resume_due;
pub(crate) use retention::{Kept, forget_old};
