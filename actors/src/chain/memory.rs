//! What this process knows of a wallet without asking: what its own transactions made of it.
//!
//! Every registration changes a coin of the token. So while the coins are those that our own
//! transactions left, nobody else has registered anything with the wallet, and no list of its blobs
//! has to be read again. The ledger has the last word: a transaction names its coins in their
//! versions, and is not taken if this memory was wrong.
//!
//! Promises: what others may have done ends what is known; memory is bounded.
//! Does not: ask the ledger, or notice blobs that somebody gives to the wallet as a present.

use std::collections::VecDeque;

use haulout_protocol::blob::BlobId;
use sui_sdk_types::Digest;

use super::coins::{Coin, Purse};
use crate::limits;

/// What is known of one wallet.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The coins after the last transaction or reading of ours.
    coins: Option<Purse>,
    /// Whether nobody else can have had a turn since.
    is_fresh: bool,
    /// How often we found that somebody else had paid, or could not know.
    breaks: u64,
    /// What we registered, the latest last; a bounded number.
    registered: VecDeque<BlobId>,
    /// How many registrations fell out of that list.
    forgotten: u64,
    /// The last transaction of this machine, if lists may not show it yet.
    unseen: Option<Word>,
}

/// Word of a transaction that was executed before it was in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Which one.
    pub(super) digest: Digest,
    /// The ledger's time when it was left, or first not found, in milliseconds since 1970.
    pub(super) left_ms: Option<u64>,
}

impl Word {
    /// Whether a server whose checkpoints are of this time and that does not know the transaction will never
    /// show it.
    pub(super) fn is_past(&self, now_ms: u64) -> bool {
        let bound = u64::try_from(limits::CHAIN_WORD_AGE_MAX.as_millis()).unwrap_or(u64::MAX);
        self.left_ms.is_some_and(|left_ms| now_ms.saturating_sub(left_ms) > bound)
    }
}

/// A moment in what is known: what was read after it is not older than it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since(Option<(u64, u64)>);

impl Memory {
    /// Others may have a turn now; the last of them left this word.
    pub(super) fn let_others_act(&mut self, unseen: Option<Word>) {
        self.is_fresh = false;
        if unseen.is_some() {
            self.unseen = unseen;
        }
    }

    /// The coins as they must be now, if nobody else can have used them.
    pub(super) fn coins_now(&self) -> Option<&Purse> {
        self.coins.as_ref().filter(|_| self.is_fresh)
    }

    /// Whether the coins were ever read.
    pub(super) fn knows_coins(&self) -> bool {
        self.coins.is_some()
    }

    /// Takes over what the ledger says of the coins; `is_turn` says that nobody else has one.
    pub(super) fn read(&mut self, purse: &Purse, is_turn: bool) {
        if self.coins.as_ref() != Some(purse) || !purse.is_whole() {
            self.breaks += 1;
            self.coins = Some(purse.clone());
        }
        self.is_fresh = is_turn;
    }

    /// Notes what a transaction made of the coins it named: they became one, or we do not know.
    pub(super) fn spent(&mut self, named: &[Coin], left: Option<Coin>) {
        if named.is_empty() {
            return;
        }
        let is_known = match (self.coins.as_mut(), left) {
            (Some(coins), Some(left)) => coins.replace(named, left),
            _ => false,
        };
        if !is_known {
            self.forget_coins();
        }
    }

    /// Knows nothing of the coins any more.
    pub(super) fn forget_coins(&mut self) {
        self.coins = None;
        self.is_fresh = false;
    }

    /// Notes a registration of ours.
    pub(super) fn registered(&mut self, blob_id: BlobId) {
        self.registered.push_back(blob_id);
        if self.registered.len() > limits::CHAIN_REGISTRATIONS_KNOWN_MAX {
            self.registered.pop_front();
            self.forgotten += 1;
        }
    }

    /// This moment.
    pub(super) fn now(&self) -> Since {
        let known = u64::try_from(self.registered.len()).unwrap_or(u64::MAX);
        Since(Some((self.breaks, self.forgotten.saturating_add(known))))
    }

    /// Whether the wallet can have registered a blob since a moment.
    pub(super) fn may_have_registered(&self, blob_id: &BlobId, since: Since) -> bool {
        let Since(Some((breaks, count))) = since else { return true };
        let Some(skipped) = count.checked_sub(self.forgotten) else { return true };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        breaks != self.breaks || self.registered.iter().skip(skipped).any(|id| id == blob_id)
    }

    /// Lists may not show this transaction yet.
    pub(super) fn wait_for(&mut self, word: Word) {
        self.unseen = Some(word);
    }

    /// The transaction is not known at this time of the ledger.
    pub(super) fn missed(&mut self, digest: &Digest, now_ms: u64) {
        if let Some(word) = self.unseen.as_mut().filter(|word| word.digest == *digest) {
            word.left_ms = word.left_ms.or(Some(now_ms));
        }
    }

    /// The transaction that lists must show before they are believed.
    pub(super) fn unseen(&self) -> Option<Word> {
        self.unseen
    }

