//! Calls by which a node changes: what it shows, its keys, its commission and who decides.
//!
//! Promises: whoever shows the node's cap changes what the node shows; receiver and authority are
//! changed only by who they are now, an account by signing, a cap by being shown.
//! Does not: accept other objects than caps as a receiver or an authority that acts.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::staking::{Authority, NodeCap, Staking};

use super::staking::pay_out;
use super::{Abort, Call, ExecutionError, Machine, Resource, Results, Use};
use haulout_protocol::rules::staking_pool::Proof;
use haulout_protocol::rules::{Context, node_registry, staking};

/// Changes who may do something, for who may do it now.
type SetAuthority =
    fn(&mut Context<'_>, &mut Staking, ObjectId, Proof, Authority) -> Result<(), Abort>;

pub(super) fn set_name(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let name = call.pure(machine, 2)?;
    by_cap(machine, call, |context, state, cap| node_registry::set_name(context, state, cap, name))
}

pub(super) fn set_multiaddrs(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let multiaddrs = call.pure(machine, 2)?;
    by_cap(machine, call, |context, state, cap| {
        node_registry::set_multiaddrs(context, state, cap, multiaddrs)
    })
}

pub(super) fn set_node_metadata(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let metadata = call.pure(machine, 2)?;
    by_cap(machine, call, |context, state, cap| {
        node_registry::set_metadata(context, state, cap, metadata)
    })
}

pub(super) fn set_next_commission(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let bps = call.pure(machine, 2)?;
    by_cap(machine, call, |context, state, cap| {
        node_registry::set_commission(context, state, cap, bps)
    })
}

/// Makes a change that needs nothing but the state and the cap.
fn by_cap(
    machine: &mut Machine<'_>,
    call: Call<'_>,
    change: impl FnOnce(&mut Context<'_>, &mut Staking, &NodeCap) -> Result<(), Abort>,
) -> Results {
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let cap = call.node_cap(machine, 1)?;
    change(&mut machine.context, &mut state, &cap).map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 1, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn rotate_bls(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let key = (call.pure(machine, 3)?, call.pure(machine, 4)?);
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let cap = call.node_cap(machine, 2)?;
    let sender = ObjectId::from_bytes(*machine.sender.inner());
    node_registry::rotate_bls(&mut machine.context, &mut state, &params, sender, &cap, key)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 2, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn rotate_peer(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let key = (call.pure(machine, 3)?, call.pure(machine, 4)?);
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let params = call.stake_params(machine, 1)?;
    let cap = call.node_cap(machine, 2)?;
    let sender = ObjectId::from_bytes(*machine.sender.inner());
    node_registry::rotate_peer(&mut machine.context, &mut state, &params, sender, &cap, key)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    call.put_back(machine, 2, Resource::NodeCap(cap));
    Ok(Vec::new())
}

pub(super) fn set_commission_receiver(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    authority_by_cap(machine, call, node_registry::set_commission_receiver)
}

pub(super) fn set_governance_authorized(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    authority_by_cap(machine, call, node_registry::set_governance_authority)
}

fn authority_by_cap(machine: &mut Machine<'_>, call: Call<'_>, set: SetAuthority) -> Results {
    let new = call.authority(machine)?;
    let sender = ObjectId::from_bytes(*machine.sender.inner());
    by_cap(machine, call, |context, state, cap| {
        set(context, state, cap.node_id, Proof { sender, object: Some(cap.id) }, new)
    })
}

pub(super) fn set_commission_receiver_as_sender(
    machine: &mut Machine<'_>,
    call: Call<'_>,
) -> Results {
    authority_as_sender(machine, call, node_registry::set_commission_receiver)
}

pub(super) fn set_governance_authorized_as_sender(
    machine: &mut Machine<'_>,
    call: Call<'_>,
) -> Results {
    authority_as_sender(machine, call, node_registry::set_governance_authority)
}

fn authority_as_sender(machine: &mut Machine<'_>, call: Call<'_>, set: SetAuthority) -> Results {
    let (node, new) = (call.pure(machine, 1)?, call.authority(machine)?);
    let proof = Proof { sender: ObjectId::from_bytes(*machine.sender.inner()), object: None };
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    set(&mut machine.context, &mut state, node, proof, new)
        .map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(Vec::new())
}

pub(super) fn collect_commission_as_sender(machine: &mut Machine<'_>, call: Call<'_>) -> Results {
    let node = call.pure(machine, 1)?;
    let proof = Proof { sender: ObjectId::from_bytes(*machine.sender.inner()), object: None };
    let mut state = call.staking_inner(machine, Use::Mutable)?;
    let paid = staking::collect_commission(&mut machine.context, &mut state, &node, proof);
    let balance = paid.map_err(|abort| machine.aborted(call, abort))?;
    call.put_back(machine, 0, Resource::StakingInner(state.into()));
    Ok(pay_out(machine, balance))
}

impl Call<'_> {
    /// The third and fourth argument: whether an object is meant, and which object or account.
    fn authority(self, machine: &Machine<'_>) -> Result<Authority, ExecutionError> {
        let id = self.pure(machine, 3)?;
        Ok(match self.pure(machine, 2)? {
            true => Authority::Object(id),
            false => Authority::Account(id),
        })
    }
}
