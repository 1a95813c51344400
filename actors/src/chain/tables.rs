//! The state of stake: one object, and the tables that hang on it as dynamic fields.
//!
//! Promises: the object, the nodes, their rates and their keys are of one moment; every table that
//! is read is read whole, and one that is too large is an error and not a part.
//! Does not: read what no client needs: the history of stake, of the network and of each node.
//! [`Rows::unread`](haulout_protocol::chain::object::staking::Rows::unread) says so of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use haulout_protocol::chain;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Table;
use haulout_protocol::chain::object::staking::{Pool, Staking};
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Address;

use super::error::CallError;
use super::handle::Chain;
use super::patience::pauses;
use super::read::decode;
use crate::limits;

impl Chain {
    /// Everybody's stake, the committees and how far the epoch is, at one moment.
    pub async fn stake(&self) -> Result<Staking, CallError> {
        let id = chain::staking_inner(&self.shared.options.staking);
        let mut object = self.object(&id, "state of stake").await?;
        for pause in pauses().take(limits::CHAIN_VIEW_ATTEMPTS_MAX) {
            let mut staking: Staking = decode(&object)?;
            self.fill_tables(&mut staking).await?;
            // Whoever changes an entry of a table changes the object's version.
            let now = self.object(&id, "state of stake").await?;
            if now.version() == object.version() && is_whole(&staking) {
                return Ok(staking);
            }
            tokio::time::sleep(pause).await;
            object = now;
        }
        let times = limits::CHAIN_VIEW_ATTEMPTS_MAX;
        let reason = format!("the state of stake changed {times} times while it was read");
        Err(CallError::Rejected { reason })
    }

    /// Reads the tables of a state.
    async fn fill_tables(&self, staking: &mut Staking) -> Result<(), CallError> {
        let [pools, by_peer, by_bls] =
            [staking.pools.table(), staking.by_peer.table(), staking.by_bls.table()];
        let (pools, by_peer, by_bls) =
            tokio::try_join!(self.pools(pools), self.entries(by_peer), self.entries(by_bls))?;
        staking.pools.fill(pools);
        staking.by_peer.fill(by_peer);
        staking.by_bls.fill(by_bls);
        Ok(())
    }

    /// The nodes with their rates.
    async fn pools(&self, table: Table) -> Result<BTreeMap<ObjectId, Arc<Pool>>, CallError> {
        let pools: BTreeMap<ObjectId, Pool> = self.entries(table).await?;
        let with_rates = |(node, mut pool): (ObjectId, Pool)| async move {
            let rates = self.entries(pool.rates.table()).await?;
            pool.rates.fill(rates);
            Ok((node, Arc::new(pool)))
        };
        let pools = futures::stream::iter(pools).map(with_rates);
        pools.buffered(limits::CHAIN_TABLES_AT_ONCE).try_collect().await
    }

    /// The entries of one table.
    async fn entries<Key: DeserializeOwned + Ord, Row: DeserializeOwned>(
        &self,
        table: Table,
    ) -> Result<BTreeMap<Key, Row>, CallError> {
        let mut entries = BTreeMap::new();
        if table.size == 0 {
            return Ok(entries);
        }
        let mut request = proto::ListDynamicFieldsRequest::default()
            .with_parent(Address::new(table.id.into()).to_string())
            .with_page_size(limits::CHAIN_PAGE_FIELDS)
            .with_read_mask(FieldMask::from_paths(["name", "value"]));
        loop {
            let page = self.ask("table of stake", |client| {
                let (mut client, request) = (client.clone().state_client(), request.clone());
                async move { client.list_dynamic_fields(request).await }
            });
            let page = page.await?;
            for field in page.dynamic_fields {
                let name = bcs::from_bytes(field.name().value()).map_err(CallError::unreadable)?;
                let value =
                    bcs::from_bytes(field.value().value()).map_err(CallError::unreadable)?;
                entries.insert(name, value);
            }
            if entries.len() > limits::CHAIN_TABLE_ENTRIES_MAX {
                return Err(CallError::unreadable("a table of stake is longer than we read"));
            }
            if page.next_page_token.is_none() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        Ok(entries)
    }
}

/// Whether every table that was read has as many entries as its owner says: a ledger may list the
/// entries of another moment than the one it shows objects of.
fn is_whole(staking: &Staking) -> bool {
    let of_nodes = staking.pools.values().map(|pool| pool.rates.unread());
    let unread = [staking.pools.unread(), staking.by_peer.unread(), staking.by_bls.unread()];
    of_nodes.chain(unread).all(|unread| unread == 0)
}
