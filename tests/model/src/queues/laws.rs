//! What must hold.

use super::state::{State, order_of};
use super::{Event, FACTS, Queues};

impl Queues {
    /// Whatever was committed is still in the outbox or on the log, and what the offset has left behind is applied or
    /// parked.
    pub(super) fn keeps_everything(&self, state: &State) -> bool {
        let on_its_way = |fact: u8| {
            let in_outbox = state
                .rows
                .iter()
                .any(|(row, status)| *row == fact && !status.has_ended());
            in_outbox || state.log.contains(&fact)
        };
        let behind = &state.log[..state.offset];
        let is_kept = |fact: &u8| {
            state.applied[usize::from(*fact)] > 0 || state.work.iter().any(|(parked, _)| parked == fact)
        };
        state.drawn().all(on_its_way) && behind.iter().all(is_kept)
    }

    /// Facts of one order come to the log for the first time in the order in which they were committed.
    pub(super) fn keeps_order(&self, state: &State) -> bool {
        let first = |fact: u8| state.log.iter().position(|record| *record == fact);
        (1..FACTS)
            .filter(|fact| order_of(*fact) == order_of(fact - 1))
            .all(|fact| first(fact).is_none_or(|place| first(fact - 1).is_some_and(|before| before < place)))
    }

    pub(super) fn ends_well(&self, state: &State) -> bool {
        let goes_on = self.possible(state).into_iter().any(Event::is_progress);
        goes_on
            || (state.applied == [1; 4]
                && state.work.is_empty()
                && state.offset == state.log.len()
                && state.rows.iter().all(|(_, row)| row.has_ended()))
    }

    pub(super) fn leads_on(&self, state: &State) -> bool {
        let progress = self
            .possible(state)
            .into_iter()
            .filter(|event| event.is_progress());
        progress
            .map(|event| self.after(state, event))
            .all(|next| next.rank() < state.rank())
    }
}
