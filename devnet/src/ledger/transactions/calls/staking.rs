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
type Vote = fn(&mut Context<'_>, &mut Staking, &NodeCap, u64) -> Result<(), Abort>;

pub(super) fn register_node(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let arguments = RegisterNode {
        name: call.pure(machine, 3)?,
        peer_key: call.pure(machine, 4)?,
        peer_proof: call.pure(machine, 5)?,
        multiaddrs: call.pure(machine, 6)?,
        bls_public_key: call.pure(machine, 7)?,
        bls_proof: call.pure(machine, 8)?,
        commission_bps: call.pure(machine, 9)?,
        asks: Asks { storage: call.pure(machine, 10)?, write: call.pure(machine, 11)? },
        capacity: call.pure(machine, 12)?,
        metadata: call.pure(machine, 13)?,
    };
    let mut state = call.staking_inner(machine)?;
    let params = call.stake_params(machine)?;
    let bond = call.spend(machine, 2)?;
    let sender = *machine.sender.inner();
    let context = &mut machine.context;
    let cap = node_registry::register_node(context, &mut state, &params, sender, &arguments, bond);
    let cap = cap.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state));
    Ok(vec![Resource::NodeCap(cap)])
}

pub(super) fn stake_with_pool(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let node = call.pure(machine, 3)?;
    let mut state = call.staking_inner(machine)?;
    let params = call.stake_params(machine)?;
    let amount = call.spend(machine, 2)?;
    let context = &mut machine.context;
    let staked = staking::stake_with_pool(context, &mut state, &params, &node, amount);
    let staked = staked.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state));
    Ok(vec![Resource::Staked(staked)])
}

pub(super) fn request_withdraw_stake(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine)?;
    let mut staked = call.staked(machine, Use::Mutable)?;
    staking::request_withdraw_stake(&mut machine.context, &mut state, &mut staked)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state));
    call.put_back(machine, 1, Resource::Staked(staked));
    Ok(Vec::new())
}

pub(super) fn withdraw_stake(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine)?;
    let staked = call.staked(machine, Use::Value)?;
    machine.delete(staked.id);
    let paid = staking::withdraw_stake(&mut machine.context, &mut state, staked);
    let balance = paid.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state));
    let coin = Coin { id: machine.context.fresh_id(), balance };
    Ok(vec![Resource::Coin { token: machine.names.wal.clone(), coin }])
}

pub(super) fn set_storage_price_vote(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    vote(machine, call, staking::set_storage_price_vote)
}

pub(super) fn set_write_price_vote(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    vote(machine, call, staking::set_write_price_vote)
}

pub(super) fn set_node_capacity_vote(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    vote(machine, call, staking::set_node_capacity_vote)
}

fn vote(machine: &mut Machine<'_>, call: Call<'_>, cast: Vote) -> Results {
    let value = call.pure(machine, 2)?;
    let mut state = call.staking_inner(machine)?;
    let cap = call.take(machine, 1, Use::Immutable, |taken| match taken {
        Resource::NodeCap(cap) => Some(cap),
        _ => None,
    })?;
    cast(&mut machine.context, &mut state, &cap, value)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(Vec::new())
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
        let read = StakeParams::read(&params).map_err(|abort| machine.aborted(self, abort))?;
        self.put_back(machine, 1, Resource::Params(params));
        Ok(read)
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
