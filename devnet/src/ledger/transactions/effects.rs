//! What is recorded of a transaction: new versions, effects, events.
//!
//! Promises: every object the transaction could change gets the same new version, changed or
//! not; gas is paid whether it succeeded or failed; the bytes and digests are Sui's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{Event, MODULE};
use haulout_protocol::chain::object::staking::Staking;
use sui_sdk_types::{
    Address, ChangedObject, Digest, Event as SuiEvent, ExecutionStatus, GasCostSummary,
    IdOperation, Identifier, Object, ObjectIn, ObjectOut, Owner, StructTag, Transaction,
    TransactionEffects, TransactionEffectsV2, TransactionEvents, UnchangedConsensusKind,
    UnchangedConsensusObject,
};

use super::loading::{Access, Loaded, Slot};
use super::{Before, CHAIN_EPOCH, Executed, Failure, GAS_COST, Names};
use crate::ledger::fields::Change;
use crate::ledger::identifiers::identifier;
use crate::ledger::objects::{Changes, Resource};

/// What a run left behind.
#[derive(Debug)]
pub(super) struct Output {
    /// Why it failed, if it did.
    pub(super) failure: Option<Failure>,
    /// Objects that stay with their owners.
    pub(super) kept: Vec<Resource>,
    /// Objects that have new owners.
    pub(super) transferred: Vec<(Resource, Address)>,
    /// Ids that did not exist before.
    pub(super) created: BTreeSet<Address>,
    /// Objects that were destroyed.
    pub(super) deleted: BTreeSet<Address>,
    /// Dynamic fields that changed.
    pub(super) fields: BTreeMap<ObjectId, Change>,
    /// The state of stake, if the transaction could change it.
    pub(super) stake: Option<Arc<Staking>>,
    /// Views that changed with what they show.
    pub(super) views: Vec<Resource>,
    /// What was said, and in which module.
    pub(super) events: Vec<(Identifier, Event)>,
    /// The gas budget that was set aside from the gas coin.
    pub(super) reserved: u64,
}

impl Output {
    /// Everything as it was.
    pub(super) fn failed(loaded: &Loaded, failure: Failure) -> Self {
        let slots = loaded.inputs.iter().filter_map(|slot| match slot {
            Slot::Object { value, .. } => value.clone(),
            Slot::Pure(_) => None,
        });
        let gas = Resource::Coin { token: StructTag::sui(), coin: loaded.gas.clone() };
        Output {
            failure: Some(failure),
            kept: slots.chain([gas]).collect(),
            transferred: Vec::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            fields: BTreeMap::new(),
            stake: None,
            views: Vec::new(),
            events: Vec::new(),
            reserved: 0,
        }
    }

    /// The final objects with their owners; gas is settled, what was only read is left out.
    fn settle(
        &mut self,
        loaded: &Loaded,
        before: &Before,
    ) -> (BTreeMap<Address, (Resource, Owner)>, BTreeSet<Address>) {
        let gas = Address::new(loaded.gas.id.into());
        let mut deleted = std::mem::take(&mut self.deleted);
        deleted.extend(loaded.gas_objects.iter().map(Object::object_id).filter(|id| *id != gas));
        let mut after = BTreeMap::new();
        for resource in self.kept.drain(..) {
            if let Some(object) = before.get(&resource.id()) {
                after.insert(resource.id(), (resource, *object.owner()));
            }
        }
        for (resource, owner) in self.transferred.drain(..) {
            after.insert(resource.id(), (resource, Owner::Address(owner)));
        }
        for (id, Change { parent, field }) in std::mem::take(&mut self.fields) {
            let (id, owner) = (Address::new(id.into()), Owner::Object(Address::new(parent.into())));
            match field {
                Some(field) => {
                    if !before.contains_key(&id) {
                        self.created.insert(id);
                    }
                    after.insert(id, (Resource::Field(field), owner));
                }
                None => drop(deleted.insert(id)),
            }
        }
        for view in self.views.drain(..) {
            let id = view.id();
            let owner = before.get(&id).map(|object| *object.owner());
            if owner.is_none() {
                self.created.insert(id);
            }
            after.insert(id, (view, owner.unwrap_or(Owner::Shared(loaded.version))));
        }
        if let Some((Resource::Coin { coin, .. }, _)) = after.get_mut(&gas) {
            // The budget was at least the cost, and came out of this very coin.
            coin.balance = (coin.balance + self.reserved).saturating_sub(GAS_COST);
        }
        (after, deleted)
    }
}

