//! Many blobs in one transaction: who waits while the wallet's turn is somebody else's goes with the others who wait.
//!
//! Promises: no timer; whoever has the turn takes all who wait, up to [`crate::limits::CHAIN_BLOBS_PER_CALL_MAX`], so alone one goes
//! at once and in a transaction of its own. If a transaction of several fails for a reason that may lie in one of them, each
//! is done alone, where money is paid only if a trial found it; one whose fate is unknown is unknown for all of them, and
//! never tried alone. A caller that goes away before its transaction is built is not in it; after that it loses its answer and
//! nothing else, for the transaction is in the hands of a task of its own, which ends with it.
//! Does not: know what the transactions do ([`Order`] does), or sign and send them (`submit` does).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, join_all};
use tokio::sync::oneshot;
use tracing::{Instrument, debug};

use super::draft::Built;
use super::error::CallError;
use super::handle::Chain;
use super::queues::{Member, Queues, Together};
use super::submit::Executed;
use super::waiting::{Key, may_lie_in_one};
use super::wallet::Wallet;

/// One of those that can share a transaction.
pub(super) trait Order: fmt::Debug + Send + Sync + Sized + 'static {
    /// What is told of one that was carried out.
    type Done: Send + 'static;

    /// Whether to carry one out twice costs nothing but gas. If not, and a transaction was signed, only its own fate counts: one
    /// server may make up that it failed.
    const MAY_REPEAT: bool;

    /// What no two of one transaction may have in common.
    fn key(&self) -> Key;

    /// Those who wait with it.
    fn queues(together: &Together<Chain>) -> &Queues<Chain, Self, Self::Done>;

    /// Those that must not be carried out any more, by their place, and why. Called by whoever has the wallet's turn.
    fn outdated<'a>(
        chain: &'a Chain,
        wallet: &'a Wallet,
        orders: &'a [Arc<Self>],
    ) -> BoxFuture<'a, Result<Vec<(usize, CallError)>, CallError>>;

    /// The transaction that carries them out. Called by whoever has the wallet's turn.
    fn build<'a>(
        chain: &'a Chain,
        wallet: &'a Wallet,
        orders: &'a [Arc<Self>],
    ) -> BoxFuture<'a, Result<Built, CallError>>;

    /// What an executed transaction did for each of them.
    fn read(executed: &Executed, orders: &[Arc<Self>]) -> Vec<Result<Self::Done, CallError>>;
}

/// One who waits.
type Waiter<T> = Member<Chain, T, <T as Order>::Done>;

impl Chain {
    /// Carries out one, with all others who wait for the same kind of transaction of the same wallet.
    pub(super) async fn together<T: Order>(
        &self,
        wallet: &Wallet,
        order: T,
    ) -> Result<T::Done, CallError> {
        let (answer, answered) = oneshot::channel();
        let (key, order) = (order.key(), Arc::new(order));
        let (chain, wallet) = (self.clone(), wallet.clone());
        let member = Member { order, chain, wallet: wallet.clone(), answer };
        if T::queues(&self.shared.together).add(key, member) {
            Group::<T>::come_for_those_who_wait(self.clone(), wallet);
        }
        // It ends before its answer only together with this program.
        let reason = "the program ended before it was sent".to_owned();
        answered.await.unwrap_or(Err(CallError::Failed { reason }))
    }

    /// Whether both ask the same servers and have the same patience with them.
    fn waits_like(&self, other: &Chain) -> bool {
        (self.pinned, self.patience) == (other.pinned, other.patience)
    }
}

/// Those who are in one transaction.
struct Group<T: Order> {
    chain: Chain,
    wallet: Wallet,
    /// Nothing before the wallet's turn has come.
    members: Mutex<Option<Vec<Waiter<T>>>>,
    /// The last transaction of them was ready to be signed.
    was_built: AtomicBool,
}

impl<T: Order> Group<T> {
    /// All of it, and what is tried alone after it, is one order: at most one of what was signed for a member happens.
    fn new(chain: Chain, wallet: Wallet, members: Option<Vec<Waiter<T>>>) -> Self {
        Group { chain, wallet, members: Mutex::new(members), was_built: AtomicBool::new(false) }
    }

