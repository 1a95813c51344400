//! Whose turn it is to spend from a wallet.
//!
//! Two transactions that name the same version of a coin cannot both happen, and on some ledgers
//! the coin is then locked for a day. So those who share a wallet take turns: tasks of a process in
//! a queue, processes of a machine by lock files in the client's state folder ([`lock`]).
//!
//! Promises: tasks get their turns in the order they asked for them; a process that has the lock
//! hands it from task to task, a bounded number of times, and then lets other processes go first; a
//! turn ends when it is dropped, also in the hands of a task that was stopped; another wallet never
//! waits; a turn that lasts shows that it is alive, and one that does not is waited for as long as
//! others get theirs, and then for [`limits::CHAIN_TURN_STUCK_MAX`], once.
//! Does not: keep other machines out, and no correctness hangs on it: a transaction whose objects
//! moved is not taken, and is built anew.

mod lock;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use haulout_protocol::chain::ObjectId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use self::lock::{Files, Lock};
use super::memory::{Memory, Word};
use crate::limits;

/// Everybody in this process who spends on one ledger.
#[derive(Debug)]
pub(super) struct Turns {
    /// Where the files of wallets are; without it only this process takes turns.
    folder: Option<PathBuf>,
    /// Which ledger this is.
    ledger: ObjectId,
    /// How long a turn may last without a sign of life.
    stuck_after: Duration,
    accounts: Mutex<BTreeMap<ObjectId, Arc<Account>>>,
}

/// One wallet: who waits for it, and what is known of it.
#[derive(Debug)]
pub(super) struct Account {
    files: Option<Files>,
    queue: Mutex<Queue>,
    memory: Mutex<Memory>,
}

/// The tasks of this process that want to spend from one wallet.
#[derive(Debug, Default)]
struct Queue {
    is_taken: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to build and send a transaction of a wallet.
#[derive(Debug)]
pub(super) struct Turn {
    account: Arc<Account>,
    held: Option<Held>,
}

/// The lock of a wallet, handed from turn to turn.
#[derive(Debug)]
struct Held {
    lock: Lock,
    /// The word that is in the file.
    left: Option<Word>,
    since: Instant,
    turns: u32,
}

impl Held {
    /// Whether other processes should have their turn now.
    fn is_over(&self) -> bool {
        self.turns >= limits::CHAIN_TURNS_IN_A_ROW_MAX
            || self.since.elapsed() >= limits::CHAIN_TURNS_IN_A_ROW_TIME_MAX
    }
}

impl Turns {
    /// Turns on a ledger, which one of its objects names.
    pub(super) fn new(folder: Option<PathBuf>, ledger: ObjectId) -> Turns {
        let stuck_after = limits::CHAIN_TURN_STUCK_MAX;
        Turns { folder, ledger, stuck_after, accounts: Mutex::default() }
    }

    /// The wallet of an account.
    pub(super) fn account(&self, account: &ObjectId) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let made = accounts.entry(*account).or_insert_with(|| {
            let name = format!("{}-{}", hex::encode(account), hex::encode(self.ledger));
            let files = |folder: &PathBuf| Files::new(folder.clone(), &name, self.stuck_after);
            let files = self.folder.as_ref().map(files);
            Arc::new(Account { files, queue: Mutex::default(), memory: Mutex::default() })
        });
        made.clone()
    }

    /// Waits for the turn of an account.
    pub(super) async fn take(&self, account: &ObjectId) -> Turn {
        let account = self.account(account);
        let mut turn = match account.ask() {
            None => Turn { account: account.clone(), held: None },
            Some(turn) => turn.await.expect("whoever has the turn passes it on when it ends"),
        };
        match &mut turn.held {
            Some(held) => held.turns += 1,
            None => turn.begin().await,
        }
        turn
    }
}

impl Account {
    /// What is known of the wallet.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn if nobody has it, else a place in the queue, at whose end it comes.
    fn ask(&self) -> Option<oneshot::Receiver<Turn>> {
        let mut queue = self.queue();
        if !queue.is_taken {
            queue.is_taken = true;
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push_back(sender);
        Some(receiver)
    }
}

impl Turn {
    /// Waits for other processes; what they did since we had a turn is not known.
    async fn begin(&mut self) {
        let Some(files) = &self.account.files else {
            self.account.memory().let_others_act(None);
            return;
        };
        let locked = files.lock().await;
        let word = locked.as_ref().and_then(|(_, word)| *word);
        self.account.memory().let_others_act(word);
        let since = Instant::now();
        self.held = locked.map(|(lock, left)| Held { lock, left, since, turns: 1 });
    }

    /// What is known of the wallet.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.account.memory()
    }

    /// Does some work, and shows other processes meanwhile that this one is alive.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.during_with(work, limits::CHAIN_TURN_BEAT).await
    }

    async fn during_with<T>(&mut self, work: impl Future<Output = T>, beat: Duration) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(beat, &mut work).await {
                return done;
            }
            if let Some(held) = &mut self.held {
                held.lock.beat().await;
            }
        }
    }

    /// Leaves word, for whoever has the next turn, of a transaction that lists may not show yet; takes it
    /// back if they do.
    pub(super) async fn leave_word(&mut self) {
        let unseen = self.memory().unseen();
        if let Some(held) = &mut self.held
            && held.left != unseen
        {
            held.lock.leave(unseen).await;
            held.left = unseen;
        }
    }
}

/// Passes the turn on. If whoever it comes to is gone, it is dropped there, and passed on again.
impl Drop for Turn {
    fn drop(&mut self) {
        // Dropped last: no process may find the lock held by a queue that is empty.
        let mut queue = self.account.queue();
        let held = self.held.take().filter(|held| !held.is_over());
        let next = queue.waiting.pop_front();
        match next {
            Some(next) => {
                drop(queue);
                // Comes back, and is dropped, if nobody waits for it any more.
                drop(next.send(Turn { account: self.account.clone(), held }));
            }
            None => {
                drop(held);
                queue.is_taken = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
