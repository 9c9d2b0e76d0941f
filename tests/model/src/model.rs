//! The saga as a model that a machine explores whole.
//!
//! # What is real
//! `order::domain` (place, cancel, expire, and the reactions to the payment's facts), `payment::domain` (the reactions to
//! the order's facts, to the provider's answers and to its notices, and the guard that tells whether an action is still
//! wanted) and `notification::domain::notify`. They are pure, so that the model calls them as the kernel does.
//!
//! # What is modelled
//! - *Commit.* A step of a service (its new state, its facts in the outbox, its actions in the table of work, its memory
//!   of the event) is one step of the model, because it is one transaction. A crash inside of it is a step not taken.
//! - *Outbox and relay.* That Kafka gets a fact is a step of its own, at any later time, in any order. Or Kafka refuses
//!   it, and it waits among the dead letters until an operator puts it back.
//! - *Delivery.* A published fact is delivered at any later time, in any order, across topics and within one, and any
//!   number of times: an offset that was not committed, a relay that sent it again and a consumer that does not know that
//!   it lost its partition all come to that. What is remembered is passed over.
//! - *Failures.* A message fails and is parked, others of its key wait behind it, it fails any number of times, it dies
//!   after any of them, and an operator replays it whenever he likes. So do actions.
//! - *Actions.* Claimed and found to be wanted; sent; answered; recorded: a crash is possible between any two. Whatever was
//!   sent may arrive at the provider at any later moment, although its sender has given up on it, or is dead, or has sent
//!   it again.
//! - *Provider.* It approves or declines as it likes, once a key. What happened in its books it may also tell unasked:
//!   before the answer, after it, never, and again. Now and then it takes the money of a charge that it had declined.
//! - *Customer and clock.* A cancellation, and the deadline, at any moment. The timer cancels the order at any later one, but
//!   not before the order service has read what was on the payment topics when the deadline passed ([`deadline`]).
//!
//! One order is explored with all of this. It is explored once more with the notification of each of its facts, and two
//! orders are explored without notifications, which influence nothing, and without refusals, which only delay; there the
//! provider tells nothing unasked.
//!
//! Nothing of this is counted: no budget of faults, duplicates, retries or replays. The states are few all the same,
//! because a fault leaves nothing behind but its effect, and what differs only in ids and times is one state.
//!
//! # What is not
//! - More than two orders. Orders share queues and processes, but no row, no key and no money. Here queues are bags, so
//!   that whatever order a shared queue imposes on two orders is among those explored. That the kernel's queues deserve
//!   it (nothing lost, whatever dies) is what [`queues`] is about, with two orders in one outbox and one partition.
//! - Retention: an event older than the memory of ids.
//! - An operator who edits or discards a dead letter decides by hand.
//! - A database that loses what it has committed.
//! - How often a charge was attempted, which is a number that the payment shows and nothing depends on.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic in a test is its report"
)]

mod atlas;
mod cast;
mod deadline;
mod desk;
mod ending;
mod errand;
mod flaw;
mod laws;
mod provider;
mod queues;
mod react;
mod saga;
mod steps;
mod tests;
mod world;
