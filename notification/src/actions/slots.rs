//! Room for calls: so many at the same time, and so many to one webhook. Who finds none does not wait here, where
//! waiting would hold up the deliveries of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// The room there is.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    taken: Arc<Mutex<HashMap<Uuid, usize>>>,
    max: usize,
    max_of_one: usize,
}

/// A place taken; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    webhook: Uuid,
}

impl Slots {
    pub(super) fn new(max: usize, max_of_one: usize) -> Self {
        Self {
            taken: Arc::default(),
            max,
            max_of_one,
        }
    }

    /// A place for a call to `webhook`, if there is one.
    pub(super) fn take(&self, webhook: Uuid) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = taken.get(&webhook).copied().unwrap_or_default();
        if of_one >= self.max_of_one || taken.values().sum::<usize>() >= self.max {
            return None;
        }
        taken.insert(webhook, of_one.saturating_add(1));
        Some(Slot {
            slots: self.clone(),
            webhook,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.webhook) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.webhook);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_webhook_leaves_room_for_others_and_all_together_are_bounded() {
        let slots = Slots::new(3, 2);
        let (slow, quick) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held = (slots.take(slow).unwrap(), slots.take(slow).unwrap());
        assert!(slots.take(slow).is_none());
        let last = slots.take(quick).unwrap();
        assert!(slots.take(quick).is_none());
        drop(held);
        assert!(slots.take(quick).is_some());
        drop(last);
        assert!(slots.taken.lock().unwrap().is_empty());
    }
}
