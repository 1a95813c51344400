//! Calls of the stake side: nodes register, stake comes and goes, operators vote.
//!
//! Does not: move epochs on, or change nodes; those calls are in `epochs` and `nodes`.

use std::sync::Arc;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::RegisterNode;
use haulout_protocol::chain::object::staking::{Asks, NodeCap, Staked, Staking};

use super::{Abort, Call, Coin, CommandArgumentError, ExecutionError, Machine, Resource, Results};
use super::{Use, at};
use haulout_protocol::rules::stake_params::StakeParams;
use haulout_protocol::rules::staking_pool::Proof;
use haulout_protocol::rules::{Context, node_registry, staking};

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
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let bond = call.spend(machine, 2)?;
    let sender = ObjectId::from_bytes(*machine.sender.inner());
    let context = &mut machine.context;
    let cap = node_registry::register_node(context, &mut state, &params, sender, &arguments, bond);
    let cap = cap.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(vec![Resource::NodeCap(cap)])
}

pub(super) fn stake_with_pool(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let node = call.pure(machine, 3)?;
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let amount = call.spend(machine, 2)?;
    let context = &mut machine.context;
    let staked = staking::stake_with_pool(context, &mut state, &params, &node, amount);
    let staked = staked.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(vec![Resource::Staked(staked)])
}

pub(super) fn request_withdraw_stake(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let mut staked = call.staked(machine, 1, Use::Mutable)?;
    staking::request_withdraw_stake(&mut machine.context, &mut state, &mut staked)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::Staked(staked));
    Ok(Vec::new())
}

pub(super) fn withdraw_stake(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let staked = call.staked(machine, 1, Use::Value)?;
    machine.delete(staked.id);
    let paid = staking::withdraw_stake(&mut machine.context, &mut state, staked);
    let balance = paid.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(pay_out(machine, balance))
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
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    cast(&mut machine.context, &mut state, &cap, value)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn settle(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let node = call.pure(machine, 1)?;
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    staking::settle(&mut machine.context, &mut state, &node)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(Vec::new())
}

pub(super) fn collect_commission(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    let proof =
        Proof { sender: ObjectId::from_bytes(*machine.sender.inner()), object: Some(cap.id) };
    let paid = staking::collect_commission(&mut machine.context, &mut state, &cap.node_id, proof);
    let balance = paid.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(pay_out(machine, balance))
}

pub(super) fn request_exit(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    node_registry::request_exit(&mut machine.context, &mut state, &cap)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn withdraw_bond(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    let paid = node_registry::withdraw_bond(&mut machine.context, &mut state, &cap);
    let balance = paid.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(pay_out(machine, balance))
}

/// A new coin of WAL that was in a pool.
pub(super) fn pay_out(machine: &mut Machine<'_>, balance: u64) -> Vec<Resource> {
    let coin = Coin { id: machine.context.fresh_id(), balance };
    vec![Resource::Coin { token: machine.names.wal.clone(), coin }]
}

impl Call<'_> {
    /// The state of stake, which is always the first argument.
    pub(super) fn staking_inner(
        self,
        machine: &mut Machine<'_>,
        usage: Use,
    ) -> Result<Box<Staking>, ExecutionError> {
        self.take(machine, 0, usage, |taken| match taken {
            Resource::StakingInner(state) => Some(Box::new(Arc::unwrap_or_clone(state))),
            _ => None,
        })
    }

    /// What stake's rules read of the parameters.
    pub(super) fn stake_params(
        self,
        machine: &mut Machine<'_>,
        index: usize,
    ) -> Result<StakeParams, ExecutionError> {
        let params = self.params(machine, index)?;
        let read = StakeParams::read(&params).map_err(|abort| machine.aborted(self, abort))?;
        self.put_back(machine, index, Resource::Params(params));
        Ok(read)
    }

    /// A node's cap, which is only shown.
    pub(super) fn node_cap(
        self,
        machine: &mut Machine<'_>,
        index: usize,
    ) -> Result<NodeCap, ExecutionError> {
        self.take(machine, index, Use::Immutable, |taken| match taken {
            Resource::NodeCap(cap) => Some(cap),
            _ => None,
        })
    }

    /// The time.
    pub(super) fn now_ms(
        self,
        machine: &mut Machine<'_>,
        index: usize,
    ) -> Result<u64, ExecutionError> {
        let clock = self.take(machine, index, Use::Immutable, |taken| match taken {
            Resource::Clock(clock) => Some(clock),
            _ => None,
        })?;
        self.put_back(machine, index, Resource::Clock(clock));
        Ok(clock.timestamp_ms)
    }

    /// A receipt of stake.
    pub(super) fn staked(
        self,
        machine: &mut Machine<'_>,
        index: usize,
        usage: Use,
    ) -> Result<Staked, ExecutionError> {
        self.take(machine, index, usage, |taken| match taken {
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
