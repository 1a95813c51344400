//! The tables of stake: in the rules' memory maps, on the ledger one object for each entry.
//!
//! Promises: the dynamic fields of the tables are always what the state of stake says, whoever
//! changed it; what a transaction left alone is not looked at, however much there is of it.
//! Does not: know when an entry changes; two states are compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::DynamicField;
use haulout_protocol::chain::object::staking::{Pool, Rows, Staking};
use sui_sdk_types::Address;

use super::fields::{Change, Field, TableKey};
use super::objects::{Names, Objects, Resource};

/// The fields that differ between two states, by their ids; all there are if nothing was before.
pub(super) fn changes(before: Option<&Staking>, after: &Staking) -> BTreeMap<ObjectId, Change> {
    let mut changes = BTreeMap::new();
    for (node, pool) in after.pools.changes(before.map(|before| &before.pools)) {
        let old = before.and_then(|before| before.pools.get(node)).map(Arc::as_ref);
        let id = node.field_id(&after.pools.table().id);
        let field = pool.map(|pool| {
            let value = Pool::clone(pool);
            Field::Pool(Box::new(DynamicField { id, name: *node, value }))
        });
        changes.insert(id, Change { parent: after.pools.table().id, field });
        let Some(pool) = pool else { continue };
        note(&mut changes, &pool.rates, old.map(|old| &old.rates), Field::Rate);
        note(&mut changes, &pool.stake_at, old.map(|old| &old.stake_at), Field::Amount);
    }
    let history = before.map(|before| &before.stake_history);
    note(&mut changes, &after.stake_history, history, Field::Amount);
    note(&mut changes, &after.by_peer, before.map(|before| &before.by_peer), Field::Node);
    note(&mut changes, &after.by_bls, before.map(|before| &before.by_bls), Field::Node);
    changes
}

/// Notes the entries of one table that changed.
fn note<Key: TableKey, Row: Clone + PartialEq>(
    changes: &mut BTreeMap<ObjectId, Change>,
    after: &Rows<Key, Row>,
    before: Option<&Rows<Key, Row>>,
    field: fn(DynamicField<Key, Row>) -> Field,
) {
    let parent = after.table().id;
    for (name, row) in after.changes(before) {
        let id = name.field_id(&parent);
        let entry = |row: &Row| DynamicField { id, name: name.clone(), value: row.clone() };
        changes.insert(id, Change { parent, field: row.map(entry).map(field) });
    }
}

/// Reads the state of stake from objects that were stored; says whether they are whole.
pub(super) fn assemble_in(objects: &mut Objects, names: &Names) -> bool {
    let stake = assemble(names, objects);
    let is_whole = stake.is_some();
    objects.set_stake(stake);
    is_whole
}

/// The whole state of stake, from its object and the fields of its tables; nothing if one of them
/// is missing or cannot be read.
pub(super) fn assemble(names: &Names, objects: &Objects) -> Option<Staking> {
    let object = objects.get(&names.staking_inner)?;
    let mut staking: Staking = bcs::from_bytes(object.as_struct()?.contents()).ok()?;
    let fields = StoredTables { names, objects };
    fields.fill(&mut staking.pools, |field| match field {
        Field::Pool(field) => Some((field.name, Arc::new(field.value))),
        _ => None,
    })?;
    for pool in staking.pools.values_mut().map(Arc::make_mut) {
        fields.fill(&mut pool.rates, |field| match field {
            Field::Rate(field) => Some((field.name, field.value)),
            _ => None,
        })?;
        fields.fill(&mut pool.stake_at, amount)?;
    }
    fields.fill(&mut staking.stake_history, amount)?;
    fields.fill(&mut staking.by_peer, node)?;
    fields.fill(&mut staking.by_bls, node)?;
    Some(staking)
}

fn amount(field: Field) -> Option<(u32, u64)> {
    match field {
        Field::Amount(field) => Some((field.name, field.value)),
        _ => None,
    }
}

fn node(field: Field) -> Option<(Vec<u8>, ObjectId)> {
    match field {
        Field::Node(field) => Some((field.name, field.value)),
        _ => None,
    }
}

/// Where tables are read from.
struct StoredTables<'a> {
    names: &'a Names,
    objects: &'a Objects,
}

impl StoredTables<'_> {
    /// Reads the entries of a table.
    fn fill<Key: Ord, Row>(
        &self,
        table: &mut Rows<Key, Row>,
        entry: fn(Field) -> Option<(Key, Row)>,
    ) -> Option<()> {
        let parent = Address::new((table.table().id).into());
        let fields = self.objects.fields_of(&parent, Address::ZERO);
        let rows = fields.map(|object| match Resource::read(self.names, object)? {
            Resource::Field(field) => entry(field),
            _ => None,
        });
        let rows: BTreeMap<_, _> = rows.collect::<Option<_>>()?;
        let size = table.table().size;
        table.fill(rows);
        // As many as the object says, neither fewer nor more.
        (table.unread() == 0 && table.table().size == size).then_some(())
    }
}

#[cfg(test)]
mod tests;
