//! Calls of the stake side: nodes register, stake comes and goes, operators vote.
//!
//! Does not: move epochs on; `voting_end` and `epoch_change` need the clock and the storage side.

use haulout_protocol::chain::call::RegisterNode;
use haulout_protocol::chain::object::staking::{Asks, NodeCap, Staked, Staking};

use super::{Abort, Call, Coin, CommandArgumentError, ExecutionError, Machine, Resource, Results};
use super::{Use, at};
use crate::ledger::rules::stake_params::StakeParams;
use crate::ledger::rules::{Context, node_registry, staking};

/// A vote of a node: a number, by whoever shows its cap.
type Vote = fn(&mut Context, &mut Staking, &NodeCap, u64) -> Result<(), Abort>;

impl Machine<'_> {
    pub(super) fn register_node(&mut self, call: Call<'_>) -> Results {
        let arguments = RegisterNode {
            name: call.pure(self, 3)?,
            peer_key: call.pure(self, 4)?,
            peer_proof: call.pure(self, 5)?,
            multiaddrs: call.pure(self, 6)?,
            bls_public_key: call.pure(self, 7)?,
            bls_proof: call.pure(self, 8)?,
            commission_bps: call.pure(self, 9)?,
            asks: Asks { storage: call.pure(self, 10)?, write: call.pure(self, 11)? },
            capacity: call.pure(self, 12)?,
            metadata: call.pure(self, 13)?,
        };
        let mut state = call.staking_inner(self)?;
        let params = call.stake_params(self)?;
        let bond = call.spend(self, 2)?;
        let sender = *self.sender.inner();
        let context = &mut self.context;
        let cap =
            node_registry::register_node(context, &mut state, &params, sender, &arguments, bond);
        let cap = cap.map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::StakingInner(state));
        Ok(vec![Resource::NodeCap(cap)])
    }

    pub(super) fn stake_with_pool(&mut self, call: Call<'_>) -> Results {
        let node = call.pure(self, 3)?;
        let mut state = call.staking_inner(self)?;
        let params = call.stake_params(self)?;
        let amount = call.spend(self, 2)?;
        let context = &mut self.context;
        let staked = staking::stake_with_pool(context, &mut state, &params, &node, amount);
        let staked = staked.map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::StakingInner(state));
        Ok(vec![Resource::Staked(staked)])
    }

    pub(super) fn request_withdraw_stake(&mut self, call: Call<'_>) -> Results {
        let mut state = call.staking_inner(self)?;
        let mut staked = call.staked(self, Use::Mutable)?;
        staking::request_withdraw_stake(&mut self.context, &mut state, &mut staked)
            .map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::StakingInner(state));
        call.put_back(self, 1, Resource::Staked(staked));
        Ok(Vec::new())
    }

    pub(super) fn withdraw_stake(&mut self, call: Call<'_>) -> Results {
        let mut state = call.staking_inner(self)?;
        let staked = call.staked(self, Use::Value)?;
        self.delete(staked.id);
        let paid = staking::withdraw_stake(&mut self.context, &mut state, staked);
        let balance = paid.map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::StakingInner(state));
        let coin = Coin { id: self.context.fresh_id(), balance };
        Ok(vec![Resource::Coin { token: self.names.wal.clone(), coin }])
    }

    pub(super) fn set_storage_price_vote(&mut self, call: Call<'_>) -> Results {
        self.vote(call, staking::set_storage_price_vote)
    }

    pub(super) fn set_write_price_vote(&mut self, call: Call<'_>) -> Results {
        self.vote(call, staking::set_write_price_vote)
    }

    pub(super) fn set_node_capacity_vote(&mut self, call: Call<'_>) -> Results {
        self.vote(call, staking::set_node_capacity_vote)
    }

    fn vote(&mut self, call: Call<'_>, vote: Vote) -> Results {
        let value = call.pure(self, 2)?;
        let mut state = call.staking_inner(self)?;
        let cap = call.take(self, 1, Use::Immutable, |taken| match taken {
            Resource::NodeCap(cap) => Some(cap),
            _ => None,
        })?;
        vote(&mut self.context, &mut state, &cap, value)
            .map_err(|abort| self.aborted(&call, abort))?;
        call.put_back(self, 0, Resource::StakingInner(state));
        call.put_back(self, 1, Resource::NodeCap(cap));
        Ok(Vec::new())
    }
}

impl Call<'_> {
    /// The state of stake, which is always the first argument.
    fn staking_inner(self, machine: &mut Machine<'_>) -> Result<Box<Staking>, ExecutionError> {
        self.take(machine, 0, Use::Mutable, |taken| match taken {
            Resource::StakingInner(state) => Some(state),
            _ => None,
        })
    }

    /// What stake's rules read of the parameters, which are always the second argument.
    fn stake_params(self, machine: &mut Machine<'_>) -> Result<StakeParams, ExecutionError> {
        let params = self.params(machine, 1)?;
        let network_id = params.network_id;
        self.put_back(machine, 1, Resource::Params(params));
        Ok(StakeParams::devnet(network_id))
    }

    fn staked(self, machine: &mut Machine<'_>, usage: Use) -> Result<Staked, ExecutionError> {
        self.take(machine, 1, usage, |taken| match taken {
            Resource::Staked(staked) => Some(staked),
            _ => None,
        })
    }

    /// Takes a coin of WAL for good and says what it held.
    fn spend(self, machine: &mut Machine<'_>, index: usize) -> Result<u64, ExecutionError> {
        let wal = machine.names.wal.clone();
        match self.take(machine, index, Use::Value, Some)? {
            Resource::Coin { token, coin } if token == wal => {
                machine.delete(coin.id);
                Ok(coin.balance)
            }
            _ => Err(at(index, CommandArgumentError::TypeMismatch)),
        }
    }
}
