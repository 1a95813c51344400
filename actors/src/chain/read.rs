//! Reading objects: the system, nodes, stake, coins.
//!
//! Promises: what comes back was read at or after the checkpoint it is stamped with, and objects
//! that describe one committee are of one epoch; objects whose digests are known are those or none;
//! what is one server's word only is not called proven.
//! Does not: prove what nobody gave a digest for.

use haulout_protocol::chain::{self, ObjectId, TypeName};
use haulout_protocol::machine::ledger_history::{Doubt, Verdict, Verified};
use haulout_storage::StoreError;
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Digest, Object};
use tracing::debug;

use super::checkpoints::time_of;
use super::coins::Balances;
use super::error::CallError;
use super::handle::Chain;
use super::network_objects::{NetworkObjects, members_of, neighbours_of};
use super::patience::{Patience, pauses};
use super::proof::Written;
use super::system_view::NoView;
use super::system_view::SystemView;
use super::view_error::ViewError;
use crate::limits;

/// The parts of an object we read.
const OBJECT_FIELDS: [&str; 5] = ["object_id", "version", "digest", "owner", "contents"];

/// Where a ledger whose time can be moved says, beside its `GetServiceInfo`, by how many milliseconds it was.
pub const TIME_MOVED_HEADER: &str = "x-haulout-time-moved-ms";

impl Chain {
    /// What the ledger says of the network now; with several servers, what most of them say.
    pub async fn system(&self) -> Result<SystemView, CallError> {
        match self.pinned.is_none() && self.has_choice() {
            false => self.system_of_one().await,
            true => {
                let mut patience = Patience::new(self.patience);
                loop {
                    match self.system_of_most().await {
                        // An epoch may have begun on some of them.
                        Err(CallError::Disputed { .. } | CallError::Unreachable { .. })
                            if patience.pause().await => {}
                        said => return said,
                    }
                }
            }
        }
    }

