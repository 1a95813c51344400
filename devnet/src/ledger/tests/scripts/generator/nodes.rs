//! Nodes that come, vote, collect and leave.

use haulout_protocol::chain::ObjectId;
use serde_json::json;

use super::{Generator, Proposal, WAL, call, make};

/// How many nodes there ever are.
const NODES_MAX: usize = 9;

impl Generator {
    pub(super) fn node(&mut self) -> Option<Proposal> {
        match self.random.below(10) {
            0..2 => self.register_node(),
            2..6 => self.vote(),
            6 if self.random.chance(50) => {
                let sender = self.rich();
                Some(Proposal::legal(&sender, vec![call("update_prices", json!({}))]))
            }
            6 => {
                let node = self.any_node()?;
                let name = self.node_name(&node)?;
                let sender = self.rich();
                let settle = call("settle", json!({ "node": name }));
                Some(Proposal::legal(&sender, vec![settle]))
            }
            7 => {
                let node = self.any_node()?;
                let ((cap, owner), name) =
                    (self.cap(&ObjectId::from_bytes(*node.as_bytes()))?, self.name("c"));
                let collect = make("collect_commission", json!({ "cap": cap }), &name);
                Some(Proposal::legal(&owner, vec![collect]))
            }
            8 => self.exit(),
            _ => self.withdraw_bond(),
        }
    }

    /// Any node that was ever registered.
    pub(super) fn any_node(&mut self) -> Option<ObjectId> {
        let nodes: Vec<_> = self.runner.view.staking().pools.keys().copied().collect();
        self.random.pick(&nodes)
    }

    /// A registration that lacks nothing but what `change` does to it.
    pub(super) fn registration(
        &mut self,
        bond: u64,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Option<(String, Vec<super::Command>)> {
        let sender = self.rich();
        let number = self.runner.stage.nodes.len();
        if number >= NODES_MAX || bond > self.wealth(&sender) {
            return None;
        }
        let ((split, coin), name) = (self.coin(bond), self.name("cap"));
        let commission = self.random.pick(&[0, 1, 500, 9_999, 10_000])?;
        let mut arguments = json!({
            "node": format!("N{number}"), "bond": coin, "commission": commission,
            "storage_ask": 50 + self.random.below(100), "write_ask": 10 + self.random.below(20),
            "capacity": (1 + self.random.below(20)) << 20,
        });
        change(&mut arguments);
        Some((sender, vec![split, make("register_node", arguments, &name)]))
    }

    fn register_node(&mut self) -> Option<Proposal> {
        let bond = WAL + self.random.below(2);
        let (sender, cmds) = self.registration(bond, |_| {})?;
        Some(Proposal::legal(&sender, cmds))
    }

    fn vote(&mut self) -> Option<Proposal> {
        let node = self.any_node()?;
        let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
        let (name, values) = match self.random.below(3) {
            0 => ("vote_storage_price", [0, 1, 90, 110, 10_000, u64::MAX]),
            1 => ("vote_write_price", [0, 1, 18, 25, 1_000, u64::MAX]),
            _ => ("vote_capacity", [0, 1, 5 << 20, 9 << 20, 40 << 20, u64::MAX]),
        };
        let value = self.random.pick(&values)?;
        let vote = call(name, json!({ "cap": cap, "value": value }));
        Some(Proposal::legal(&owner, vec![vote]))
    }

    fn exit(&mut self) -> Option<Proposal> {
        let node = self.any_node()?;
        // N0 stays, so that there is always a committee.
        if self.runner.view.staking().pools[&node].node.status != 0
            || self.node_name(&node)? == "N0"
        {
            return None;
        }
        let (cap, owner) = self.cap(&ObjectId::from_bytes(*node.as_bytes()))?;
        Some(Proposal::legal(&owner, vec![call("request_exit", json!({ "cap": cap }))]))
    }

    fn withdraw_bond(&mut self) -> Option<Proposal> {
        let staking = self.runner.view.staking();
        let epoch = staking.epoch;
        let members = staking.committee.iter().chain(staking.next.iter().flatten());
        let members: Vec<_> = members.map(|member| member.key).collect();
        let free = staking.pools.iter().filter(|(id, pool)| {
            let waited = pool.exit_epoch.is_some_and(|exit| epoch >= exit + 2);
            pool.node.status == 1 && waited && !members.contains(*id)
        });
        let free: Vec<_> = free.map(|(id, _)| *id).collect();
        let node = self.random.pick(&free)?;
        let ((cap, owner), name) =
            (self.cap(&ObjectId::from_bytes(*node.as_bytes()))?, self.name("c"));
        Some(Proposal::legal(&owner, vec![make("withdraw_bond", json!({ "cap": cap }), &name)]))
    }
}