/// Writes down what a transaction did.
pub(super) fn record(
    names: &Names,
    transaction: &Transaction,
    digest: Digest,
    loaded: &Loaded,
    before: &Before,
    mut output: Output,
) -> Executed {
    let (after, deleted) = output.settle(loaded, before);
    let written: Vec<_> = after
        .values()
        .map(|(resource, owner)| resource.write(names, loaded.version, *owner, digest))
        .collect();
    let removed: Vec<_> = before.keys().filter(|id| !after.contains_key(id)).copied().collect();
    let changed = changed_objects(before, &written, &removed, &output.created, &deleted);
    let gas = Address::new(loaded.gas.id.into());
    let gas_index = (0..).zip(&changed).find(|(_, object)| object.object_id == gas);
    let events = sui_events(names, transaction.sender, &output.events);
    let effects = TransactionEffectsV2 {
        status: match output.failure {
            None => ExecutionStatus::Success,
            Some(Failure { error, command }) => ExecutionStatus::Failure { error, command },
        },
        epoch: CHAIN_EPOCH,
        gas_used: GasCostSummary { computation_cost: GAS_COST, ..GasCostSummary::default() },
        transaction_digest: digest,
        gas_object_index: gas_index.map(|(index, _)| index),
        events_digest: events.as_ref().map(TransactionEvents::digest),
        dependencies: dependencies(loaded, before),
        lamport_version: loaded.version,
        changed_objects: changed,
        unchanged_consensus_objects: only_read(loaded),
        auxiliary_data_digest: None,
    };
    let effects = TransactionEffects::V2(Box::new(effects));
    let changes = Changes { written, removed, stake: output.stake };
    Executed { effects, events, changes }
}

fn changed_objects(
    before: &Before,
    written: &[Object],
    removed: &[Address],
    created: &BTreeSet<Address>,
    deleted: &BTreeSet<Address>,
) -> Vec<ChangedObject> {
    let input_state = |id: &Address| match before.get(id) {
        Some(object) => ObjectIn::Exist {
            version: object.version(),
            digest: object.digest(),
            owner: *object.owner(),
        },
        None => ObjectIn::NotExist,
    };
    let mut changed: Vec<_> = written
        .iter()
        .map(|object| {
            let id = object.object_id();
            // What is neither new nor was there came out of another object.
            let id_operation = match created.contains(&id) {
                true => IdOperation::Created,
                false => IdOperation::None,
            };
            let output_state =
                ObjectOut::ObjectWrite { digest: object.digest(), owner: *object.owner() };
            ChangedObject {
                object_id: id,
                input_state: input_state(&id),
                output_state,
                id_operation,
            }
        })
        .collect();
    // What lived inside another object can be destroyed as well.
    let unseen = |id: &&Address| !before.contains_key(*id) && !created.contains(*id);
    let gone = removed.iter().chain(deleted.iter().filter(unseen));
    changed.extend(gone.map(|id| ChangedObject {
        object_id: *id,
        input_state: input_state(id),
        output_state: ObjectOut::NotExist,
        // What is neither here nor deleted lives on inside another object.
        id_operation: match deleted.contains(id) {
            true => IdOperation::Deleted,
            false => IdOperation::None,
        },
    }));
    changed.sort_by_key(|object| object.object_id);
    changed
}

fn dependencies(loaded: &Loaded, before: &Before) -> Vec<Digest> {
    let inputs = loaded.objects.iter().map(|(object, _)| object);
    let digests = inputs.chain(before.values()).map(Object::previous_transaction);
    // No transaction moves the clock.
    digests.filter(|digest| *digest != Digest::ZERO).collect::<BTreeSet<_>>().into_iter().collect()
}

fn only_read(loaded: &Loaded) -> Vec<UnchangedConsensusObject> {
    let read = loaded.objects.iter().filter(|(_, access)| *access == Access::SharedReadOnly);
    read.map(|(object, _)| UnchangedConsensusObject {
        object_id: object.object_id(),
        kind: UnchangedConsensusKind::ReadOnlyRoot {
            version: object.version(),
            digest: object.digest(),
        },
    })
    .collect()
}

/// Events of the rules as Sui shows them; nothing if there are none.
fn sui_events(
    names: &Names,
    sender: Address,
    events: &[(Identifier, Event)],
) -> Option<TransactionEvents> {
    if events.is_empty() {
        return None;
    }
    let wrap = |(module, event): &(Identifier, Event)| wrap_event(names, module, sender, event);
    Some(TransactionEvents(events.iter().map(wrap).collect()))
}

/// One event of the rules as Sui shows it.
pub(in crate::ledger) fn wrap_event(
    names: &Names,
    module: &Identifier,
    sender: Address,
    event: &Event,
) -> SuiEvent {
    let name = identifier(event.name());
    SuiEvent {
        package_id: names.package,
        module: module.clone(),
        sender,
        type_: StructTag::new(names.package, identifier(MODULE), name, vec![]),
        contents: event.to_bytes(),
    }
}
