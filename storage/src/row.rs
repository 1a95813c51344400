//! The row of a short blob: what a node has of it, how more is added to it, and what others are given of it.
//!
//! Promises: whoever adds symbols keeps those that are there; what is added was checked against the blob's header, and what is
//! given is proved by it. Does not: store rows, or know where symbols come from.

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{Parameters, ShortError, check_short};
use haulout_protocol::merkle::{MultiProof, PartialTree};
use haulout_protocol::sliver::{ShardIndex, pair_of_shard};

use crate::short::ShortBlob;

/// Symbols, each with its place in the blob.
pub type Symbols = Vec<(u16, Bytes)>;

/// The places of the symbols of these shards, in ascending order.
pub fn places_of(
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
///
/// # Errors
/// [`ShortError`].
pub fn check(
    parameters: &Parameters,
    header: &BlobHeader,
    symbols: &[(u16, Bytes)],
    proof: &[u8],
) -> Result<PartialTree, ShortError> {
    let proof = MultiProof::from_bytes(proof).ok_or(ShortError::Unproved)?;
    check_short(parameters, header, symbols, &proof)
}

/// Symbols that were checked against their blob's header, and what they tell of its tree.
#[derive(Clone, Debug)]
pub struct CheckedRow {
    row: ShortBlob,
    known: PartialTree,
}

impl CheckedRow {
    /// Checks what came.
    ///
    /// # Errors
    /// [`ShortError`].
    pub fn new(
        parameters: &Parameters,
        header: &BlobHeader,
        row: ShortBlob,
    ) -> Result<Self, ShortError> {
        let symbols = placed(parameters, &header.blob_id(), &row);
        Ok(CheckedRow { known: check(parameters, header, &symbols, &row.proof)?, row })
    }

    /// Only these of its symbols.
    ///
    /// # Errors
    /// [`ShortError`], if what it knows proves them no more.
    pub fn only(
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
    ///
    /// # Errors
    /// [`ShortError`], if both rows do not prove all that they hold.
    pub fn with(
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
pub fn placed(parameters: &Parameters, blob_id: &BlobId, blob: &ShortBlob) -> Symbols {
    let place = |shard| pair_of_shard(parameters, blob_id, 0, shard).0;
    blob.symbols.iter().map(|(shard, symbol)| (place(*shard), symbol.clone())).collect()
}

/// Symbols of a stored blob and the proof that they share; nothing if there is none of them.
pub fn chosen(
    parameters: &Parameters,
    blob_id: &BlobId,
    wanted: &[ShardIndex],
    stored: ShortBlob,
) -> Option<ShortBlob> {
    let all = placed(parameters, blob_id, &stored);
    let header = BlobHeader::from_bytes(&stored.header, parameters).ok()?;
    let known = check(parameters, &header, &all, &stored.proof).ok()?;
    let both = stored.symbols.iter().zip(&all).filter(|((shard, _), _)| wanted.contains(shard));
    let (symbols, places): (Vec<_>, Vec<_>) =
        both.map(|(symbol, (place, _))| (symbol.clone(), usize::from(*place))).unzip();
    if symbols.is_empty() {
        return None;
    }
    let proof = known.prove_many(&places)?.to_bytes().into();
    Some(ShortBlob { header: stored.header, symbols, proof })
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
