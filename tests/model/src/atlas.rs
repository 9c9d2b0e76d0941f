//! One order's saga in full: every state that it can get into, each with the steps that lead on and the laws that it
//! breaks. Each step calls the services' reactions once; the interleavings of several orders then only look it up.

use std::collections::HashMap;

use contracts::Topic;

use crate::cast::Part;
use crate::ending::Ending;
use crate::flaw::Flaw;
use crate::laws::Law;
use crate::saga::Saga;
use crate::steps::Move;

/// The number of a state in the atlas.
pub(crate) type Place = u32;

/// Every state of one order's saga.
#[derive(Debug)]
pub(crate) struct Atlas {
    /// Whose.
    pub(crate) part: Part,
    /// Where it can begin.
    pub(crate) starts: Vec<Place>,
    entries: Vec<Entry>,
}

/// One state.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The state.
    pub(crate) saga: Saga,
    /// What can happen next, and where that leads.
    pub(crate) moves: Vec<(Move, Place)>,
    /// The step by which it was come upon first, none where a saga begins. Those who follow these steps back take the
    /// shortest way.
    pub(crate) from: Option<(Place, Move)>,
    broken: u32,
    endings: u32,
}

impl Atlas {
    /// Draws it: order number `index`, each of `watched` followed in runs of its own, and of
    /// all steps those that happen.
    pub(crate) fn draw(
        index: u32,
        watched: &[Option<Topic>],
        flaw: Option<Flaw>,
        happens: fn(Move) -> bool,
    ) -> Self {
        let part = Part::new(index);
        let mut found = Found::default();
        let starts = watched
            .iter()
            .map(|topic| found.place(Saga::begin(&part, *topic), None));
        let starts = starts.collect();
        let mut entries = Vec::new();
        while let Some((saga, from)) = found.sagas.get(entries.len()).copied() {
            let here = place(entries.len());
            let mut moves = saga.moves(&part, flaw);
            moves.retain(|(step, _)| happens(*step));
            let broken = bits(&Law::ALL, |law| !law.holds(&part, &saga, &moves));
            let endings = bits(&Ending::ALL, |ending| ending.is_of(&part, &saga, &moves));
            let moves = moves
                .into_iter()
                .map(|(step, after)| (step, found.place(after, Some((here, step)))));
            entries.push(Entry {
                saga,
                moves: moves.collect(),
                from,
                broken,
                endings,
            });
        }
        Self {
            part,
            starts,
            entries,
        }
    }

    /// What there is at `place`.
    pub(crate) fn at(&self, place: Place) -> &Entry {
        &self.entries[usize::try_from(place).expect("a place is an index")]
    }

    /// Whether the other one is the same but for ids and amounts: the same steps between the same places, the same laws
    /// broken.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let shape = |atlas: &Self| -> Vec<_> {
            let entries = atlas.entries.iter();
            entries
                .map(|entry| (entry.moves.clone(), entry.broken, entry.endings))
                .collect()
        };
        self.starts == other.starts && shape(self) == shape(other)
    }

    /// The shortest way to a state that breaks `law`.
    pub(crate) fn way_to(&self, law: Law) -> Option<Vec<Move>> {
        let mut entry = self.entries.iter().find(|entry| entry.breaks(law))?;
        let mut way = Vec::new();
        while let Some((from, step)) = entry.from {
            way.push(step);
            entry = self.at(from);
        }
        way.reverse();
        Some(way)
    }

    /// Every state.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

impl Entry {
    /// Whether it breaks `law`.
    pub(crate) fn breaks(&self, law: Law) -> bool {
        self.broken & bit(&Law::ALL, law) != 0
    }

    /// Whether it is an end of that kind.
    pub(crate) fn is_end(&self, ending: Ending) -> bool {
        self.endings & bit(&Ending::ALL, ending) != 0
    }
}

fn bit<T: PartialEq>(all: &[T], one: T) -> u32 {
    all.iter()
        .position(|each| *each == one)
        .map_or(0, |index| 1 << index)
}

fn bits<T: Copy + PartialEq>(all: &[T], holds: impl Fn(T) -> bool) -> u32 {
    all.iter()
        .filter(|one| holds(**one))
        .fold(0, |sum, one| sum | bit(all, *one))
}

fn place(index: usize) -> Place {
    Place::try_from(index).expect("fewer states than that")
}

/// States in the order in which they were come upon.
#[derive(Default)]
struct Found {
    sagas: Vec<(Saga, Option<(Place, Move)>)>,
    places: HashMap<Saga, Place>,
}

impl Found {
    fn place(&mut self, saga: Saga, from: Option<(Place, Move)>) -> Place {
        *self.places.entry(saga).or_insert_with(|| {
            self.sagas.push((saga, from));
            place(self.sagas.len() - 1)
        })
    }
}
