//! A writer that pays, is certified, and encoded one sliver wrongly.
//!
//! Promises: the blob it stores is registered and certified like any other, its content hash holds, and exactly one repair
//! sliver does not belong to it. Does not: hide; whoever encodes the bytes again notices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use haulout_actors::chain::{Registration, Since};
use haulout_actors::network::{Network, NetworkOptions, Protocol, Role, Stream, Transport};
use haulout_actors::supervisor::{Budget, Plan, Strategy, Supervisor};
use haulout_devnet::Devnet;
use haulout_node::keys;
use haulout_protocol::blob::{BlobHeader, BlobId, SegmentCommitment};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::committee::Member;
use haulout_protocol::crypto::Signature;
use haulout_protocol::encoding::{
    EncodedSegment, ExpandedSliver, Parameters, SegmentPosition, encode_segment,
};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::{Need, Space};
use haulout_protocol::message::{NetworkId, Persistence, blob_certificate_message};
use haulout_protocol::pairs::PairTree;
use haulout_protocol::sliver::{Axis, PairIndex, pair_of_shard};
use haulout_protocol::wire::LIST_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Reply, Request};

use crate::eventually;

/// A blob of one segment whose last primary sliver is another's.
struct Lie {
    parameters: Parameters,
    encoded: EncodedSegment,
    spoiled: u16,
    sliver: Bytes,
    pairs: PairTree,
    header: BlobHeader,
}

impl Lie {
    fn about(parameters: Parameters, bytes: &[u8]) -> Result<Self> {
        let length = u64::try_from(bytes.len())?;
        let position = SegmentPosition { segment: 0, blob_bytes: length };
        let encoded = encode_segment(&parameters, position, bytes.to_vec().into());
        let spoiled = parameters.shards() - 1;
        let mut sliver = encoded.sliver(Axis::Primary, spoiled).to_vec();
        sliver[0] ^= 1;
        let sliver = Bytes::from(sliver);
        let segment_length = parameters.segment_length(length, 0);
        let expanded =
            ExpandedSliver::new(&parameters, segment_length, Axis::Primary, sliver.clone())?;
        let all = (0..parameters.shards()).map(PairIndex);
        let mut roots: Vec<_> = all.map(|pair| encoded.pairs().roots(pair)).collect();
        roots[usize::from(spoiled)].primary = expanded.root();
        let pairs = PairTree::new(roots);
        let commitment = SegmentCommitment { slivers_root: pairs.root(), ..encoded.commitment() };
        let header = BlobHeader::new(&parameters, length, vec![commitment]);
        Ok(Lie { parameters, encoded, spoiled, sliver, pairs, header })
    }

    fn sliver(&self, axis: Axis, index: u16) -> Bytes {
        match (axis, index) {
            (Axis::Primary, index) if index == self.spoiled => self.sliver.clone(),
            (axis, index) => self.encoded.sliver(axis, index),
        }
    }

    /// Sends a member its slivers and asks for its confirmation.
    async fn send(&self, stream: &mut Stream, member: &Member) -> Result<(Epoch, Signature)> {
        let blob_id = self.header.blob_id();
        let header = self.header.to_bytes();
        let header_bytes = u32::try_from(header.len())?;
        let put = Request::Put { blob_id: *blob_id.as_bytes(), header_bytes, trace: None };
        stream.write_frame(&put).await?;
        stream.write_all(&header).await?;
        let pairs = u16::try_from(member.shards.len())?;
        stream.write_frame(&Request::Segment { segment: 0, pairs }).await?;
        for shard in &member.shards {
            let pair = pair_of_shard(&self.parameters, &blob_id, 0, *shard);
            stream.write_frame(&Request::Pair { pair: pair.0 }).await?;
            stream.write_all(&self.pairs.prove(pair).to_bytes()).await?;
            for axis in Axis::BOTH {
                let sliver = self.sliver(axis, pair.sliver_index(axis, &self.parameters));
                let bytes = u32::try_from(sliver.len())?;
                stream.write_frame(&Request::Sliver { axis, bytes }).await?;
                stream.write_all(&sliver).await?;
            }
        }
        stream.write_frame(&Request::Finish { deletable: None }).await?;
        stream.flush().await?;
        loop {
            match stream.read_frame(LIST_FRAME_BYTES_MAX).await? {
                Reply::Ready { .. } | Reply::Stored { .. } => (),
                Reply::Confirmed { epoch, signature } => {
                    return Ok((Epoch(epoch), Signature::from_bytes(&signature)?));
                }
                other => bail!("{} does not confirm: {other:?}", member.name),
            }
        }
    }
}