    /// Carries out, in a task of its own, what waits when the wallet's turn has come.
    fn come_for_those_who_wait(chain: Chain, wallet: Wallet) {
        // What may be repeated need not exclude what was refused.
        let chain = if T::MAY_REPEAT { chain } else { chain.for_one_order() };
        let group = Group::<T>::new(chain, wallet, None);
        tokio::spawn(async move { group.carry_out().await }.in_current_span());
    }

    /// Carries out and answers all of it.
    async fn carry_out(&self) {
        let alone = self.attempt().await.into_iter().map(|member| async {
            let (chain, wallet) = (member.chain.for_order_of(&self.chain), member.wallet.clone());
            Group::new(chain, wallet, Some(vec![member])).attempt().await;
        });
        join_all(alone).await;
    }

    /// One transaction of all; those who come back are to be tried alone, and nothing was done for them.
    async fn attempt(&self) -> Vec<Waiter<T>> {
        let build = |chain: Chain| async move {
            // What was signed before and refused cannot happen beside what is signed now.
            self.was_built.store(false, Ordering::Relaxed);
            self.gather();
            let orders = self.orders();
            for (place, error) in T::outdated(&chain, &self.wallet, &orders).await? {
                self.dismiss(&orders[place], error);
            }
            let orders = self.orders();
            if orders.is_empty() {
                // Nobody hears it: all have their answers, or are gone.
                return Err(CallError::Outdated { what: "everything that was asked for".into() });
            }
            let built = T::build(&chain, &self.wallet, &orders).await?;
            self.was_built.store(true, Ordering::Relaxed);
            Ok(built)
        };
        let done = self.chain.run_for_order(&self.wallet, build).await;
        let (orders, members) = (self.orders(), self.with(std::mem::take));
        match done {
            Ok(executed) => {
                debug!(count = orders.len(), digest = %executed.digest, "went together");
                let done = T::read(&executed, &orders);
                members.into_iter().zip(done).for_each(|(member, done)| member.tell(done));
            }
            Err(error) if members.len() > 1 && self.may_try_alone(&error) => {
                debug!(count = members.len(), %error, "each is tried alone");
                return members;
            }
            Err(error) => {
                members.into_iter().for_each(|member| self.fail(member, error.clone()));
            }
        }
        Vec::new()
    }

    fn may_try_alone(&self, error: &CallError) -> bool {
        let was_signed = self.was_built.load(Ordering::Relaxed);
        may_lie_in_one(error, was_signed && !T::MAY_REPEAT)
    }

    /// Takes those who wait, if that was not done yet. Whoever is gone needs nothing any more.
    fn gather(&self) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = members.get_or_insert_with(|| {
            let queues = T::queues(&self.chain.shared.together);
            let (taken, next) =
                queues.take(&self.wallet.address(), |chain| chain.waits_like(&self.chain));
            if let Some(chain) = next {
                Group::<T>::come_for_those_who_wait(chain, self.wallet.clone());
            }
            taken.iter().for_each(|member| self.chain.take_over(&member.chain));
            taken
        });
        taken.retain(|member| !member.answer.is_closed());
    }

    fn orders(&self) -> Vec<Arc<T>> {
        self.with(|members| members.iter().map(|member| member.order.clone()).collect())
    }

    /// Answers one whose order is not carried out.
    fn dismiss(&self, order: &Arc<T>, error: CallError) {
        let dismissed = self.with(|members| {
            let place = members.iter().position(|member| Arc::ptr_eq(&member.order, order));
            place.map(|place| members.remove(place))
        });
        if let Some(member) = dismissed {
            self.fail(member, error);
        }
    }

    /// Answers one for whom nothing was done, or nobody knows. It keeps in mind what was signed for it.
    fn fail(&self, member: Waiter<T>, error: CallError) {
        member.chain.take_over(&self.chain);
        let error = self.chain.ended(error, member.chain.is_for_one_order());
        member.tell(Err(error));
    }

    fn with<R>(&self, of: impl FnOnce(&mut Vec<Waiter<T>>) -> R) -> R {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        of(members.get_or_insert_default())
    }
}

/// Who waits is not left waiting by a task that was stopped before it came.
impl<T: Order> Drop for Group<T> {
    fn drop(&mut self) {
        let members = self.members.get_mut().unwrap_or_else(PoisonError::into_inner);
        if members.is_none() {
            T::queues(&self.chain.shared.together).give_up(&self.wallet.address());
        }
    }
}
