//! The rows of short blobs: what a node has of one, how more is added to it, and who may change it.
//!
//! Promises: whoever adds symbols keeps those that are there; one at a time changes a row; what is added was checked against
//! the blob's header. Does not: know where symbols come from.

use std::sync::Arc;

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{Parameters, ShortError, check_short};
use haulout_protocol::merkle::{MultiProof, PartialTree};
use haulout_protocol::sliver::{ShardIndex, pair_of_shard};
use haulout_storage::ShortBlob;
use tokio::sync::{Mutex, MutexGuard};

/// Locks of rows: two blobs rarely share one.
const LOCKS: usize = 64;

/// Symbols, each with its place in the blob.
pub(crate) type Symbols = Vec<(u16, Bytes)>;

/// Who may change which row; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct ShortRows(Arc<[Mutex<()>; LOCKS]>);

impl Default for ShortRows {
    fn default() -> Self {
        ShortRows(Arc::new(std::array::from_fn(|_| Mutex::default())))
    }
}

impl ShortRows {
    /// Waits until nobody else changes the blob's row. To be held while it is read and written again.
    pub(crate) async fn lock(&self, blob_id: &BlobId) -> MutexGuard<'_, ()> {
        self.0[usize::from(blob_id.as_bytes()[31]) % LOCKS].lock().await
    }
}

/// The places of the symbols of these shards, in ascending order.
pub(crate) fn places_of(
    parameters: &Parameters,
    blob_id: &BlobId,
    shards: &[ShardIndex],
) -> Vec<(u16, ShardIndex)> {
    let place = |shard: &ShardIndex| (pair_of_shard(parameters, blob_id, 0, *shard).0, *shard);
    let mut places: Vec<_> = shards.iter().map(place).collect();
    places.sort_unstable();
    places
}

/// Whether symbols are those of the blob with this header, and what their proof tells of the tree.
pub(crate) fn check(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
    proof: &[u8],
) -> Result<PartialTree, ShortError> {
    let proof = MultiProof::from_bytes(proof).ok_or(ShortError::Unproved)?;
    check_short(parameters, header, symbols, &proof)
}

/// What came, once it is checked, with the symbols that were there before and do not come: a row only grows.
pub(crate) fn with_symbols_of(
    parameters: &Parameters,
    header: &BlobHeader,
    new: ShortBlob,
    old: Option<ShortBlob>,
) -> Result<ShortBlob, ShortError> {
    let blob_id = header.blob_id();
    let in_order = |blob: &ShortBlob| placed(parameters, &blob_id, blob);
    let mut known = check(parameters, header, &in_order(&new), &new.proof)?;
    let came = |shard: &ShardIndex| new.symbols.iter().any(|(other, _)| other == shard);
    let Some(old) = old.filter(|old| old.symbols.iter().any(|(shard, _)| !came(shard))) else {
        return Ok(new);
    };
    let Ok(before) = check(parameters, header, &in_order(&old), &old.proof) else { return Ok(new) };
    known.merge(&before);
    let kept = old.symbols.into_iter().filter(|(shard, _)| !came(shard));
    let mut symbols: Vec<_> = kept.chain(new.symbols.iter().cloned()).collect();
    symbols.sort_by_key(|(shard, _)| pair_of_shard(parameters, &blob_id, 0, *shard));
    let all = ShortBlob { symbols, ..new };
    let places: Vec<_> = in_order(&all).iter().map(|(place, _)| usize::from(*place)).collect();
    let proof = known.prove_many(&places).ok_or(ShortError::Unproved)?;
    Ok(ShortBlob { proof: proof.to_bytes().into(), ..all })
}

/// A node's symbols, each with its place in the blob.
pub(crate) fn placed(parameters: &Parameters, blob_id: &BlobId, blob: &ShortBlob) -> Symbols {
    let place = |shard| pair_of_shard(parameters, blob_id, 0, shard).0;
    blob.symbols.iter().map(|(shard, symbol)| (place(*shard), symbol.clone())).collect()
}

#[cfg(test)]
mod tests {
    use haulout_protocol::encoding::encode_short;

    use super::*;

    #[test]
    fn a_row_grows_by_what_comes_and_proves_all_of_it() {
        let parameters = Parameters::new(20, 1 << 16).expect("valid parameters");
        let parameters = parameters.with_short_blobs(1 << 16).expect("valid parameters");
        let encoded = encode_short(&parameters, &[7; 3000]);
        let (header, blob_id) = (encoded.header(), encoded.header().blob_id());
        let row = |shards: std::ops::Range<u16>| {
            let shards: Vec<_> = shards.map(ShardIndex).collect();
            let places = places_of(&parameters, &blob_id, &shards);
            let indexes: Vec<_> = places.iter().map(|(place, _)| *place).collect();
            let proof = encoded.prove(&indexes).expect("there are such symbols").to_bytes();
            let symbol = |(place, shard): &(u16, ShardIndex)| (*shard, encoded.symbol(*place));
            ShortBlob {
                header: header.to_bytes().into(),
                symbols: places.iter().map(symbol).collect(),
                proof: proof.into(),
            }
        };
        let all = with_symbols_of(&parameters, header, row(2..6), Some(row(0..4)));
        assert_eq!(all, Ok(row(0..6)), "as if all had come at once");
        assert_eq!(with_symbols_of(&parameters, header, row(2..6), None), Ok(row(2..6)));
        let mut damaged = row(0..4);
        damaged.proof = Bytes::from(vec![1; damaged.proof.len()]);
        let replaced = with_symbols_of(&parameters, header, row(2..6), Some(damaged.clone()));
        assert_eq!(replaced, Ok(row(2..6)), "what does not verify is not kept");
        let refused = with_symbols_of(&parameters, header, damaged, Some(row(2..6)));
        assert_eq!(refused, Err(ShortError::Unproved));
    }
}
