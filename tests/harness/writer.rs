//! A writer that pays, is certified, and encoded one sliver wrongly, or one symbol of a short blob.
//!
//! Promises: the blob it stores is registered and certified like any other, its content hash holds, and exactly one repair
//! sliver, or the symbol that was chosen, does not belong to it. Does not: hide; whoever encodes the bytes again notices.

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
use haulout_protocol::crypto::{self, Signature};
use haulout_protocol::encoding::{
    EncodedSegment, ExpandedSliver, Parameters, SegmentPosition, encode_segment, encode_short,
};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::{Need, Space};
use haulout_protocol::merkle::Tree;
use haulout_protocol::message::{NetworkId, Persistence, blob_certificate_message};
use haulout_protocol::pairs::PairTree;
use haulout_protocol::sliver::{Axis, PairIndex, pair_of_shard};
use haulout_protocol::wire::LIST_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Reply, Request};

use crate::eventually;

/// What is sent of a blob, and its header, which commits to just that.
struct Lie {
    parameters: Parameters,
    header: BlobHeader,
    encoded: Encoded,
}

enum Encoded {
    /// One segment, whose last primary sliver is another's.
    Segment(Box<Segment>),
    /// A short blob, one symbol of which is another's.
    Short { symbols: Vec<Bytes>, tree: Tree },
}

struct Segment {
    encoded: EncodedSegment,
    spoiled: u16,
    sliver: Bytes,
    pairs: PairTree,
}

impl Segment {
    fn sliver(&self, axis: Axis, index: u16) -> Bytes {
        match (axis, index) {
            (Axis::Primary, index) if index == self.spoiled => self.sliver.clone(),
            (axis, index) => self.encoded.sliver(axis, index),
        }
    }
}

impl Lie {
    fn about_segment(parameters: Parameters, bytes: &[u8]) -> Result<Self> {
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
        let encoded = Encoded::Segment(Box::new(Segment { encoded, spoiled, sliver, pairs }));
        Ok(Lie { parameters, header, encoded })
    }

    fn about_short(parameters: Parameters, bytes: &[u8], spoiled: u16) -> Result<Self> {
        let length = u64::try_from(bytes.len())?;
        let honest = encode_short(&parameters, bytes);
        let mut symbols: Vec<_> =
            (0..parameters.shards()).map(|place| honest.symbol(place)).collect();
        let mut other = symbols[usize::from(spoiled)].to_vec();
        other[0] ^= 1;
        symbols[usize::from(spoiled)] = other.into();
        let tree = Tree::new(symbols.iter().map(|symbol| crypto::hash_symbol(symbol)).collect());
        let commitment = SegmentCommitment { slivers_root: tree.root(), ..honest.commitment() };
        let header = BlobHeader::new(&parameters, length, vec![commitment]);
        Ok(Lie { parameters, header, encoded: Encoded::Short { symbols, tree } })
    }

    /// Sends a member its slivers and asks for its confirmation.
    async fn send(&self, stream: &mut Stream, member: &Member) -> Result<(Epoch, Signature)> {
        let blob_id = self.header.blob_id();
        let header = self.header.to_bytes();
        let header_bytes = u32::try_from(header.len())?;
        let put = Request::Put { blob_id: *blob_id.as_bytes(), header_bytes, trace: None };
        stream.write_frame(&put).await?;
        stream.write_all(&header).await?;
        match &self.encoded {
            Encoded::Segment(segment) => self.send_pairs(stream, member, segment).await?,
            Encoded::Short { symbols, tree } => {
                self.send_symbols(stream, member, symbols, tree).await?;
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

impl Lie {
    async fn send_pairs(
        &self,
        stream: &mut Stream,
        member: &Member,
        segment: &Segment,
    ) -> Result<()> {
        let (pairs, blob_id) = (u16::try_from(member.shards.len())?, self.header.blob_id());
        stream.write_frame(&Request::Segment { segment: 0, pairs }).await?;
        for shard in &member.shards {
            let pair = pair_of_shard(&self.parameters, &blob_id, 0, *shard);
            stream.write_frame(&Request::Pair { pair: pair.0 }).await?;
            stream.write_all(&segment.pairs.prove(pair).to_bytes()).await?;
            for axis in Axis::BOTH {
                let sliver = segment.sliver(axis, pair.sliver_index(axis, &self.parameters));
                let bytes = u32::try_from(sliver.len())?;
                stream.write_frame(&Request::Sliver { axis, bytes }).await?;
                stream.write_all(&sliver).await?;
            }
        }
        Ok(())
    }

    async fn send_symbols(
        &self,
        stream: &mut Stream,
        member: &Member,
        symbols: &[Bytes],
        tree: &Tree,
    ) -> Result<()> {
        let blob_id = self.header.blob_id();
        let place = |shard| usize::from(pair_of_shard(&self.parameters, &blob_id, 0, shard).0);
        let mut places: Vec<_> = member.shards.iter().copied().map(place).collect();
        places.sort_unstable();
        let proof = tree.prove_many(&places).context("a member has shards")?.to_bytes();
        let named: Result<Vec<_>, _> = places.iter().map(|place| u16::try_from(*place)).collect();
        let proof_bytes = u32::try_from(proof.len())?;
        stream.write_frame(&Request::Short { symbols: named?, proof_bytes }).await?;
        for place in places {
            stream.write_all(&symbols[place]).await?;
        }
        Ok(stream.write_all(&proof).await?)
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
    store(devnet, account, |parameters| Lie::about_segment(parameters, bytes)).await
}

/// Stores bytes of a short blob, with one symbol that does not belong to them.
pub async fn put_inconsistent_short(
    devnet: &Devnet,
    account: &str,
    bytes: &[u8],
    spoiled: u16,
) -> Result<BlobId> {
    store(devnet, account, |parameters| Lie::about_short(parameters, bytes, spoiled)).await
}

async fn store(
    devnet: &Devnet,
    account: &str,
    lie: impl FnOnce(Parameters) -> Result<Lie>,
) -> Result<BlobId> {
    let client = devnet.client(account).await?;
    let position = client.context().position.current();
    let chain = client.context().chain.clone().context("a client of a devnet has a ledger")?;
    let place = devnet.client_config(account)?.wallet.context("the account has a wallet")?;
    let wallet = keys::load_wallet(&place)?;
    let lie = lie(position.parameters)?;
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
