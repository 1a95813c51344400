//! The fields of the tables are the state, after every transaction and from the disk.

use haulout_protocol::chain::object::staking::Rate;

use super::*;
use crate::ledger::State;
use crate::ledger::tests::scripts::{BEGIN_MS, story};
use haulout_protocol::rules::staking;

#[test]
fn after_every_transaction_the_fields_say_what_the_state_says() {
    let story = story(4);
    let mut state = State::genesis(&story.genesis, BEGIN_MS).unwrap();
    let mut versions = 0;
    for (now_ms, transaction, _) in &story.transactions {
        state.apply(*now_ms, transaction).unwrap();
        let (names, objects) = (state.names(), state.stored());
        let whole = assemble(names, objects).unwrap();
        assert_eq!(&whole, objects.stake().unwrap().as_ref());
        versions = versions.max(objects.get(&names.staking_inner).unwrap().version());
    }
    assert!(versions > 20, "the story is about stake as well");
}

#[test]
fn a_state_with_a_field_too_few_is_not_assembled() {
    let story = story(4);
    let state = State::genesis(&story.genesis, BEGIN_MS).unwrap();
    let whole = state.stored().stake().unwrap().clone();
    let fields: Vec<_> = changes(None, &whole).into_keys().collect();
    assert!(assemble(state.names(), state.stored()).is_some());
    for field in fields {
        let mut objects = state.stored().clone();
        let removed = vec![Address::new(field.into())];
        objects.apply(&crate::ledger::Changes { removed, ..Default::default() });
        assert!(assemble(state.names(), &objects).is_none());
        assert!(!assemble_in(&mut objects, state.names()) && objects.stake().is_none());
    }
}

#[test]
fn equal_states_have_no_changes_and_an_entry_that_goes_is_one() {
    let story = story(4);
    let state = State::genesis(&story.genesis, BEGIN_MS).unwrap();
    let before = state.stored().stake().unwrap().as_ref();
    let mut after = before.clone();
    // Written again, but not with anything else.
    let node = *after.pools.keys().next().unwrap();
    staking::pool_mut(&mut after, &node).unwrap().commission_blocked = 0;
    assert!(changes(Some(before), &after).is_empty());

    let key = after.by_bls.keys().next().unwrap().clone();
    after.by_bls.remove(&key);
    staking::pool_mut(&mut after, &node).unwrap().rates.insert(7, Rate::Flat);
    let changes = changes(Some(before), &after);
    let gone = key.field_id(&before.by_bls.table().id);
    let expected = Change { parent: before.by_bls.table().id, field: None };
    assert_eq!(changes[&gone], expected);
    let table = after.pools[&node].rates.table();
    let rate = DynamicField { id: 7_u32.field_id(&table.id), name: 7, value: Rate::Flat };
    let expected = Change { parent: table.id, field: Some(Field::Rate(rate.clone())) };
    assert_eq!(changes[&rate.id], expected);
    assert!(changes.contains_key(&node.field_id(&before.pools.table().id)));
    assert_eq!(changes.len(), 3, "the pool changed with the size of its table");
}
