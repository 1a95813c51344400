//! Money and things that change hands.

use serde_json::json;
use sui_sdk_types::Address;

use super::super::stage::account;
use super::{Generator, Proposal, call, make};

impl Generator {
    pub(super) fn money(&mut self) -> Option<Proposal> {
        let sender = self.rich();
        match self.random.below(8) {
            0..2 => {
                let ((split, coin), length) =
                    (self.amount(&sender)?, self.runner.view.system().ring.length);
                let epochs = 1 + self.random.below(length.into());
                let gift = call("add_subsidy", json!({ "coin": coin, "epochs": epochs }));
                Some(Proposal::legal(&sender, vec![split, gift]))
            }
            2 => {
                let (split, coin) = self.amount(&sender)?;
                let burn = call("burn_wal", json!({ "coin": coin }));
                Some(Proposal::legal(&sender, vec![split, burn]))
            }
            3..5 => {
                let (split, coin) = self.amount(&sender)?;
                let give = call("transfer", json!({ "object": coin, "to": self.rich() }));
                Some(Proposal::legal(&sender, vec![split, give]))
            }
            5 => self.merge(&sender),
            6 => {
                let amount = self.random.below(self.wealth(&sender).min(1 << 40) + 1);
                let name = self.name("c");
                let split = make("split_coin", json!({ "coin": "$tok", "amount": amount }), &name);
                Some(Proposal::legal(&sender, vec![split]))
            }
            _ => self.give_away(),
        }
    }

    /// A small coin.
    fn amount(&mut self, sender: &str) -> Option<(super::Command, String)> {
        let amount = self.random.below(100_000);
        (amount <= self.wealth(sender)).then(|| self.coin(amount))
    }

    fn merge(&mut self, sender: &str) -> Option<Proposal> {
        let (owner, richest) = (account(sender), self.runner.stage.richest(sender, true)?);
        let coins = self.runner.view.coins.iter();
        let other = coins.filter(|(id, coin)| coin.owner == owner && **id != richest);
        let other: Vec<_> = other.filter_map(|(id, _)| self.handle(id)).collect();
        let from = self.random.pick(&other)?;
        let merge = call("merge_coins", json!({ "coin": "$tok", "from": from }));
        Some(Proposal::legal(sender, vec![merge]))
    }

    /// Anything that has an owner gets another.
    fn give_away(&mut self) -> Option<Proposal> {
        let view = &self.runner.view;
        let storages = view.storages.iter().map(|(id, held)| (*id, held.owner));
        let blobs = view.blobs.iter().map(|(id, held)| (*id, held.owner));
        let receipts = view.receipts.iter().map(|(id, held)| (*id, held.owner));
        let caps = view.caps.iter().map(|(id, held)| (*id, held.owner));
        let all: Vec<(Address, Address)> =
            storages.chain(blobs).chain(receipts).chain(caps).collect();
        let (id, owner) = self.random.pick(&all)?;
        let (object, sender, to) = (self.handle(&id)?, self.actor(&owner)?, self.rich());
        let give = call("transfer", json!({ "object": object, "to": to }));
        Some(Proposal::legal(&sender, vec![give]))
    }
}
