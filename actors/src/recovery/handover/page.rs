//! One page that a former owner is asked for: it is read as it comes, then kept.
//!
//! Promises: it waits for its part of the memory of repairs before it asks; what came before a page broke off is kept; whoever
//! sends what was not asked for is named. Does not: verify what came (`keep` does), or ask again.

use std::collections::BTreeMap;
use std::time::Instant;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::machine::RequestId;
use haulout_protocol::machine::handover::{Came, How, Input};
use haulout_protocol::machine::retry::End;
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::shard::{Cost, Entry, PairLayout, Reply, Request};
use tracing::debug;

use super::arrived::{Arrived, ShortRow};
use super::keep::Keeper;
use super::tools::Tools;
use crate::asking::{AskError, Asked, nonsense};
use crate::limits;
use crate::network::Protocol;
use crate::session::Session;
use crate::trace;

/// A page, and whom it is asked of.
pub(super) struct Page {
    pub(super) tools: Tools,
    pub(super) session: Session,
    pub(super) owner: usize,
    pub(super) entries: Vec<Entry>,
    /// How long its blobs are.
    pub(super) lengths: BTreeMap<BlobId, u64>,
}

/// How a page ended, and what is whole now.
pub(super) struct Over {
    pub(super) came: Came,
    pub(super) how: How,
    /// Bytes of what is whole now.
    pub(super) bytes: u64,
}

impl Page {
    /// Asks for it, keeps what comes, and says on the way that it asked, that something came, and that all has come.
    pub(super) async fn run(self, request: RequestId, tell: impl Fn(Input)) -> Over {
        let room = self.tools.memory.room(self.memory_bytes()).await;
        tell(Input::Asked { request });
        let mut arrived = Vec::new();
        let mut heard = Instant::now();
        let asked = self.read(&mut arrived, || {
            if heard.elapsed() >= limits::HANDOVER_HEARD_EVERY {
                heard = Instant::now();
                tell(Input::Heard { request });
            }
        });
        let how = match asked.await {
            Ok(()) => How::Over(End::Done),
            Err(error) => self.broke_off(&error),
        };
        // From here on its owner is not to blame for the time that it takes.
        if how == How::Over(End::Done) || arrived.iter().any(Arrived::has_something) {
            tell(Input::Arrived { request });
        }
        let keeper = Keeper { tools: &self.tools, parameters: self.session.parameters };
        let kept = keeper.keep(arrived).await;
        drop(room);
        let how = kept.lie.map_or(how, How::Lied);
        Over { came: kept.came, how, bytes: kept.bytes }
    }

    /// What follows from the way in which it broke off.
    fn broke_off(&self, error: &AskError) -> How {
        let (session, peer) = (&self.session, self.session.peer(self.owner));
        debug!(member = %session.name(self.owner), %error, "a former owner breaks off a page");
        match error {
            AskError::Wrong(blame) => How::Lied(*blame), // the machine blames
            error => {
                session.asker().report(peer, error);
                How::Over(error.end())
            }
        }
    }

    /// Bytes that it holds: what comes, and what is made of it to be verified.
    fn memory_bytes(&self) -> usize {
        let cost = |entry: &Entry| {
            let length = self.lengths.get(&BlobId::from_bytes(entry.blob_id)).copied().unwrap_or(0);
            let cost = Cost::of(&self.session.parameters, length, entry.segment);
            cost.of_pairs(entry.shards.len(), entry.with_header)
        };
        let bytes = self.entries.iter().map(cost).fold(0, u64::saturating_add);
        usize::try_from(bytes.saturating_mul(2)).unwrap_or(usize::MAX)
    }

