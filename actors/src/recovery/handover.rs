//! Fetches lost pairs from whoever had their shards before: nothing has to be rebuilt then.
//!
//! Promises: what is kept has its proof, and both slivers match it; at the first lie, refusal or silence of a former owner the
//! rest is left to be rebuilt from what all others hold; what came before stays. Does not: ask anybody else.
//! Source: `protocol.md` section 8.

use std::collections::BTreeMap;

use bytes::Bytes;
use haulout_protocol::encoding::SliverVerifier;
use haulout_protocol::machine::Blame;
use haulout_protocol::machine::duty::Duty;
use haulout_protocol::pairs::PairProof;
use haulout_protocol::sliver::{Axis, PairIndex, ShardIndex, pair_of_shard};
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Part, Reply, Request};
use tracing::debug;

use super::job::{Job, Kept, Moved, RepairError};
use crate::asking::{AskError, Asked, nonsense};
use crate::limits;
use crate::network::{Protocol, StreamError};
use crate::session::pair_proof;
use crate::trace;

/// What came of one pair.
#[derive(Debug, Default)]
struct Came {
    proof: Option<PairProof>,
    slivers: [Option<Bytes>; 2],
}

/// Fetches what former owners have of the job's lost shards; these are not lost any more.
pub(super) async fn hand_over(job: &mut Job) -> Result<Moved, RepairError> {
    let mut moved = Moved::default();
    for (member, shards) in former_owners(job) {
        let pair = |shard: &ShardIndex| {
            pair_of_shard(&job.session.parameters, &job.blob_id, job.segment, *shard)
        };
        let pairs: BTreeMap<_, _> = shards.iter().map(|shard| (pair(shard), *shard)).collect();
        let mut came = BTreeMap::new();
        let asked = fetch(job, member, &pairs, &mut came);
        // What came until then is kept.
        let asked = tokio::time::timeout(limits::HANDOVER_PATIENCE, asked).await;
        let asked = asked.unwrap_or(Err(AskError::Stream(StreamError::TooSlow)));
        if let Err(error) = asked {
            let session = &job.session;
            debug!(member = %session.name(member), %error, "a former owner does not hand over");
            session.asker().report(session.peer(member), &error);
        }
        let kept = verify(job, member, came).await?;
        let kept: Vec<_> = kept
            .into_iter()
            .filter_map(|(pair, proof, slivers)| {
                let shard = *pairs.get(&pair)?;
                Some(Kept { shard, proof: proof.to_bytes(), slivers })
            })
            .collect();
        let bytes =
            |kept: &Kept| kept.slivers.iter().map(Bytes::len).sum::<usize>() + kept.proof.len();
        let bytes: usize = kept.iter().map(bytes).sum();
        moved.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        moved.pairs += u64::try_from(kept.len()).unwrap_or(u64::MAX);
        let shards: Vec<_> = kept.iter().map(|kept| kept.shard).collect();
        job.keep(kept).await?;
        for shard in shards {
            job.lost.remove(&shard);
        }
    }
    Ok(moved)
}

/// Who had lost shards before they were ours, with those shards.
fn former_owners(job: &Job) -> BTreeMap<usize, Vec<ShardIndex>> {
    let roster = &job.session.roster;
    let ours = job.ourselves();
    let mut owners: BTreeMap<usize, Vec<ShardIndex>> = BTreeMap::new();
    for shard in &job.lost {
        let former = roster.owners(*shard, None).into_iter().flat_map(|owners| owners.iter());
        if let Some(member) = former.into_iter().find(|member| Some(*member) != ours) {
            owners.entry(member).or_default().push(*shard);
        }
    }
    owners
}

