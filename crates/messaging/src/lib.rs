//! The messaging kernel: everything between a pure reaction and Kafka, written once for all services.
//!
//! ```text
//! Kafka batch ─► dedupe ─► load states (bulk) ─► react (pure, in order) ─► save states (bulk)
//!                                                     └► outbox rows + action rows ─► COMMIT ─► Kafka offsets
//! outbox ─► relay ─► Kafka              actions ─► dispatcher ─► performer ─► result reacts again
//! ```
//!
//! A service describes itself with [`Participant`]s (a [`Repository`], reactions, perhaps a [`Performer`])
//! and starts a [`Kernel`]. Its HTTP commands go through [`command::execute`] and the same commit.

mod assigned;
mod attempt;
pub mod attempts;
mod breaker;
mod broadcast;
mod broker;
mod claim;
mod client_view;
pub mod command;
mod commits;
mod consumer;
mod correction;
mod dead_letter;
mod dedupe;
mod dispatcher;
mod failure;
mod group_check;
mod headers;
mod held_back;
mod horizon;
mod inbox;
mod intake;
mod isolate;
mod kafka_log;
mod kernel;
mod known_offsets;
mod maintenance;
pub mod metrics;
mod new_work;
mod obsolete;
mod offsets;
pub mod once;
pub mod operations;
pub mod outbox;
mod participant;
mod performer;
mod read_fence;
mod record;
mod relay;
mod repository;
pub mod retention;
mod retry;
mod run;
pub mod saga_log;
#[allow(missing_docs, reason = "generated")]
pub mod schema;
mod settings;
mod standing;
mod steps;
mod supervision;
mod topic_check;
mod trace;
mod work;

pub use broadcast::Broadcast;
pub use broker::BrokerState;
pub use failure::{Failure, Outage};
pub use headers::Headers;
pub use held_back::{DeadlineHold, HeldBack, HoldReason};
pub use kernel::{BuildError, Kernel, KernelBuilder, Signals};
pub use new_work::NewAction;
pub use participant::{CorrectionOf, Message, Participant, ReactionTo};
pub use performer::{ActionError, Attempt, Performer};
pub use read_fence::{FenceError, ReadFence};
pub use record::{Origin, Record, uuid_key};
pub use repository::{Action, Change, Conn, Repository, Versioned};
pub use settings::MessagingSettings;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/ARCHITECTURE.md")]
struct Walkthrough;