    /// What one server says of the network now.
    pub(super) async fn system_of_one(&self) -> Result<SystemView, CallError> {
        let mut pauses = pauses().take(limits::CHAIN_VIEW_ATTEMPTS_MAX - 1);
        loop {
            match (self.system_once().await, pauses.next()) {
                (Err(NoView::Epochs(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (Err(NoView::Epochs(error)), None) => {
                    return Err(CallError::unreadable(error));
                }
                (Err(NoView::Call(error)), _) => return Err(error),
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

    /// How far the ledger's time was moved ahead of its machine's clock, in milliseconds, as it says: a devnet's may have been.
    /// One that says nothing has not.
    pub async fn time_moved_ms(&self) -> Result<u64, CallError> {
        let answer = self.ask("time", |client| {
            let mut client = client.clone().ledger_client();
            async move {
                let answer =
                    client.get_service_info(proto::GetServiceInfoRequest::default()).await?;
                let said = answer.metadata().get(TIME_MOVED_HEADER);
                let said = said.and_then(|said| said.to_str().ok()?.parse().ok());
                Ok(tonic::Response::new(said.unwrap_or(0)))
            }
        });
        answer.await
    }

    /// The last checkpoint the ledger has, and its time.
    pub(super) async fn tip(&self) -> Result<(u64, u64), CallError> {
        let request = proto::GetCheckpointRequest::latest()
            .with_read_mask(FieldMask::from_paths(["sequence_number", "summary.timestamp"]));
        let answer = self.ask("checkpoint", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.get_checkpoint(request).await }
        });
        let answer = answer.await?;
        Ok((answer.checkpoint().sequence_number(), time_of(answer.checkpoint())?))
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
    pub(super) async fn objects(&self, ids: &[ObjectId]) -> Result<Vec<proto::Object>, CallError> {
        self.objects_with(&OBJECT_FIELDS, ids, "object").await
    }

    /// The same, with these parts of them; `what` names one in errors.
    pub(super) async fn objects_with(
        &self,
        fields: &[&str],
        ids: &[ObjectId],
        what: &str,
    ) -> Result<Vec<proto::Object>, CallError> {
        let requests =
            ids.iter().map(|id| proto::GetObjectRequest::new(&Address::new((*id).into())));
        let request = proto::BatchGetObjectsRequest::default()
            .with_requests(requests.collect::<Vec<_>>())
            .with_read_mask(FieldMask::from_paths(fields));
        let answer = self.ask("objects", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.batch_get_objects(request).await }
        });
        let answer = answer.await?;
        if answer.objects.len() != ids.len() {
            return Err(CallError::unreadable("fewer objects than asked for"));
        }
        let found = answer.objects.into_iter().zip(ids).map(|(found, id)| {
            let what = format!("{what} {id}");
            found.to_result().map_err(|_| CallError::NotFound { what })
        });
        found.collect()
    }

    /// One attempt at a consistent view.
    async fn system_once(&self) -> Result<SystemView, NoView> {
        let options = &self.shared.options;
        let (checkpoint, time_ms) = self.tip().await?;
        let state = chain::staking_inner(&options.staking);
        let fixed = [options.system, options.staking, options.params, state];
        let fixed = self.objects(&fixed).await?;
        let [system, staking, params, state] =
            [0, 1, 2, 3].map(|index: usize| contents(&fixed[index]));
        let members = members_of(&system)?;
        let pools = [members.as_slice(), &neighbours_of(&state)?].concat();
        let pools = self.objects(&pools).await?;
        let mut pools: Vec<_> = pools.iter().map(contents).collect();
        let neighbours = pools.split_off(members.len());
        self.network_objects((checkpoint, time_ms), [system, staking, params], pools)
            .around(state, neighbours)
            .try_view()
    }

    /// What was read of the network at a checkpoint and its time.
    fn network_objects(
        &self,
        (checkpoint, time_ms): (u64, u64),
        [system, staking, params]: [Vec<u8>; 3],
        pools: Vec<Vec<u8>>,
    ) -> NetworkObjects {
        let since = self.since();
        NetworkObjects {
            checkpoint,
            time_ms,
            since,
            system,
            staking,
            params,
            pools,
            ..NetworkObjects::default()
        }
    }

    /// What objects say of the network after a checkpoint, read at the versions that are proven: `known` looks them up. Of
    /// those that were not written since the trusted checkpoint, what most of several servers show is as good; if there is
    /// no such majority, the view is not called proven.
    pub(crate) async fn system_after<Looked>(
        &self,
        last: &Verified,
        known: impl Fn(Vec<ObjectId>) -> Looked,
    ) -> Result<SystemView, ViewError>
    where
        Looked: Future<Output = Result<Vec<Option<Written>>, StoreError>>,
    {
        let options = &self.shared.options;
        let roots = vec![options.system, options.staking, options.params];
        let (fixed, are_fixed_proven) = self.proven_objects(&roots, &known, last).await?;
        let [system, staking, params] =
            <[Vec<u8>; 3]>::try_from(fixed).expect("as many objects as asked for");
        let members = members_of(&system)?;
        let (pools, are_pools_proven) = self.proven_objects(&members, &known, last).await?;
        let (state, neighbours) = match self.neighbours_after(last, &known).await {
            Ok(around) => around,
            Err(ViewError::Call(error)) => {
                debug!(%error, "who else served or will serve cannot be read");
                Default::default()
            }
            Err(ViewError::Early) => Default::default(),
            Err(error) => return Err(error),
        };
        let moment = (last.sequence, last.time_ms);
        let objects = self.network_objects(moment, [system, staking, params], pools);
        match objects.around(state, neighbours).try_view() {
            Ok(mut view) => {
                view.position.is_proven = are_fixed_proven && are_pools_proven;
                Ok(view)
            }
            // Not all of them had a version: some are of a later moment than the others.
            Err(NoView::Epochs(_)) => Err(ViewError::Early),
            Err(NoView::Call(error)) => Err(error.into()),
        }
    }

    /// The state of stake, and the pools of nodes that are only in the committee before or the one to come; nothing that is
    /// not certain.
    async fn neighbours_after<Looked>(
        &self,
        last: &Verified,
        known: &impl Fn(Vec<ObjectId>) -> Looked,
    ) -> Result<(Vec<u8>, Vec<Vec<u8>>), ViewError>
    where
        Looked: Future<Output = Result<Vec<Option<Written>>, StoreError>>,
    {
        let state = vec![chain::staking_inner(&self.shared.options.staking)];
        let (mut found, is_proven) = self.proven_objects(&state, known, last).await?;
        let Some(state) = found.pop().filter(|_| is_proven) else { return Ok(Default::default()) };
        let nodes = neighbours_of(&state)?;
        if nodes.is_empty() {
            return Ok((state, Vec::new()));
        }
        let (nodes, are_proven) = self.proven_objects(&nodes, known, last).await?;
        Ok((state, if are_proven { nodes } else { Vec::new() }))
    }

    /// Move values of objects at their proven versions, checked against their digests; and whether each of them is more than
    /// one server's word.
    async fn proven_objects<Looked>(
        &self,
        ids: &[ObjectId],
        known: &impl Fn(Vec<ObjectId>) -> Looked,
        last: &Verified,
    ) -> Result<(Vec<Vec<u8>>, bool), ViewError>
    where
        Looked: Future<Output = Result<Vec<Option<Written>>, StoreError>>,
    {
        let mut certain = known(ids.to_vec()).await?;
        if self.has_choice() && certain.iter().any(Option::is_none) {
            let agreed = self.agreed_versions(ids).await;
            certain =
                certain.into_iter().zip(agreed).map(|(proven, most)| proven.or(most)).collect();
        }
        let wanted = ids.iter().zip(&certain).map(|(id, certain)| {
            let mut request = proto::GetObjectRequest::new(&Address::new((*id).into()));
            request.version = certain.map(|certain| certain.version);
            request
        });
        let request = proto::BatchGetObjectsRequest::default()
            .with_requests(wanted.collect::<Vec<_>>())
            .with_read_mask(FieldMask::from_paths(["bcs"]));
        let answer = self.ask("objects", |client| {
            let (mut client, request) = (client.clone().ledger_client(), request.clone());
            async move { client.batch_get_objects(request).await }
        });
        let answer = answer.await?;
        if answer.objects.len() != ids.len() {
            return Err(CallError::unreadable("fewer objects than asked for").into());
        }
        let values =
            answer.objects.into_iter().zip(ids).zip(&certain).map(|((found, id), certain)| {
                // The version may be too old to be kept: then we are still far behind.
                let found = found.to_result().map_err(|_| ViewError::Early)?;
                let object: Object = found.bcs().deserialize().map_err(CallError::unreadable)?;
                if let Some(certain) = certain {
                    if certain.digest != object.digest().into_inner() {
                        let verdict = Verdict::Forged;
                        return Err(Doubt { verdict, checkpoint: last.sequence }.into());
                    }
                    self.prove_since(id, &object);
                }
                let value = object.as_struct().map(|value| value.contents().to_vec());
                value.ok_or_else(|| CallError::unreadable("a package in place of an object").into())
            });
        Ok((values.collect::<Result<_, ViewError>>()?, certain.iter().all(Option::is_some)))
    }

    /// The present versions of objects, as one server shows them.
    pub(super) async fn versions(&self, ids: &[ObjectId]) -> Result<Vec<Written>, CallError> {
        let found = self.objects(ids).await?;
        let written = found.iter().zip(ids).map(|(object, id)| {
            let digest: Digest = object.digest().parse().map_err(CallError::unreadable)?;
            Ok(Written { id: *id, version: object.version(), digest: digest.into_inner() })
        });
        written.collect()
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

/// The bytes of the Move value inside an object.
fn contents(object: &proto::Object) -> Vec<u8> {
    object.contents().value().to_vec()
}

/// The Move value inside an object.
pub(super) fn decode<T: DeserializeOwned>(object: &proto::Object) -> Result<T, CallError> {
    let contents = object.contents().value();
    bcs::from_bytes(contents)
        .map_err(|error| CallError::unreadable(format!("object {}: {error}", object.object_id())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::sample_server::{SampleServer, chain};

    const LAST: Verified = Verified { sequence: 9, digest: None, time_ms: 0 };

    /// What these servers, the first of which is asked, say of two objects of which nothing is proven.
    async fn unproven(servers: &[&SampleServer]) -> Result<(Vec<Vec<u8>>, bool), ViewError> {
        let chain = chain(servers, None);
        let ids = [1, 2].map(|byte| ObjectId::from_bytes([byte; 32]));
        let nothing = |ids: Vec<ObjectId>| std::future::ready(Ok(vec![None; ids.len()]));
        chain.at(0).proven_objects(&ids, &nothing, &LAST).await
    }

    #[tokio::test]
    async fn what_no_checkpoint_proves_is_one_servers_word_unless_most_servers_show_it() {
        let mut servers = Vec::new();
        for content in [7, 7, 8] {
            let server = SampleServer::start(vec![], &[]).await;
            server.fill_with(content);
            servers.push(server);
        }
        let [first, second, liar] = [&servers[0], &servers[1], &servers[2]];
        let (values, is_proven) = unproven(&[first]).await.unwrap();
        assert_eq!((values[1][32], is_proven), (7, false));
        let (values, is_proven) = unproven(&[first, second, liar]).await.unwrap();
        assert_eq!((values[0][32], is_proven), (7, true));
        let (_, is_proven) = unproven(&[first, liar]).await.unwrap();
        assert!(!is_proven, "one against one");
        let doubt = unproven(&[liar, first, second]).await.unwrap_err();
        assert!(matches!(doubt, ViewError::Doubt(doubt) if doubt.verdict == Verdict::Forged));
    }
}
