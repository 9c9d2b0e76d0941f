//! Orders side by side, as stateright explores them: whatever happens to one may happen between any two steps of
//! another.

use std::fmt;

use contracts::Topic;
use stateright::{Model, Property};

use crate::atlas::{Atlas, Entry, Place};
use crate::ending::Ending;
use crate::flaw::Flaw;
use crate::laws::Law;
use crate::steps::Move;

/// `N` orders.
#[derive(Debug)]
pub(crate) struct World<const N: usize> {
    atlases: [Atlas; N],
    happens: fn(Move) -> bool,
}

/// Where each order's saga stands, in the order of their places: all orders are alike ([`Atlas::is_like`]), so that two
/// states which differ only in which order is which are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State<const N: usize>([Place; N]);

/// One step of one order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    order: usize,
    step: Move,
    to: Place,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}: {:?}", self.order, self.step)
    }
}

impl<const N: usize> World<N> {
    /// Follows the orders, their payments and the money.
    pub(crate) fn of_money(flaw: Option<Flaw>) -> Self {
        Self::draw(&[None], flaw, |step| !is_correction(step))
    }

    /// The same, but the provider speaks when it is asked, and does what it said: there are fewer states.
    pub(crate) fn of_money_and_a_quiet_provider(flaw: Option<Flaw>) -> Self {
        Self::draw(&[None], flaw, |step| !is_unasked(step) && !is_correction(step))
    }

    /// An operator corrects charges that were given up. The provider tells unasked what has happened, and takes no money of
    /// what it has refused.
    pub(crate) fn of_corrections(flaw: Option<Flaw>) -> Self {
        Self::draw(&[None], flaw, |step| !matches!(step, Move::Turn))
    }

    /// The same with a quiet provider and a Kafka that takes every record: there are fewer states.
    pub(crate) fn of_corrections_alone(flaw: Option<Flaw>) -> Self {
        Self::draw(&[None], flaw, |step| {
            !is_unasked(step) && !matches!(step, Move::Refuse(_))
        })
    }

    /// Without corrections, with a quiet provider, and Kafka takes every record.
    pub(crate) fn of_money_and_a_willing_kafka() -> Self {
        Self::draw(&[None], None, |step| {
            !is_unasked(step) && !is_correction(step) && !matches!(step, Move::Refuse(_))
        })
    }

    /// Follows also what becomes of the notifications of `facts`, of one in each run; with a quiet provider.
    pub(crate) fn of_notifications(facts: &[Topic], flaw: Option<Flaw>) -> Self {
        let watched: Vec<_> = facts.iter().copied().map(Some).collect();
        Self::draw(&watched, flaw, |step| !is_unasked(step) && !is_correction(step))
    }

    fn draw(watched: &[Option<Topic>], flaw: Option<Flaw>, happens: fn(Move) -> bool) -> Self {
        let atlas = |index| Atlas::draw(u32::try_from(index).expect("few orders"), watched, flaw, happens);
        let atlases: [Atlas; N] = std::array::from_fn(atlas);
        // what lets a state do without telling which order is which
        assert!(
            atlases.iter().all(|atlas| atlas.is_like(&atlases[0])),
            "orders differ in more than ids and amounts"
        );
        Self { atlases, happens }
    }

    /// The states of each order on its own.
    pub(crate) fn places(&self) -> [usize; N] {
        self.atlases.each_ref().map(|atlas| atlas.entries().len())
    }

    /// The shortest way in which one order breaks `law`.
    pub(crate) fn way_to(&self, law: Law) -> Option<Vec<Move>> {
        self.atlases.iter().find_map(|atlas| atlas.way_to(law))
    }

    fn entries<'a>(&'a self, state: &'a State<N>) -> impl Iterator<Item = (&'a Atlas, &'a Entry)> {
        self.atlases
            .iter()
            .zip(&state.0)
            .map(|(atlas, place)| (atlas, atlas.at(*place)))
    }

    fn keeps(&self, state: &State<N>, law: Law) -> bool {
        self.entries(state).all(|(_, entry)| !entry.breaks(law))
    }

    fn shows(&self, state: &State<N>, ending: Ending) -> bool {
        self.entries(state).all(|(_, entry)| entry.is_end(ending))
    }

    /// A state in words.
    pub(crate) fn describe(&self, state: &State<N>) -> String {
        let each = self.entries(state).map(|(atlas, entry)| {
            let (part, saga) = (&atlas.part, &entry.saga);
            let order = part.orders.get(saga.order).status;
            let payment = saga.payment.map(|code| part.payments.get(code).status);
            format!("order {order:?}\npayment {payment:?}\n{saga:#?}\n")
        });
        each.collect()
    }
}

/// What the provider does by itself.
fn is_unasked(step: Move) -> bool {
    matches!(step, Move::Hear(_) | Move::Turn | Move::Learn)
}

/// What an operator does besides replaying, and what follows from it.
fn is_correction(step: Move) -> bool {
    matches!(step, Move::Correct | Move::Fence | Move::LingerBefore(_))
}

impl<const N: usize> Model for World<N> {
    type State = State<N>;
    type Action = Turn;

    fn init_states(&self) -> Vec<State<N>> {
        let starts = &self.atlases[0].starts;
        let together = |run| State(std::array::from_fn(|order| self.atlases[order].starts[run]));
        (0..starts.len()).map(together).collect()
    }

    fn actions(&self, state: &State<N>, turns: &mut Vec<Turn>) {
        for (order, (_, entry)) in self.entries(state).enumerate() {
            turns.extend(entry.moves.iter().map(|(step, to)| Turn {
                order,
                step: *step,
                to: *to,
            }));
        }
    }

    fn next_state(&self, state: &State<N>, turn: Turn) -> Option<State<N>> {
        let mut next = *state;
        next.0[turn.order] = turn.to;
        next.0.sort_unstable();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! properties {
            (always $($law:ident)*; sometimes $($ending:ident)*) => {
                vec![
                    $(Property::always(Law::$law.name(), |world, state| world.keeps(state, Law::$law)),)*
                    $(Property::sometimes(Ending::$ending.name(), |world, state| {
                        world.shows(state, Ending::$ending)
                    }),)*
                ]
            };
        }
        let mut properties: Vec<Property<Self>> = properties![
            always ConfirmedIsPaid TakenOnce OneKey EndedWithoutMoney BooksAgree NoUnwantedCharge NothingRejected
                SaidOnce JudgedAsRead EndsOnce OwnOrder TakenInOnce ToldOnce NothingVanishes Advances Settles EndsUnattended;
            sometimes Confirmed Declined NeverCharged Voided DeclinedTooLate GivenBack GivenBackLate PaidTooLate
                PaidAfterAll PaidAnew FoundPaid
        ];
        let turns = (self.happens)(Move::Turn);
        properties.retain(|property| turns || property.name != Ending::PaidAfterAll.name());
        let corrects = (self.happens)(Move::Correct);
        let of_corrections = [Ending::PaidAnew.name(), Ending::FoundPaid.name()];
        properties.retain(|property| corrects || !of_corrections.contains(&property.name));
        properties
    }
}