/// Asks one member for pairs, primary slivers with the proofs first.
async fn fetch(
    job: &Job,
    member: usize,
    pairs: &BTreeMap<PairIndex, ShardIndex>,
    came: &mut BTreeMap<PairIndex, Came>,
) -> Result<(), AskError> {
    let length = job.length();
    for (place, (axis, part)) in
        [(Axis::Primary, Part::Both), (Axis::Secondary, Part::Sliver)].into_iter().enumerate()
    {
        // What has no proof is of no use.
        let wanted = pairs.keys().filter(|pair| axis == Axis::Primary || came.contains_key(*pair));
        let wanted: Vec<_> = wanted.map(|pair| pair.0).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let request = Request::Get {
            blob_id: *job.blob_id.as_bytes(),
            segment: job.segment,
            axis,
            part,
            pairs: wanted.clone(),
            trace: trace::current(),
        };
        let peer = job.session.peer(member);
        let mut asked = job.session.asker().ask(peer, Protocol::Sliver, &request).await?;
        let expected = job.session.parameters.sliver_bytes(axis, length);
        let mut owed = wanted;
        let mut take = |pair: u16| {
            let at = owed.iter().position(|owed| *owed == pair).ok_or_else(nonsense)?;
            Ok::<_, AskError>(PairIndex(owed.swap_remove(at)))
        };
        loop {
            let pair = match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                Reply::Missing { pair } => {
                    take(pair)?;
                    continue;
                }
                Reply::Proof { pair, bytes } if part.has_proof() => {
                    let pair = take(pair)?;
                    let root = &job.header.segments[job.segment as usize].slivers_root;
                    let proof =
                        pair_proof(&mut asked, &job.session.parameters, (pair, root), bytes)
                            .await?;
                    came.entry(pair).or_default().proof = Some(proof);
                    match asked.frame(SMALL_FRAME_BYTES_MAX).await? {
                        Reply::Sliver { pair: sent, bytes } if sent == pair.0 => (pair, bytes),
                        _ => return Err(nonsense()),
                    }
                }
                Reply::Sliver { pair, bytes } if !part.has_proof() => (take(pair)?, bytes),
                Reply::End => break,
                _ => return Err(nonsense()),
            };
            let (pair, bytes) = pair;
            let sliver = read(&mut asked, bytes, expected).await?;
            came.entry(pair).or_default().slivers[place] = Some(sliver);
        }
        asked.set_whole(true);
    }
    Ok(())
}

async fn read(asked: &mut Asked, bytes: u32, expected: usize) -> Result<Bytes, AskError> {
    if usize::try_from(bytes).ok() != Some(expected) {
        return Err(nonsense());
    }
    let mut sliver = vec![0; expected];
    asked.exact(&mut sliver).await?;
    Ok(sliver.into())
}

/// Keeps the pairs of which everything came and matches its proof; whoever sent others lied.
async fn verify(
    job: &Job,
    member: usize,
    came: BTreeMap<PairIndex, Came>,
) -> Result<Vec<(PairIndex, PairProof, [Bytes; 2])>, RepairError> {
    let (parameters, length) = (job.session.parameters, job.length());
    let work = move || {
        let mut verifier = SliverVerifier::new(&parameters, length);
        let (mut right, mut has_lied) = (Vec::new(), false);
        for (pair, came) in came {
            let (Some(proof), [Some(primary), Some(secondary)]) = (came.proof, came.slivers) else {
                continue;
            };
            let slivers = [primary, secondary];
            let is_right = Axis::BOTH.into_iter().zip(&slivers).all(|(axis, sliver)| {
                let index = pair.sliver_index(axis, &parameters);
                verifier.verify(axis, index, sliver, proof.roots.of(axis)).is_ok()
            });
            match is_right {
                true => right.push((pair, proof, slivers)),
                false => has_lied = true,
            }
        }
        (right, has_lied)
    };
    let core = job.serving.core(Duty::Repair).await;
    let verified = tokio::task::spawn_blocking(move || {
        let _core = core;
        work()
    });
    let (right, has_lied) = verified.await.map_err(|_| RepairError::Ended)?;
    if has_lied {
        job.session.asker().blame(job.session.peer(member), Blame::WrongBytes);
    }
    Ok(right)
}
