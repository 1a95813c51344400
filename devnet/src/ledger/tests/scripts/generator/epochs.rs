//! Time that passes: the next turn of the epoch machine, at its time.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::EpochState;
use serde_json::json;

use super::super::stage::BEGIN_MS;
use super::{Generator, Proposal, call};

impl Generator {
    /// How long after genesis a moment of the ledger is.
    pub(super) fn since_begin(moment_ms: u64) -> u64 {
        moment_ms.saturating_sub(BEGIN_MS)
    }

    /// What the epoch waits for, when it may be done.
    pub(super) fn turn(&mut self) -> Proposal {
        let duration = self.runner.stage.config.epoch_duration_ms;
        let sender = self.rich();
        match self.runner.view.staking().state {
            EpochState::Done { since_ms } => {
                let end = call("voting_end", json!({}));
                let t = Self::since_begin(since_ms) + duration / 2;
                Proposal::legal(&sender, vec![end]).at(t)
            }
            EpochState::Selected { since_ms } => {
                let change = call("epoch_change", json!({}));
                Proposal::legal(&sender, vec![change]).at(Self::since_begin(since_ms) + duration)
            }
            EpochState::Sync { started_ms, .. } => self.sync_or_force(&sender, started_ms),
        }
    }

    fn sync_or_force(&mut self, sender: &str, started_ms: u64) -> Proposal {
        let none = self.runner.view.staking().synced.is_empty();
        if none && self.random.chance(60) {
            let sync = Some(json!("all"));
            return Proposal { sync, ..Proposal::legal("", vec![]) };
        }
        if self.random.chance(60)
            && let Some(report) = self.report()
        {
            return report;
        }
        let timeout = self.runner.stage.config.epoch_duration_ms / 4;
        let force = call("force_sync_done", json!({}));
        Proposal::legal(sender, vec![force]).at(Self::since_begin(started_ms) + timeout)
    }

    /// A member that has not reported does.
    fn report(&mut self) -> Option<Proposal> {
        let staking = self.runner.view.staking();
        let missing = staking.committee.iter().map(|member| member.key);
        let missing: Vec<_> = missing.filter(|node| !staking.synced.contains(node)).collect();
        let node = self.random.pick(&missing)?;
        let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
        let report = call("epoch_sync_done", json!({ "cap": cap, "epoch": "epoch()" }));
        Some(Proposal::legal(&owner, vec![report]))
    }

    /// The cap of a node, and whose it is.
    pub(super) fn cap(&self, node: &ObjectId) -> Option<(String, String)> {
        let caps = self.runner.view.caps.iter();
        let (id, held) = caps.into_iter().find(|(_, held)| held.value.node_id == *node)?;
        Some((self.handle(id)?, self.actor(&held.owner)?))
    }
}