async fn join(devnet: &Devnet) -> Result<(Network, Supervisor)> {
    let network = Network::new(NetworkOptions {
        secret_key: [91; 32],
        network: NetworkId::from_bytes(devnet.ids().network_id.into()),
        listen: Vec::new(),
        external: Vec::new(),
        bootstrap: (0..devnet.members()).map(|member| devnet.address(member)).collect(),
        role: Role::Client,
        prefer: Transport::Quic,
        registry: Arc::default(),
    })?;
    let supervisor = Supervisor::start(Plan {
        name: "writer".into(),
        strategy: Strategy::OneForOne,
        budget: Budget { restarts: 1, window: Duration::from_secs(60) },
        children: vec![network.child()],
        on_restart: None,
    })
    .await?;
    Ok((network, supervisor))
}

/// Stores bytes that fit one segment, with one repair sliver that does not belong to them.
pub async fn put_inconsistent(devnet: &Devnet, account: &str, bytes: &[u8]) -> Result<BlobId> {
    let client = devnet.client(account).await?;
    let position = client.context().position.current();
    let chain = client.context().chain.clone().context("a client of a devnet has a ledger")?;
    let place = devnet.client_config(account)?.wallet.context("the account has a wallet")?;
    let wallet = keys::load_wallet(&place)?;
    let lie = Lie::about(position.parameters, bytes)?;
    let blob_id = lie.header.blob_id();
    let quote = position.quote(lie.header.length, 1).context("the blob has a price")?;
    let registration = Registration {
        blob_id,
        root: lie.header.blob_root(),
        encoding: lie.header.encoding,
        length: lie.header.length,
        deletable: false,
        write: quote.write,
        beside: None,
        since: Since::default(),
    };
    let terms = position.terms();
    let need = Need {
        bytes: quote.encoded_bytes,
        start_epoch: terms.epoch,
        end_epoch: terms.epoch + 1,
        is_extension: false,
    };
    let space = Space::choose(&terms, &[], need).context("the space has a price")?;
    let registered = chain.register_blob(&wallet, &registration, (&terms, &space)).await?;
    let object = registered.object;

    let (network, supervisor) = join(devnet).await?;
    let members = position.committee.members();
    eventually("the writer is connected to every member", async || {
        let peers = network.peers().borrow().clone();
        members.iter().all(|member| peers.is_connected(&member.peer_id))
    })
    .await;
    let mut confirmed = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        let mut stream = network.open(member.peer_id, Protocol::Sliver).await?;
        confirmed.insert(index, lie.send(&mut stream, member).await?);
    }
    let (epoch, _) = confirmed[&0];
    let id = NetworkId::from_bytes(devnet.ids().network_id.into());
    let message = blob_certificate_message(&id, epoch, &blob_id, &Persistence::Permanent);
    let signed: Vec<_> =
        confirmed.into_iter().map(|(index, (_, signature))| (index, signature)).collect();
    let certificate = Certificate::aggregate(&position.committee, message, &signed)?;
    chain.certify_blob(&wallet, &object, &certificate).await?;
    supervisor.shutdown().await;
    client.close().await;
    Ok(blob_id)
}