    /// Lists show this transaction, or never will.
    pub(super) fn seen(&mut self, digest: &Digest) {
        self.unseen = self.unseen.filter(|unseen| unseen.digest != *digest);
    }
}

#[cfg(test)]
mod tests {
    use sui_sdk_types::Address;

    use super::*;

    fn coin(number: u8, version: u64, balance: u64) -> Coin {
        let (id, digest) = (Address::new([number; 32]), Digest::new([number; 32]));
        Coin { balance, id, version, digest }
    }

    fn blob(number: u8) -> BlobId {
        BlobId::from_bytes([number; 32])
    }

    fn read(coins: &[Coin]) -> Memory {
        let mut memory = Memory::default();
        memory.read(&coins.iter().copied().collect(), true);
        memory
    }

    #[test]
    fn coins_that_our_own_transactions_left_show_that_nobody_else_registered() {
        let mut memory = read(&[coin(1, 3, 50), coin(2, 3, 9)]);
        let planned = memory.now();
        memory.spent(&[coin(1, 3, 50)], Some(coin(1, 4, 40)));
        memory.registered(blob(1));
        assert!(memory.coins_now().is_some());
        memory.let_others_act(None);
        assert!(memory.coins_now().is_none(), "others may have used them");
        memory.read(&[coin(2, 3, 9), coin(1, 4, 40)].into_iter().collect(), true);
        assert!(!memory.may_have_registered(&blob(2), planned));
        assert!(memory.may_have_registered(&blob(1), planned), "we did ourselves");
        assert!(!memory.may_have_registered(&blob(1), memory.now()), "that was before");
    }

    #[test]
    fn coins_that_somebody_else_used_say_that_anything_may_have_been_registered() {
        let mut memory = read(&[coin(1, 3, 50)]);
        let planned = memory.now();
        memory.let_others_act(None);
        memory.read(&[coin(1, 5, 50)].into_iter().collect(), true);
        assert!(memory.may_have_registered(&blob(2), planned));
        assert!(!memory.may_have_registered(&blob(2), memory.now()));
        assert!(memory.may_have_registered(&blob(2), Since::default()), "nobody knows since when");
    }

    #[test]
    fn a_transaction_that_did_something_else_to_coins_ends_what_is_known() {
        for left in [None, Some(coin(1, 4, 40))] {
            let mut memory = read(&[coin(1, 3, 50)]);
            let planned = memory.now();
            memory.spent(&[coin(1, 2, 60)], left); // not the coin we knew
            assert!(memory.coins_now().is_none() && !memory.knows_coins());
            memory.read(&[coin(1, 4, 40)].into_iter().collect(), true);
            assert!(memory.may_have_registered(&blob(1), planned));
        }
        let mut memory = read(&[coin(1, 3, 50)]);
        memory.spent(&[], None);
        assert!(memory.coins_now().is_some(), "no coin was touched");
    }

    #[test]
    fn registrations_too_many_to_remember_are_looked_up() {
        let mut memory = read(&[coin(1, 3, 50)]);
        let planned = memory.now();
        memory.registered(blob(7));
        let later = memory.now();
        (0..limits::CHAIN_REGISTRATIONS_KNOWN_MAX).for_each(|_| memory.registered(blob(8)));
        assert!(memory.may_have_registered(&blob(1), planned), "one is forgotten");
        assert!(!memory.may_have_registered(&blob(1), later));
        assert!(memory.may_have_registered(&blob(8), later));
    }

    #[test]
    fn the_last_transaction_counts_as_unseen_until_that_one_is_seen() {
        let [first, second] = [1, 2].map(|number| Digest::new([number; 32]));
        let word = |digest| Word { digest, left_ms: None };
        let mut memory = Memory::default();
        memory.let_others_act(Some(word(first)));
        memory.wait_for(word(second));
        memory.seen(&first);
        assert_eq!(memory.unseen(), Some(word(second)));
        memory.let_others_act(None);
        memory.seen(&second);
        assert_eq!(memory.unseen(), None);
    }

    #[test]
    fn a_transaction_that_a_later_ledger_does_not_know_is_past() {
        let digest = Digest::new([1; 32]);
        let bound = u64::try_from(limits::CHAIN_WORD_AGE_MAX.as_millis()).unwrap();
        let word = Word { digest, left_ms: Some(1_000) };
        assert!(!word.is_past(0) && !word.is_past(1_000 + bound) && word.is_past(1_001 + bound));
        // Nobody knows when it was left: it counts from when it was missed first.
        let mut memory = Memory::default();
        memory.let_others_act(Some(Word { digest, left_ms: None }));
        assert!(!memory.unseen().unwrap().is_past(u64::MAX));
        memory.missed(&Digest::new([2; 32]), 5_000);
        assert_eq!(memory.unseen().unwrap().left_ms, None);
        memory.missed(&digest, 7_000);
        memory.missed(&digest, 9_000);
        assert_eq!(memory.unseen().unwrap().left_ms, Some(7_000));
    }
}
