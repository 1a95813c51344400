//! One request to one node for symbols of a short blob.
//!
//! Promises: what comes was asked for and has the right length, and where a proof was asked for it holds. Does not: know what
//! symbols are right that were not to be proved.

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{Parameters, check_short};
use haulout_protocol::machine::Blame;
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::sliver::PairIndex;
use haulout_protocol::wire::SMALL_FRAME_BYTES_MAX;
use haulout_protocol::wire::sliver::{Reply, Request};

use super::client::Session;
use crate::asking::{AskError, Asked, nonsense};
use crate::network::StreamError;
use crate::trace;

/// What came.
#[derive(Debug)]
pub(crate) struct Came {
    /// Symbols with their places, in the node's order.
    pub(crate) symbols: Vec<(u16, Bytes)>,
    /// What proves them; empty if they were not to be proved.
    pub(crate) proof: MultiProof,
    /// Places that the node lacks.
    pub(crate) missing: Vec<PairIndex>,
}

/// Asks for symbols, on a stream that others use before and after; they come all together. They are to be proved or not.
pub(crate) async fn symbols(
    session: &Session,
    member: usize,
    (blob_id, header): (&BlobId, &BlobHeader),
    (wanted, with_proof): (&[PairIndex], bool),
) -> Result<Came, AskError> {
    let request = Request::GetShort {
        blob_id: *blob_id.as_bytes(),
        symbols: wanted.iter().map(|pair| pair.0).collect(),
        with_proof,
        trace: trace::current(),
    };
    let (asker, peer) = (session.asker(), session.peer(member));
    let (mut asked, reply) = asker.ask_on_kept(peer, &request, SMALL_FRAME_BYTES_MAX).await?;
    let Reply::Short { symbols: places, proof_bytes } = reply else { return Err(nonsense()) };
    let mut missing = wanted.to_vec();
    for place in &places {
        let at = missing.iter().position(|it| it.0 == *place).ok_or_else(nonsense)?;
        missing.swap_remove(at);
    }
    let parameters = &session.parameters;
    let symbols = read_symbols(&mut asked, (parameters, header), &places).await?;
    let proof = read_proof(&mut asked, parameters, places.len(), proof_bytes).await?;
    asked.set_whole(missing.is_empty());
    if with_proof {
        let checked = check_short(parameters, header, &symbols, &proof);
        checked.map_err(|_| AskError::Wrong(Blame::WrongProof))?;
    }
    asked.end();
    Ok(Came { symbols, proof, missing })
}

async fn read_symbols(
    asked: &mut Asked,
    (parameters, header): (&Parameters, &BlobHeader),
    places: &[u16],
) -> Result<Vec<(u16, Bytes)>, AskError> {
    let length = u32::try_from(header.length).map_err(|_| nonsense())?;
    let symbol_bytes = parameters.short_symbol_bytes(length) as usize;
    let mut row = vec![0; places.len() * symbol_bytes];
    asked.exact(&mut row).await?;
    let row = Bytes::from(row);
    let symbol = |(at, place): (usize, &u16)| {
        (*place, row.slice(at * symbol_bytes..(at + 1) * symbol_bytes))
    };
    Ok(places.iter().enumerate().map(symbol).collect())
}

async fn read_proof(
    asked: &mut Asked,
    parameters: &Parameters,
    symbols: usize,
    bytes: u32,
) -> Result<MultiProof, AskError> {
    let shards = usize::from(parameters.shards());
    let max = u32::try_from(MultiProof::bytes_max(symbols, shards)).unwrap_or(u32::MAX);
    if bytes > max {
        return Err(StreamError::TooLarge { announced: bytes, max }.into());
    }
    let proof = MultiProof::from_bytes(&asked.bytes(bytes).await?);
    proof.ok_or(AskError::Wrong(Blame::WrongProof))
}
