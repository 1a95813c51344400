//! The state of stake as anybody reads it: one object, and its tables' entries as dynamic fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use haulout_protocol::chain::object::staking::{Pool, Rate, Rows, Staking};
use haulout_protocol::chain::{ObjectId, TypeName};
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, StructTag};

use crate::world::{Account, World};

impl World {
    /// The state of stake with all entries of all its tables.
    pub(crate) async fn stake_state(&self) -> Staking {
        let mut state: Staking = self.object(&self.ledger.ids().staking_inner()).await;
        let mut pools = BTreeMap::new();
        for (node, mut pool) in self.entries::<ObjectId, Pool, _>(&state.pools).await {
            pool.rates.fill(self.entries(&pool.rates).await);
            pool.stake_at.fill(self.entries(&pool.stake_at).await);
            assert_eq!(pool.rates.unread() + pool.stake_at.unread(), 0);
            pools.insert(node, Arc::new(pool));
        }
        state.pools.fill(pools);
        state.stake_history.fill(self.entries(&state.stake_history).await);
        state.by_peer.fill(self.entries(&state.by_peer).await);
        state.by_bls.fill(self.entries(&state.by_bls).await);
        state
    }

    async fn entries<Key: DeserializeOwned + Ord, Value: DeserializeOwned, Row>(
        &self,
        table: &Rows<Key, Row>,
    ) -> BTreeMap<Key, Value> {
        let fields = self.fields(table.table().id).await;
        let decode = |field: &rpc::DynamicField| {
            let name = bcs::from_bytes(field.name().value()).unwrap();
            (name, bcs::from_bytes(field.value().value()).unwrap())
        };
        fields.iter().map(decode).collect()
    }

    /// All dynamic fields of an object, page by page.
    async fn fields(&self, parent: ObjectId) -> Vec<rpc::DynamicField> {
        let (mut token, mut found) = (None, Vec::new());
        loop {
            let mut request = rpc::ListDynamicFieldsRequest::default()
                .with_parent(Address::new(parent.into()))
                .with_page_size(3)
                .with_read_mask(FieldMask::from_str(
                    "field_id,name,value,value_type,field_object.version",
                ));
            request.page_token = token;
            let page = self.client.clone().state_client().list_dynamic_fields(request).await;
            let page = page.unwrap().into_inner();
            found.extend(page.dynamic_fields);
            token = page.next_page_token;
            if token.is_none() {
                return found;
            }
        }
    }

    /// The versions of the entries of a table, by their ids.
    async fn versions(&self, table: ObjectId) -> BTreeMap<String, u64> {
        let fields = self.fields(table).await;
        let version =
            |it: &rpc::DynamicField| (it.field_id().to_owned(), it.field_object().version());
        fields.iter().map(version).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_nodes_is_listed_with_ids_and_types_of_sui() {
    let world = World::start().await;
    let ids = world.ledger.ids().clone();
    let state: Staking = world.object(&ids.staking_inner()).await;
    let table = state.pools.table();
    let count = u64::try_from(ids.nodes.len()).unwrap();
    assert_eq!((table.size, state.pools.len(), state.pools.unread()), (count, 0, count));
    let fields = world.fields(table.id).await;
    assert_eq!(fields.len(), ids.nodes.len());
    let id_type = "0x2::object::ID".parse().unwrap();
    for field in fields {
        let node: ObjectId = bcs::from_bytes(field.name().value()).unwrap();
        assert!(ids.nodes.contains(&node));
        let derived =
            Address::new(table.id.into()).derive_dynamic_child_id(&id_type, node.as_bytes());
        assert_eq!(field.field_id(), derived.to_string());
        let value_type: StructTag = field.value_type().parse().unwrap();
        assert_eq!(value_type, TypeName::POOL.qualified(&ids.package).parse().unwrap());
        let pool: Pool = bcs::from_bytes(field.value().value()).unwrap();
        assert_eq!(pool.node.node_id, node);
        assert_eq!((pool.rates.unread(), pool.stake_at.unread()), (1, 1));
        let object = world.object_bytes(&ObjectId::from_bytes(*derived.inner())).await.unwrap();
        let whole = [&derived.inner()[..], node.as_bytes(), field.value().value()].concat();
        assert_eq!(object, whole, "the object is the field");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stake_changes_one_entry_of_the_table_of_nodes_and_no_other() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    for _ in 0..4 {
        world.fund(&alice).await;
    }
    let node = world.ledger.ids().nodes[0];
    let before = world.stake_state().await;
    let table = before.pools.table().id;
    let versions = world.versions(table).await;
    let staked = world.stake(&alice).await;
    let changed = world.versions(table).await;
    let changed: Vec<_> = changed.iter().filter(|(id, it)| versions[*id] != **it).collect();
    let id_type = "0x2::object::ID".parse().unwrap();
    let entry =
        Address::new(table.into()).derive_dynamic_child_id(&id_type, node.as_bytes()).to_string();
    assert!(matches!(changed[..], [(id, _)] if *id == entry), "{changed:?}");
    let mut expected = before.clone();
    let after = world.stake_state().await;
    assert_eq!(after.pools[&node].pending, before.pools[&node].pending + staked.principal);
    expected.pools.insert(node, after.pools[&node].clone());
    expected.active_set = after.active_set.clone();
    assert_eq!(after, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tables_are_the_same_after_a_restart_and_grow_after_it() {
    let mut world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    for epoch in 1..=3 {
        let before = world.stake_state().await;
        assert_eq!(
            before.stake_history.keys().copied().collect::<Vec<_>>(),
            Vec::from_iter(1..=epoch)
        );
        for pool in before.pools.values() {
            assert_eq!(pool.stake_at.len(), before.stake_history.len());
            assert_eq!(pool.rates.keys().next_back(), Some(&epoch));
            assert_eq!(pool.rates[&1], Rate::Flat);
        }
        world = world.restart().await;
        assert_eq!(world.stake_state().await, before);
        world.epoch(&alice, epoch + 1).await;
    }
    world.ledger.replay().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_reads_the_whole_book_of_stake_but_its_history() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    world.epoch(&alice, 2).await;
    world.epoch(&alice, 3).await;
    let (seen, whole) = (world.chain().await.stake().await.unwrap(), world.stake_state().await);
    assert_eq!((seen.epoch, &seen.committee), (3, &whole.committee));
    assert_eq!((&seen.by_peer, &seen.by_bls), (&whole.by_peer, &whole.by_bls));
    assert_eq!(seen.pools.len(), whole.pools.len());
    for (node, pool) in &seen.pools {
        let expected = &whole.pools[node];
        assert_eq!(pool.rates.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((&pool.rates, &pool.node), (&expected.rates, &expected.node));
        assert_eq!((pool.stake_at.len(), pool.stake_at.unread()), (0, 3), "nobody asks for it");
    }
    assert_eq!(seen.stake_history.unread(), 3);
}
