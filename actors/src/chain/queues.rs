//! Those who wait to share a transaction, by their wallets and by what they want.
//!
//! Promises: whoever was taken or given up is not here any more. Does not: know what a handle on the ledger is, when
//! anybody's turn comes, or what is done for those who are taken; `together` does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::chain::ObjectId;
use tokio::sync::oneshot;

use super::error::CallError;
use super::orders::{Certification, Certified, NewBlob, Registered};
use super::waiting::{Key, Waiting};
use super::wallet::Wallet;
use crate::limits;

/// Those who wait, of all wallets, each with a handle on the ledger.
#[derive(Debug)]
pub(super) struct Together<Handle> {
    pub(super) registering: Queues<Handle, NewBlob, Registered>,
    pub(super) certifying: Queues<Handle, Certification, Certified>,
}

impl<Handle> Default for Together<Handle> {
    fn default() -> Self {
        Together { registering: Queues::default(), certifying: Queues::default() }
    }
}

/// One who waits for what it ordered to be done.
pub(super) struct Member<Handle, Order, Done> {
    pub(super) order: Arc<Order>,
    pub(super) chain: Handle,
    pub(super) wallet: Wallet,
    pub(super) answer: oneshot::Sender<Result<Done, CallError>>,
}

impl<Handle, Order: fmt::Debug, Done> fmt::Debug for Member<Handle, Order, Done> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.order).finish()
    }
}

impl<Handle, Order, Done> Member<Handle, Order, Done> {
    /// Whoever is gone does not hear it.
    pub(super) fn tell(self, done: Result<Done, CallError>) {
        let _ = self.answer.send(done);
    }
}

/// Those who wait of one wallet.
type Queue<Handle, Order, Done> = Waiting<Member<Handle, Order, Done>>;

/// Those who wait for one kind of transaction, by wallet.
#[derive(Debug)]
pub(super) struct Queues<Handle, Order, Done>(
    Mutex<BTreeMap<ObjectId, Queue<Handle, Order, Done>>>,
);

impl<Handle, Order, Done> Default for Queues<Handle, Order, Done> {
    fn default() -> Self {
        Queues(Mutex::default())
    }
}

impl<Handle: Clone, Order, Done> Queues<Handle, Order, Done> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectId, Queue<Handle, Order, Done>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; `true` if the caller has to see to it that somebody comes.
    pub(super) fn add(&self, key: Key, member: Member<Handle, Order, Done>) -> bool {
        let account = member.wallet.address();
        self.lock().entry(account).or_default().add(key, member)
    }

    /// Takes those of a wallet who go together now, of those whose handles belong. If others stay, one of them says with
    /// whose handle somebody has to come for them.
    pub(super) fn take(
        &self,
        account: &ObjectId,
        belongs: impl Fn(&Handle) -> bool,
    ) -> (Vec<Member<Handle, Order, Done>>, Option<Handle>) {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(account) else { return (Vec::new(), None) };
        let most = limits::CHAIN_BLOBS_PER_CALL_MAX;
        let taken = queue.take(most, |member| belongs(&member.chain));
        let next = queue.call_for_rest().map(|member| member.chain.clone());
        if queue.is_empty() {
            queues.remove(account);
        }
        (taken, next)
    }

    /// Lets those go for whom nobody comes.
    pub(super) fn give_up(&self, account: &ObjectId) {
        let given_up = self.lock().remove(account);
        drop(given_up); // not while the others are locked out
    }
}
