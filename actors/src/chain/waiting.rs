//! Who goes with whom into one transaction, and what follows for each of them.
//!
//! Promises: first come, first taken; no two that would meet in one transaction are taken together; shares of gas add up to
//! what was paid; only a failure after which nothing was executed, and nothing can be any more, is one to try each alone.
//! Does not: wait, or know what is in a transaction.

use std::collections::{BTreeSet, VecDeque};

use super::error::CallError;

/// What two of one transaction must not have in common: a blob that is registered, an object that is certified.
pub(super) type Key = [u8; 32];

/// Those who wait for one kind of transaction of one wallet. Each waits for its answer, so there are no more than callers.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    places: VecDeque<(Key, T)>,
    /// Somebody will come for them when it has the wallet's turn.
    is_called_for: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Waiting { places: VecDeque::new(), is_called_for: false }
    }
}

impl<T> Waiting<T> {
    /// Takes the last place; `true` if nobody comes for those who wait, and the caller has to see to it.
    pub(super) fn add(&mut self, key: Key, one: T) -> bool {
        self.places.push_back((key, one));
        !std::mem::replace(&mut self.is_called_for, true)
    }

    /// Takes those who go together now: the first who belong, of each key one, and no more than so many.
    pub(super) fn take(&mut self, most: usize, belongs: impl Fn(&T) -> bool) -> Vec<T> {
        let (mut taken, mut keys) = (Vec::new(), BTreeSet::new());
        let mut stay = VecDeque::new();
        for (key, one) in self.places.drain(..) {
            // Whoever has the same key waits for its turn, even if the one before does not belong.
            let is_first = keys.insert(key);
            match taken.len() < most && is_first && belongs(&one) {
                true => taken.push(one),
                false => stay.push_back((key, one)),
            }
        }
        self.places = stay;
        self.is_called_for = false;
        taken
    }

    /// The first who still waits and for whom nobody comes any more; the caller has to see to it.
    pub(super) fn call_for_rest(&mut self) -> Option<&T> {
        let first = self.places.front().map(|(_, one)| one).filter(|_| !self.is_called_for)?;
        self.is_called_for = true;
        Some(first)
    }

    /// Whether nothing has to be kept of it.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty() && !self.is_called_for
    }
}

/// What each of so many pays of the gas of their transaction: the same, and the first what cannot be divided.
pub(super) fn shares(gas: u64, count: usize) -> impl Iterator<Item = u64> {
    let divisor = u64::try_from(count).unwrap_or(u64::MAX).max(1);
    let (each, rest) = (gas / divisor, gas % divisor);
    (0..count).map(move |place| if place == 0 { each + rest } else { each })
}

/// Whether a transaction of several failed for a reason that may lie in one of them, and so that none of it was done and none
/// can be done any more: then each is tried alone. Of one that pays and was signed, a failure is one server's word: it may have
/// been executed, and is paid.
pub(super) fn may_lie_in_one(error: &CallError, may_be_paid: bool) -> bool {
    if may_be_paid {
        return false;
    }
    match error {
        CallError::Refused { .. }
        | CallError::Failed { .. }
        | CallError::Rejected { .. }
        | CallError::Contended { .. }
        | CallError::NotFound { .. }
        | CallError::NotAsShown { .. }
        | CallError::NotOurs { .. }
        // Together they need more than each alone.
        | CallError::InsufficientFunds { .. }
        | CallError::TooLarge => true,
        // It may have been done.
        CallError::Unconfirmed { .. } | CallError::Denied { .. } | CallError::Unreadable { .. } => false,
        // It holds for all.
        CallError::InvalidUrl { .. }
        | CallError::Unreachable { .. }
        | CallError::Outdated { .. }
        | CallError::Lagging { .. }
        | CallError::Disputed { .. }
        | CallError::Untrue { .. }
        | CallError::Wallet(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::chain::amount::Token;

    use super::*;

    fn waiting(keys: &[u8]) -> Waiting<u8> {
        let mut waiting = Waiting::default();
        for (place, key) in keys.iter().enumerate() {
            let must_see_to_it = waiting.add([*key; 32], *key);
            assert_eq!(must_see_to_it, place == 0, "one comes for all of them");
        }
        waiting
    }

    #[test]
    fn all_who_wait_go_together_up_to_a_bound_and_somebody_comes_for_the_rest() {
        let mut queue = waiting(&[1, 2, 3, 4, 5]);
        assert_eq!(queue.take(3, |_| true), [1, 2, 3]);
        assert_eq!(queue.call_for_rest(), Some(&4));
        assert_eq!(queue.call_for_rest(), None, "somebody comes already");
        assert!(!queue.add([6; 32], 6));
        assert_eq!(queue.take(3, |_| true), [4, 5, 6]);
        assert_eq!(queue.call_for_rest(), None);
        assert!(queue.is_empty());
        assert!(queue.add([7; 32], 7), "nobody comes any more");
        assert!(!queue.is_empty());
    }

    #[test]
    fn two_of_one_blob_never_go_together_and_keep_their_order() {
        let mut queue = waiting(&[1, 2, 1, 3, 1]);
        assert_eq!(queue.take(9, |_| true), [1, 2, 3]);
        assert_eq!(queue.call_for_rest(), Some(&1));
        assert_eq!(queue.take(9, |_| true), [1]);
        assert_eq!(queue.call_for_rest(), Some(&1));
        assert_eq!(queue.take(9, |_| true), [1]);
        assert!(queue.is_empty());
    }

    #[test]
    fn who_does_not_belong_stays_and_nobody_of_the_same_blob_overtakes_it() {
        let mut queue = Waiting::default();
        for (key, name) in [(1, "odd"), (2, "a"), (1, "b"), (3, "c")] {
            queue.add([key; 32], name);
        }
        assert_eq!(queue.take(9, |name| *name != "odd"), ["a", "c"]);
        assert_eq!(queue.call_for_rest(), Some(&"odd"));
        assert_eq!(queue.take(9, |name| *name == "odd"), ["odd"]);
        assert_eq!(queue.call_for_rest(), Some(&"b"));
    }

    #[test]
    fn shares_of_gas_add_up_to_what_was_paid_and_differ_in_the_first_only() {
        for (gas, count) in [(0, 3), (1, 1), (1_000_000, 7), (u64::MAX, 100), (5, 9)] {
            let all: Vec<_> = shares(gas, count).collect();
            assert_eq!((all.len(), all.iter().sum::<u64>()), (count, gas));
            assert!(all[1..].iter().all(|share| *share == gas / count as u64), "{all:?}");
        }
        assert_eq!(shares(5, 0).count(), 0);
    }

    #[test]
    fn what_may_have_been_executed_is_never_tried_again_alone() {
        let (digest, what, reason) = (String::new(), String::new(), String::new());
        for error in [CallError::Unconfirmed { digest }, CallError::Unreadable { what }] {
            assert!(!may_lie_in_one(&error, false), "{error:?}");
        }
        let (module, wallet, token) = (String::new(), String::new(), Token::Wal);
        let short = CallError::InsufficientFunds { wallet, token, needed: 2, available: 1 };
        for error in [CallError::Refused { module, code: 1 }, short, CallError::Rejected { reason }]
        {
            assert!(may_lie_in_one(&error, false), "{error:?}");
            assert!(!may_lie_in_one(&error, true), "a server may make it up: {error:?}");
        }
    }
}
