//! What an account holds: its balances, and its coins of the token as far as one transaction can use them.
//!
//! Promises: a call pays with the largest coins, as few as do; memory is bounded, however many coins there are.
//! Does not: ask the ledger for them (`purse` does), or merge any.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Digest};

use super::error::CallError;
use crate::limits;

/// What an account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Gas, in MIST.
    pub sui: u64,
    /// The storage token, in its smallest unit.
    pub wal: u64,
}

/// The parts of a coin that a transaction names, and what it holds.
pub(super) const COIN_FIELDS: [&str; 4] = ["object_id", "version", "digest", "balance"];

/// A coin of the token in its present version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Coin {
    /// What it holds, in the token's smallest unit; first, because coins are ordered by it.
    pub(super) balance: u64,
    pub(super) id: Address,
    pub(super) version: u64,
    pub(super) digest: Digest,
}

/// A wallet's coins as far as one transaction can use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Purse {
    /// The largest, those that hold most first.
    largest: Vec<Coin>,
    /// What all coins hold together.
    total: u64,
    /// How many coins there are.
    count: u64,
}

impl Coin {
    /// Reads a coin of which these [`COIN_FIELDS`] were asked for.
    pub(super) fn read(object: &proto::Object) -> Result<Coin, CallError> {
        Ok(Coin {
            balance: object.balance(),
            id: object.object_id().parse().map_err(CallError::unreadable)?,
            version: object.version(),
            digest: object.digest().parse().map_err(CallError::unreadable)?,
        })
    }
}

/// How to pay.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payment {
    /// With these coins, at least one.
    With(Vec<Coin>),
    /// With the coin these are merged into, if that is enough then.
    Merge(Vec<Coin>),
    /// Not at all: this is all there is.
    Short(u64),
}

impl Purse {
    /// How to pay so much.
    pub(super) fn pay(&self, needed: u64) -> Payment {
        if self.total < needed || self.largest.is_empty() {
            return Payment::Short(self.total);
        }
        let (mut sum, mut chosen) = (0u64, Vec::new());
        for coin in &self.largest {
            chosen.push(*coin);
            sum = sum.saturating_add(coin.balance);
            if sum >= needed {
                return Payment::With(chosen);
            }
        }
        Payment::Merge(chosen)
    }

    /// Whether these are all coins of the wallet that hold something.
    pub(super) fn is_whole(&self) -> bool {
        u64::try_from(self.largest.len()).is_ok_and(|known| known == self.count)
    }

    /// Puts what a transaction left in the place of the coins it named; `false` if these are not known
    /// to be among all.
    pub(super) fn replace(&mut self, named: &[Coin], left: Coin) -> bool {
        let is_known = self.is_whole() && named.iter().all(|coin| self.largest.contains(coin));
        if is_known {
            let rest = self.largest.iter().filter(|coin| !named.contains(coin)).copied();
            *self = rest.chain([left]).collect();
        }
        is_known
    }
}

impl FromIterator<Coin> for Purse {
    fn from_iter<Coins: IntoIterator<Item = Coin>>(coins: Coins) -> Purse {
        let mut heap = Heap::default();
        coins.into_iter().for_each(|coin| heap.add(coin));
        heap.close()
    }
}

/// Coins while they are read: memory for those one transaction takes, whatever their number.
#[derive(Default)]
pub(super) struct Heap {
    largest: BinaryHeap<Reverse<Coin>>,
    total: u64,
    count: u64,
}

impl Heap {
    pub(super) fn add(&mut self, coin: Coin) {
        if coin.balance == 0 {
            return;
        }
        self.total = self.total.saturating_add(coin.balance);
        self.count += 1;
        self.largest.push(Reverse(coin));
        if self.largest.len() > limits::CHAIN_COINS_PER_CALL_MAX {
            self.largest.pop();
        }
    }

    pub(super) fn close(self) -> Purse {
        let largest = self.largest.into_sorted_vec().into_iter().map(|Reverse(coin)| coin);
        Purse { largest: largest.collect(), total: self.total, count: self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purse(count: u64, balance: impl Fn(u64) -> u64) -> Purse {
        let coin = |number: u64| Coin {
            balance: balance(number),
            id: Address::new([u8::try_from(number % 251).unwrap(); 32]),
            version: number,
            digest: Digest::ZERO,
        };
        (0..count).map(coin).collect()
    }

    #[test]
    fn a_payment_takes_the_largest_coins_and_no_more_than_it_needs() {
        let ten = purse(10, |number| number);
        let Payment::With(chosen) = ten.pay(17) else { panic!("{:?}", ten.pay(17)) };
        assert_eq!(chosen.iter().map(|coin| coin.balance).collect::<Vec<_>>(), [9, 8]);
        let Payment::With(chosen) = ten.pay(18) else { panic!("{:?}", ten.pay(18)) };
        assert_eq!(chosen.len(), 3);
        let Payment::With(chosen) = ten.pay(0) else { panic!("{:?}", ten.pay(0)) };
        assert_eq!(chosen.len(), 1, "even nothing is paid with a coin");
    }

    #[test]
    fn all_coins_count_and_those_that_do_not_fit_are_merged_first() {
        let many = u64::try_from(limits::CHAIN_COINS_PER_CALL_MAX).unwrap() + 44;
        let hoard = purse(many, |_| 500);
        let fits = 500 * u64::try_from(limits::CHAIN_COINS_PER_CALL_MAX).unwrap();
        assert!(matches!(hoard.pay(fits), Payment::With(_)));
        let Payment::Merge(merged) = hoard.pay(fits + 1) else { panic!("they do not fit") };
        assert_eq!(merged.len(), limits::CHAIN_COINS_PER_CALL_MAX);
        assert!(matches!(hoard.pay(500 * many), Payment::Merge(_)));
        assert_eq!(hoard.pay(500 * many + 1), Payment::Short(500 * many));
    }

    #[test]
    fn what_a_payment_left_takes_the_place_of_its_coins_if_all_are_known() {
        let mut few = purse(3, |number| number + 1);
        let Payment::With(paid) = few.pay(4) else { panic!("{few:?}") };
        let left = Coin { balance: 1, version: 9, ..paid[0] };
        assert!(few.replace(&paid, left) && !few.replace(&paid, left), "they are gone");
        assert_eq!(few.pay(3), Payment::Short(2));
        let Payment::With(rest) = few.pay(2) else { panic!("{few:?}") };
        assert!(rest.len() == 2 && rest.contains(&left));
        let many = u64::try_from(limits::CHAIN_COINS_PER_CALL_MAX).unwrap() + 1;
        let mut many = purse(many, |_| 5);
        let Payment::With(paid) = many.pay(5) else { panic!("{many:?}") };
        assert!(!many.is_whole() && !many.replace(&paid, left));
    }

    #[test]
    fn a_wallet_without_coins_pays_nothing_and_empty_coins_are_none() {
        assert_eq!(purse(0, |_| 1).pay(0), Payment::Short(0));
        assert_eq!(purse(5, |_| 0).pay(1), Payment::Short(0));
    }
}
