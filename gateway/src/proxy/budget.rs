//! How many requests may be repeated: a share of all, so that a service in trouble is not asked even more.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repetition costs. A request earns the budget's percentage of it.
const REPETITION: u32 = 100;
/// What can be saved up: so many repetitions are there for a quiet service, too.
const SAVED_MAX: u32 = 10 * REPETITION;

/// The budget of one class of a service's routes, shared by all workers.
#[derive(Debug)]
pub(super) struct RetryBudget {
    saved: AtomicU32,
    percent: u32,
}

impl RetryBudget {
    pub(super) const fn new(percent: u32) -> Self {
        let saved = if percent == 0 { 0 } else { SAVED_MAX };
        Self {
            saved: AtomicU32::new(saved),
            percent,
        }
    }

    /// A request is made.
    pub(super) fn earn(&self) {
        let earned = |saved: u32| Some(saved.saturating_add(self.percent).min(SAVED_MAX));
        let _always = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }

    /// Whether it may be made once more.
    pub(super) fn spend(&self) -> bool {
        let spent = |saved: u32| saved.checked_sub(REPETITION);
        self.saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_may_be_repeated_once_the_reserve_is_spent() {
        let budget = RetryBudget::new(20);
        assert_eq!(
            std::iter::repeat_with(|| budget.spend())
                .take_while(|spent| *spent)
                .count(),
            10
        );
        let mut repeated = 0;
        for _ in 0..1_000 {
            budget.earn();
            repeated += u32::from(budget.spend());
        }
        assert_eq!(repeated, 200);
    }

    #[test]
    fn without_a_budget_nothing_is_repeated() {
        let budget = RetryBudget::new(0);
        budget.earn();
        assert!(!budget.spend());
    }
}
