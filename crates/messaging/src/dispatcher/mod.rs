//! The dispatcher: everything in `work` that is due. Parked messages react again; actions are performed outside
//! of any transaction and their outcomes react. Both end in [`Settle`].

mod actions;
mod messages;
mod settle;

pub(crate) use actions::ActionLoop;
pub(crate) use messages::{MessageLoop, message};
use settle::{Ready, ReadyBody, Settle};
