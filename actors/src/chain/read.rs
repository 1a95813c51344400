//! Reading objects: the system, nodes, stake, coins.
//!
//! Promises: what comes back was read at or after the checkpoint it is stamped with, and objects
//! that describe one committee are of one epoch.

use std::sync::Arc;

use haulout_protocol::chain::object::{Params, Staking, StakingPool, System};
use haulout_protocol::chain::params::ParamKey;
use haulout_protocol::chain::{self, CommitteeViewError, ObjectId, TypeName};
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::Address;

use super::checkpoints::time_of;
use super::patience::pauses;
use super::{Balances, CallError, Capacity, Chain, SharedSince, SystemView};
use crate::context::{Position, Prices, Timing};
use crate::limits;

/// The parts of an object we read.
const OBJECT_FIELDS: [&str; 5] = ["object_id", "version", "digest", "owner", "contents"];

impl Chain {
    /// What the ledger says of the network now.
    pub async fn system(&self) -> Result<SystemView, CallError> {
        let mut pauses = pauses().take(limits::CHAIN_VIEW_ATTEMPTS_MAX - 1);
        loop {
            match (self.system_once().await, pauses.next()) {
                (Err(Inconsistent::Epochs(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (Err(Inconsistent::Epochs(error)), None) => {
                    return Err(CallError::unreadable(error));
                }
                (Err(Inconsistent::Call(error)), _) => return Err(error),
                (Ok(view), _) => return Ok(view),
            }
        }
    }

    /// What an account holds.
    pub async fn balances(&self, account: &ObjectId) -> Result<Balances, CallError> {
        let wal = TypeName::WAL.qualified(&self.shared.options.package);
        let sui = self.balance(account, "0x2::sui::SUI");
        let (sui, wal) = tokio::try_join!(sui, self.balance(account, &wal))?;
        Ok(Balances { sui, wal })
    }

    /// The last checkpoint the ledger has.
    pub async fn latest_checkpoint(&self) -> Result<u64, CallError> {
        Ok(self.tip().await?.0)
    }

    /// The last checkpoint the ledger has, and its time.
    async fn tip(&self) -> Result<(u64, u64), CallError> {
        let request = proto::GetCheckpointRequest::latest()
            .with_read_mask(FieldMask::from_paths(["sequence_number", "summary.timestamp"]));
        let answer = self.ask("checkpoint", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_checkpoint(request).await }
        });
        let answer = answer.await?;
        Ok((answer.checkpoint().sequence_number(), time_of(answer.checkpoint())?))
    }

    /// Versions at which our objects became shared.
    pub(super) async fn shared_since(&self) -> Result<SharedSince, CallError> {
        let options = &self.shared.options;
        let staking = chain::staking_inner(&options.staking);
        let ids = [options.system, options.params, staking, options.treasury];
        let found = self.objects(&ids).await?;
        let since = |index: usize| found[index].owner().version();
        Ok(SharedSince {
            system: since(0),
            params: since(1),
            staking: since(2),
            treasury: since(3),
        })
    }

    /// One object with everything we may want of it.
    pub(super) async fn object(
        &self,
        id: &ObjectId,
        what: &str,
    ) -> Result<proto::Object, CallError> {
        self.object_with(&OBJECT_FIELDS, id, what).await
    }

    /// One object with these parts of it.
    pub(super) async fn object_with(
        &self,
        fields: &[&str],
        id: &ObjectId,
        what: &str,
    ) -> Result<proto::Object, CallError> {
        let request = proto::GetObjectRequest::new(&Address::new((*id).into()))
            .with_read_mask(FieldMask::from_paths(fields));
        let what = format!("{what} {id}");
        let answer = self.ask(&what, |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_object(request).await }
        });
        let answer = answer.await?;
        answer.object.ok_or(CallError::NotFound { what })
    }

    /// Several objects at one moment.
    async fn objects(&self, ids: &[ObjectId]) -> Result<Vec<proto::Object>, CallError> {
        let requests =
            ids.iter().map(|id| proto::GetObjectRequest::new(&Address::new((*id).into())));
        let request = proto::BatchGetObjectsRequest::default()
            .with_requests(requests.collect::<Vec<_>>())
            .with_read_mask(FieldMask::from_paths(OBJECT_FIELDS));
        let answer = self.ask("objects", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.batch_get_objects(request).await }
        });
        let answer = answer.await?;
        if answer.objects.len() != ids.len() {
            return Err(CallError::unreadable("fewer objects than asked for"));
        }
        let found = answer.objects.into_iter().zip(ids).map(|(found, id)| {
            let what = format!("object {id}");
            found.to_result().map_err(|_| CallError::NotFound { what })
        });
        found.collect()
    }

    /// One attempt at a consistent view.
    async fn system_once(&self) -> Result<SystemView, Inconsistent> {
        let options = &self.shared.options;
        let (checkpoint, ledger_ms) = self.tip().await?;
        let fixed = self.objects(&[options.system, options.staking, options.params]).await?;
        let system: System = decode(&fixed[0])?;
        let staking: Staking = decode(&fixed[1])?;
        let params: Params = decode(&fixed[2])?;
        let members: Vec<_> = system.committee.members.iter().map(|one| one.node_id).collect();
        let pools = self.objects(&members).await?;
        let pools = pools.iter().map(decode).collect::<Result<Vec<StakingPool>, _>>()?;
        let committee =
            chain::committee(&system, &staking, &pools).map_err(|error| match error {
                CommitteeViewError::DifferentEpochs { .. } => Inconsistent::Epochs(error),
                other => Inconsistent::Call(CallError::unreadable(other)),
            })?;
        let parameters = Parameters::new(params.n_shards, params.segment_bytes)
            .map_err(CallError::unreadable)?;
        let position = Position {
            checkpoint,
            read_at: checkpoint,
            ledger_ms,
            epoch: Epoch(staking.epoch),
            phase: staking.state,
            timing: timing(&staking, &params),
            committee: Arc::new(committee),
            prices: Prices { storage: system.storage_price, write: system.write_price },
            parameters,
            index_replicas: params.index_replicas,
            epochs_ahead_max: params.max_epochs_ahead,
        };
        Ok(SystemView {
            position,
            network: NetworkId::from_bytes(system.network_id.into()),
            capacity: Capacity { used: system.used_capacity, total: system.total_capacity },
            protocol_version: system.protocol_version,
        })
    }

    /// How much of one coin type an account holds.
    async fn balance(&self, account: &ObjectId, coin_type: &str) -> Result<u64, CallError> {
        let request = proto::GetBalanceRequest::default()
            .with_owner(Address::new((*account).into()).to_string())
            .with_coin_type(coin_type.to_owned());
        let answer = self.ask("balance", |client| {
            let (mut client, request) = (client.clone().state_client(), request.clone());
            async move { client.get_balance(request).await }
        });
        Ok(answer.await?.balance().balance())
    }
}

/// How long the parts of an epoch take.
fn timing(staking: &Staking, params: &Params) -> Timing {
    let duration_ms = staking.epoch_duration_ms;
    let part = |key: ParamKey| {
        let stored = params.values.iter().find(|entry| entry.key == key.number());
        let bps = stored.map_or(0, |entry| entry.value);
        u64::try_from(u128::from(duration_ms) * u128::from(bps) / 10_000).unwrap_or(u64::MAX)
    };
    Timing { duration_ms, sync_timeout_ms: part(ParamKey::SyncTimeoutBps) }
}

/// Why objects read one after the other do not fit together.
enum Inconsistent {
    /// An epoch began between two reads.
    Epochs(CommitteeViewError),
    /// Anything else.
    Call(CallError),
}

impl From<CallError> for Inconsistent {
    fn from(error: CallError) -> Inconsistent {
        Inconsistent::Call(error)
    }
}

/// The Move value inside an object.
pub(super) fn decode<T: DeserializeOwned>(object: &proto::Object) -> Result<T, CallError> {
    let contents = object.contents().value();
    bcs::from_bytes(contents)
        .map_err(|error| CallError::unreadable(format!("object {}: {error}", object.object_id())))
}
