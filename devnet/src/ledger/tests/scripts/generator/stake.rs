//! Stake that comes, is cut and joined, is asked back and paid.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Staked, StakedState};
use serde_json::json;

use super::{Generator, Proposal, WAL, call, make};

/// A receipt with its handle and its owner's name.
pub(super) type Held = (String, String, Staked);

/// What can be done with a receipt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is paid at once.
    Paid,
    /// It must be asked back first.
    MustAsk,
    /// It was asked back and waits.
    Waits,
}

impl Generator {
    pub(super) fn stake_step(&mut self) -> Option<Proposal> {
        match self.random.below(10) {
            0..4 => self.stake(),
            4..6 => self.ask_back(),
            6..8 => self.withdraw(),
            8 => self.split_receipt(),
            _ => self.join_receipts(),
        }
    }

    /// A receipt of somebody; that of N0 stays, so that there is always a committee.
    pub(super) fn receipt(&mut self, fits: impl Fn(&Self, &Staked) -> bool) -> Option<Held> {
        let all = self.runner.view.receipts.iter().filter(|(_, held)| fits(self, &held.value));
        let all = all.filter_map(|(id, held)| {
            Some((self.handle(id)?, self.actor(&held.owner)?, held.value.clone()))
        });
        let all: Vec<_> = all.filter(|(handle, ..)| handle != "@stake0").collect();
        self.random.pick(&all)
    }

    fn serves(&self, node: &ObjectId) -> bool {
        let committee = &self.runner.view.staking().committee;
        committee.iter().any(|member| member.key == *node)
    }

    fn is_chosen(&self, node: &ObjectId) -> bool {
        let next = self.runner.view.staking().next.iter().flatten();
        next.into_iter().any(|member| member.key == *node)
    }

    /// What the timing of `contracts.md` 2.8 says of a receipt.
    pub(super) fn fate(&self, receipt: &Staked) -> Fate {
        let (epoch, node) = (self.epoch(), &receipt.node_id);
        if let StakedState::Withdrawing { withdraw_epoch } = receipt.state {
            return if withdraw_epoch <= epoch { Fate::Paid } else { Fate::Waits };
        }
        let ahead = receipt.activation_epoch.saturating_sub(epoch);
        let early = ahead >= 2 || ahead == 1 && !self.is_chosen(node);
        let idle = !self.serves(node) && !self.is_chosen(node);
        if early || idle { Fate::Paid } else { Fate::MustAsk }
    }

    /// A node that takes stake.
    pub(super) fn active_node(&mut self) -> Option<String> {
        let pools = self.runner.view.staking().pools.iter();
        let active = pools.filter(|(_, pool)| pool.node.status == 0);
        let names: Vec<_> = active.filter_map(|(id, _)| self.node_name(id)).collect();
        self.random.pick(&names)
    }

    fn stake(&mut self) -> Option<Proposal> {
        let (node, sender) = (self.active_node()?, self.rich());
        let amount = match self.random.below(4) {
            0 => WAL,
            1 => WAL + self.random.below(WAL),
            _ => (1 + self.random.below(9)) * WAL + self.random.below(1000),
        };
        if amount > self.wealth(&sender) {
            return None;
        }
        let ((split, coin), name) = (self.coin(amount), self.name("r"));
        let stake = make("stake", json!({ "coin": coin, "node": node }), &name);
        Some(Proposal::legal(&sender, vec![split, stake]))
    }

    fn ask_back(&mut self) -> Option<Proposal> {
        let (handle, owner, _) =
            self.receipt(|this, receipt| this.fate(receipt) == Fate::MustAsk)?;
        let ask = call("request_withdraw", json!({ "staked": handle }));
        Some(Proposal::legal(&owner, vec![ask]))
    }

    fn withdraw(&mut self) -> Option<Proposal> {
        let (handle, owner, _) = self.receipt(|this, receipt| this.fate(receipt) == Fate::Paid)?;
        let name = self.name("c");
        Some(Proposal::legal(&owner, vec![make("withdraw", json!({ "staked": handle }), &name)]))
    }

    fn split_receipt(&mut self) -> Option<Proposal> {
        let (handle, owner, receipt) = self.receipt(|_, receipt| receipt.principal >= 2 * WAL)?;
        let amount = WAL + self.random.below(receipt.principal - 2 * WAL + 1);
        let (arguments, name) = (json!({ "staked": handle, "amount": amount }), self.name("r"));
        Some(Proposal::legal(&owner, vec![make("split_staked", arguments, &name)]))
    }

    fn join_receipts(&mut self) -> Option<Proposal> {
        let (handle, owner, first) =
            self.receipt(|_, receipt| receipt.state == StakedState::Staked)?;
        let of = |staked: &Staked| (staked.node_id, staked.activation_epoch, staked.state);
        let (other, other_owner, _) =
            self.receipt(|_, second| second.id != first.id && of(second) == of(&first))?;
        let join = call("join_staked", json!({ "staked": handle, "other": other }));
        (owner == other_owner).then(|| Proposal::legal(&owner, vec![join]))
    }
}
