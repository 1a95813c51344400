//! What happens by itself while the devnet runs: paused processes go on, and nodes that leave are gone when nobody needs
//! them any more.
//!
//! Promises: a node goes only when the ledger gives it no shard, now and in the next epoch, the nodes say that they hold
//! theirs, and each other node that runs says that it has everything, so that reads need it no more, with members that are none
//! of ours as far as the ledger heard of them; waiting is cut off
//! anywhere without harm. Does not:
//! ask the ledger to let a node go; `devnet remove` does.

use std::time::Duration;

use haulout_node::error::Result;
use haulout_node::stakes;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{EpochState, Staking};
use tokio::time::Instant;

use super::Fleet;
use crate::banner::source_shards;
use crate::control::ProcessState;
use crate::genesis;
use crate::probe;
use crate::processes::Process;

/// Between two looks at whether a node may go.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// The time of a pause is over.
    Resume(String),
    /// A node that leaves is not needed any more.
    Gone(String),
}

impl Due {
    /// With which process something is done that takes a while, and what, in a word.
    pub(crate) fn doing(&self) -> Option<(&str, &'static str)> {
        match self {
            Due::Resume(_) => None,
            Due::Gone(name) => Some((name, "stopping")),
        }
    }
}

impl Fleet {
    /// Waits until something is due; for ever if nothing will be.
    pub(crate) async fn due(&mut self) -> Due {
        let next = self.resumes.iter().min_by_key(|(when, _)| *when).cloned();
        let resume = async {
            let Some((when, name)) = next else { return std::future::pending().await };
            tokio::time::sleep_until(when).await;
            Due::Resume(name)
        };
        tokio::select! {
            due = resume => due,
            name = self.departed() => Due::Gone(name),
        }
    }

    /// Does what is due.
    pub(crate) async fn act(&mut self, due: Due) {
        let done = match due {
            Due::Resume(target) => {
                let now = Instant::now();
                self.resumes.retain(|(when, name)| *name != target || *when > now);
                // It may have been killed or restarted meanwhile; then there is nothing to resume.
                self.find(&target).and_then(Process::resume)
            }
            Due::Gone(target) => self.let_go(&target).await,
        };
        // Hints of other programs follow from the card.
        if let Err(error) = done.and_then(|()| self.keep_card("ready").map(drop)) {
            tracing::warn!(%error, "what was due by itself was not done");
        }
    }

    async fn let_go(&mut self, target: &str) -> Result<()> {
        let place = self.place(target)?;
        self.members[place].process.stop().await?;
        let message = self.give_up(place)?;
        tracing::info!("{message}: others have its shards");
        Ok(())
    }

    /// The name of a node that leaves and may go now; for ever if none leaves.
    async fn departed(&mut self) -> String {
        if self.settings.leaving.is_empty() {
            return std::future::pending().await;
        }
        loop {
            for number in self.settings.leaving.clone() {
                if let Some(name) = self.may_go(number).await {
                    return name;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The name of the node, if it may go; what cannot be asked now is asked again.
    async fn may_go(&mut self, number: u16) -> Option<String> {
        let leaving = self.members.iter().find(|member| member.number == number)?;
        let name = leaving.name().to_owned();
        let staking = probe::staking(&self.chain).await.ok()?;
        if leaving.node_id.is_some_and(|id| has_duties(&staking, &id)) {
            self.departures.remove(&number);
            return None;
        }
        let now = probe::chain(&self.chain).await.ok()?.checkpoint;
        let since = *self.departures.entry(number).or_insert(now);
        let mut held = 0;
        for other in self.members.iter_mut().filter(|other| other.number != number) {
            let seen = other.process.look();
            // Who was killed or paused by hand is not waited for, and counts for nothing.
            if seen.state == ProcessState::Running && !seen.is_stopped && other.node_id.is_some() {
                let health = probe::health(other.ports.http).await?;
                if !probe::has_everything(&health, since) {
                    return None;
                }
                held += health.number("shards").unwrap_or(0);
            }
        }
        held += self.held_by_others(&staking);
        let needed = source_shards(self.settings.shards, self.settings.segment_bytes);
        (held >= u64::try_from(needed).unwrap_or(u64::MAX)).then_some(name)
    }
}

impl Fleet {
    /// Shards of members that are no nodes of this devnet, and told the ledger that they have them.
    fn held_by_others(&self, staking: &Staking) -> u64 {
        let removed = self.settings.removed.iter().filter_map(|number| {
            let peer = genesis::peer_id_of(self.settings.seed, *number);
            staking.by_peer.get(peer.key().as_slice()).copied()
        });
        let removed: Vec<ObjectId> = removed.collect();
        let is_ours = |node: &ObjectId| {
            removed.contains(node) || self.members.iter().any(|one| one.node_id == Some(*node))
        };
        let others = staking
            .committee
            .iter()
            .filter(|member| !is_ours(&member.key) && staking.synced.contains(&member.key));
        others.map(|member| u64::try_from(member.value.len()).unwrap_or(0)).sum()
    }
}

/// Whether the ledger counts on a node, now or in the next epoch, or may still choose it; nobody is through before an
/// epoch's shards are reported.
fn has_duties(staking: &Staking, node: &ObjectId) -> bool {
    let pool = staking.pools.get(node);
    stakes::in_current(staking, node)
        || stakes::in_next(staking, node)
        || matches!(staking.state, EpochState::Sync { .. })
        || pool.is_some_and(|pool| pool.node.status == stakes::ACTIVE)
}