    /// Puts the question and reads the answer, entry by entry.
    async fn read(
        &self,
        arrived: &mut Vec<Arrived>,
        mut heard: impl FnMut(),
    ) -> Result<(), AskError> {
        let request = Request { entries: self.entries.clone(), trace: trace::current() };
        let peer = self.session.peer(self.owner);
        let mut asked = self.session.asker().ask(peer, Protocol::Shard, &request).await?;
        for entry in &self.entries {
            let blob_id = BlobId::from_bytes(entry.blob_id);
            let bytes = self.lengths.get(&blob_id).copied().unwrap_or(0);
            let (segment, missing) = (entry.segment, Vec::new());
            let (header, pairs, short) = (None, Vec::new(), None);
            arrived.push(Arrived { blob_id, bytes, segment, header, pairs, short, missing });
            let Some(arrived) = arrived.last_mut() else { continue };
            match self.session.parameters.is_short(bytes) {
                true => self.read_short(&mut asked, entry, arrived).await?,
                false => self.read_pairs(&mut asked, entry, arrived, &mut heard).await?,
            }
            heard();
        }
        match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
            Reply::End => asked.set_whole(true),
            _ => return Err(nonsense()),
        }
        Ok(())
    }

    /// The header, if it was asked for, and the pairs of an entry.
    async fn read_pairs(
        &self,
        asked: &mut Asked,
        entry: &Entry,
        arrived: &mut Arrived,
        heard: &mut impl FnMut(),
    ) -> Result<(), AskError> {
        let parameters = &self.session.parameters;
        if entry.with_header {
            match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Header { bytes }
                    if u64::from(bytes) == BlobHeader::bytes_of(arrived.bytes, parameters) =>
                {
                    arrived.header = Some(asked.bytes(bytes).await?);
                }
                Reply::Absent => {
                    arrived.lack(entry);
                    return Ok(());
                }
                _ => return Err(nonsense()),
            }
        }
        for (place, shard) in entry.shards.iter().copied().map(ShardIndex).enumerate() {
            let of = (&arrived.blob_id, arrived.bytes);
            let (_, layout) = PairLayout::new(parameters, of, entry.segment, shard);
            match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Pair { bytes } if usize::try_from(bytes).ok() == Some(layout.bytes()) => {
                    arrived.pairs.push((shard, asked.bytes(bytes).await?.into()));
                }
                Reply::Missing => arrived.missing.push(shard),
                Reply::Absent if place == 0 && !entry.with_header => {
                    arrived.lack(entry);
                    return Ok(());
                }
                _ => return Err(nonsense()),
            }
            heard();
        }
        Ok(())
    }

    /// The symbols of an entry of a short blob.
    async fn read_short(
        &self,
        asked: &mut Asked,
        entry: &Entry,
        arrived: &mut Arrived,
    ) -> Result<(), AskError> {
        let parameters = &self.session.parameters;
        let wanted: Vec<_> = entry.shards.iter().copied().map(ShardIndex).collect();
        let (shards, header_bytes, proof_bytes) = match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
            Reply::Short { shards, header_bytes, proof_bytes } => {
                (shards, header_bytes, proof_bytes)
            }
            Reply::Absent => {
                arrived.lack(entry);
                return Ok(());
            }
            _ => return Err(nonsense()),
        };
        let shards: Vec<_> = shards.into_iter().map(ShardIndex).collect();
        let most = MultiProof::bytes_max(shards.len(), usize::from(parameters.shards()));
        let is_wanted = |shard: &ShardIndex| wanted.contains(shard);
        let fits = !shards.is_empty()
            && shards.len() <= wanted.len()
            && shards.iter().all(is_wanted)
            && u64::from(header_bytes) == BlobHeader::bytes_of(arrived.bytes, parameters)
            && usize::try_from(proof_bytes).is_ok_and(|bytes| bytes <= most);
        if !fits {
            return Err(nonsense());
        }
        let length = u32::try_from(arrived.bytes).map_err(|_| nonsense())?;
        let symbol_bytes = parameters.short_symbol_bytes(length);
        let header = asked.bytes(header_bytes).await?;
        let mut symbols = Vec::with_capacity(shards.len());
        for shard in &shards {
            symbols.push((*shard, asked.bytes(symbol_bytes).await?.into()));
        }
        let proof = asked.bytes(proof_bytes).await?;
        arrived.missing = wanted.into_iter().filter(|it| !shards.contains(it)).collect();
        arrived.short = Some(ShortRow { header, symbols, proof });
        Ok(())
    }
}
