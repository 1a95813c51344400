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
use haulout_storage::{ShortBlob, Store, StoreError};
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
    async fn lock(&self, blob_id: &BlobId) -> MutexGuard<'_, ()> {
        self.0[usize::from(blob_id.as_bytes()[31]) % LOCKS].lock().await
    }

    /// Makes what was checked durable, with what is there; how many symbols there are then. Nobody waits here for a turn at a
    /// core, because others wait for the row. With the time at which it came; zero says that nobody brings it any more.
    pub(crate) async fn add(
        &self,
        store: &Store,
        parameters: Parameters,
        header: BlobHeader,
        (row, came_at_ms): (CheckedRow, u64),
    ) -> Result<usize, StoreError> {
        let (blob_id, reader) = (header.blob_id(), store.clone());
        let _alone = self.lock(&blob_id).await;
        let all = tokio::task::spawn_blocking(move || {
            let old = reader.short(&blob_id).ok().flatten(); // a damaged one is replaced
            row.with(&parameters, &header, old).expect("both rows prove all that they hold")
        });
        let all = all.await.expect("merging neither panics nor is cut off");
        let symbols = all.symbols.len();
        store.put_short(&blob_id, all, came_at_ms).await?;
        Ok(symbols)
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

/// Symbols that were checked against their blob's header, and what they tell of its tree.
pub(crate) struct CheckedRow {
    row: ShortBlob,
    known: PartialTree,
}

impl CheckedRow {
    /// Checks what came.
    pub(crate) fn new(
        parameters: &Parameters,
        header: &BlobHeader,
        row: ShortBlob,
    ) -> Result<Self, ShortError> {
        let symbols = placed(parameters, &header.blob_id(), &row);
        Ok(CheckedRow { known: check(parameters, header, &symbols, &row.proof)?, row })
    }

    /// Only these of its symbols.
    pub(crate) fn only(
        mut self,
        parameters: &Parameters,
        blob_id: &BlobId,
        shards: &[ShardIndex],
    ) -> Result<Self, ShortError> {
        let before = self.row.symbols.len();
        self.row.symbols.retain(|(shard, _)| shards.contains(shard));
        if self.row.symbols.len() < before {
            self.row = proved(parameters, blob_id, self.row, &self.known)?;
        }
        Ok(self)
    }

    /// With the symbols that were there before and do not come: a row only grows.
    fn with(
        mut self,
        parameters: &Parameters,
        header: &BlobHeader,
        old: Option<ShortBlob>,
    ) -> Result<ShortBlob, ShortError> {
        let (blob_id, new) = (header.blob_id(), self.row);
        let came = |shard: &ShardIndex| new.symbols.iter().any(|(other, _)| other == shard);
        let Some(old) = old.filter(|old| old.symbols.iter().any(|(shard, _)| !came(shard))) else {
            return Ok(new);
        };
        let symbols = placed(parameters, &blob_id, &old);
        let Ok(before) = check(parameters, header, &symbols, &old.proof) else { return Ok(new) };
        self.known.merge(&before);
        let kept = old.symbols.into_iter().filter(|(shard, _)| !came(shard));
        let mut symbols: Vec<_> = kept.chain(new.symbols.iter().cloned()).collect();
        symbols.sort_by_key(|(shard, _)| pair_of_shard(parameters, &blob_id, 0, *shard));
        proved(parameters, &blob_id, ShortBlob { symbols, ..new }, &self.known)
    }
}

/// A row with the proof of just its symbols.
fn proved(
    parameters: &Parameters,
    blob_id: &BlobId,
    row: ShortBlob,
    known: &PartialTree,
) -> Result<ShortBlob, ShortError> {
    let symbols = placed(parameters, blob_id, &row);
    let places: Vec<_> = symbols.iter().map(|(place, _)| usize::from(*place)).collect();
    let proof = known.prove_many(&places).ok_or(ShortError::Unproved)?;
    Ok(ShortBlob { proof: proof.to_bytes().into(), ..row })
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

    fn with_symbols_of(
        parameters: &Parameters,
        header: &BlobHeader,
        new: ShortBlob,
        old: Option<ShortBlob>,
    ) -> Result<ShortBlob, ShortError> {
        CheckedRow::new(parameters, header, new)?.with(parameters, header, old)
    }

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
        let checked = CheckedRow::new(&parameters, header, row(0..6)).expect("it is right");
        let some = checked.only(&parameters, &blob_id, &[2, 3, 7].map(ShardIndex));
        assert_eq!(some.expect("they are known").row, row(2..4), "as if no more had come");
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
