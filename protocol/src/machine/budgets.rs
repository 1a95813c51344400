//! What each of many may do: so much in a row, and then no faster than it refills.
//!
//! Promises: memory is bounded, whoever comes; while it is full of those who spent something, nobody new may spend, and
//! they are forgotten as soon as they have everything back. Does not: read a clock.

use std::collections::BTreeMap;

use super::Timestamp;

/// How much one may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many in a row.
    pub burst: u32,
    /// Milliseconds until one more may follow.
    pub refill_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    /// What was done and has not refilled yet.
    count: u32,
    since: Timestamp,
}

impl Spent {
    /// What is still spent at this moment.
    fn settle(&mut self, budget: Budget, now: Timestamp) -> u32 {
        let refilled = now.0.saturating_sub(self.since.0) / budget.refill_ms;
        let refilled = u32::try_from(refilled).unwrap_or(u32::MAX);
        if refilled >= self.count {
            *self = Spent { count: 0, since: now };
        } else {
            self.count -= refilled;
            self.since = self.since.after(u64::from(refilled) * budget.refill_ms);
        }
        self.count
    }
}

/// The same budget for each of many.
#[derive(Clone, Debug)]
pub struct Budgets<Key> {
    budget: Budget,
    keys_max: usize,
    spent: BTreeMap<Key, Spent>,
}

impl<Key: Copy + Ord> Budgets<Key> {
    /// Nobody has spent anything. At most so many are remembered.
    pub fn new(budget: Budget, keys_max: usize) -> Self {
        Budgets { budget, keys_max, spent: BTreeMap::new() }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.spent.len()
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.spent.is_empty()
    }

    /// Forgets those who have everything back.
    pub fn forget(&mut self, now: Timestamp) {
        let budget = self.budget;
        self.spent.retain(|_, spent| spent.settle(budget, now) > 0);
    }

    /// Whether this one may do one more.
    pub fn has_left(&mut self, key: Key, now: Timestamp) -> bool {
        let budget = self.budget;
        if !self.spent.contains_key(&key) && self.spent.len() >= self.keys_max {
            self.forget(now);
        }
        match self.spent.get_mut(&key) {
            Some(spent) => spent.settle(budget, now) < budget.burst,
            None => self.spent.len() < self.keys_max,
        }
    }

    /// This one does one more.
    pub fn spend(&mut self, key: Key, now: Timestamp) {
        let spent = self.spent.entry(key).or_insert(Spent { count: 0, since: now });
        spent.count = spent.count.saturating_add(1);
        debug_assert!(self.spent.len() <= self.keys_max, "whoever spends was asked whether it may");
    }

    /// Does one more if it may.
    pub fn try_spend(&mut self, key: Key, now: Timestamp) -> bool {
        let has_left = self.has_left(key, now);
        if has_left {
            self.spend(key, now);
        }
        has_left
    }

    /// What was done cost nothing after all.
    pub fn give_back(&mut self, key: &Key) {
        if let Some(spent) = self.spent.get_mut(key) {
            spent.count = spent.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { burst: 3, refill_ms: 100 };

    #[test]
    fn a_burst_is_followed_by_what_refills() {
        let mut budgets = Budgets::new(BUDGET, 8);
        let may = |budgets: &mut Budgets<u8>, at| budgets.try_spend(1, Timestamp(at));
        assert!((0..3).all(|at| may(&mut budgets, at)));
        assert!(!may(&mut budgets, 99));
        assert!(may(&mut budgets, 100) && !may(&mut budgets, 199) && may(&mut budgets, 200));
        assert!((1_000..1_003).all(|at| may(&mut budgets, at)), "all of it is back");
        assert!(!may(&mut budgets, 1_003));
        budgets.give_back(&1);
        assert!(may(&mut budgets, 1_003));
    }

    #[test]
    fn memory_is_bounded_and_those_who_have_everything_back_are_forgotten() {
        let mut budgets = Budgets::new(BUDGET, 8);
        let spent = (0..100).filter(|key| budgets.try_spend(*key, Timestamp(0))).count();
        assert_eq!((spent, budgets.len()), (8, 8));
        assert!(!budgets.try_spend(200, Timestamp(99)));
        assert!(budgets.try_spend(200, Timestamp(100)));
        assert_eq!(budgets.len(), 1);
        budgets.forget(Timestamp(199));
        assert_eq!(budgets.len(), 1);
        budgets.forget(Timestamp(200));
        assert!(budgets.is_empty());
    }
}
