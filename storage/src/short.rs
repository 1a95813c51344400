//! Short blobs: one row each, with the header and the node's symbols, and the proof that they share in another.
//!
//! Promises: both rows are sealed, and are there together or not at all; they go with the blob's content and count in its
//! bytes. Two rows, because the database rounds a value of more than a page up to pages: of a blob of 4 KiB at twenty shards
//! a node keeps 4.2 KB, which would take 8. Does not: check symbols; that was done before they came.

use bytes::Bytes;
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{Parameters, check_short};
use haulout_protocol::merkle::MultiProof;
use haulout_protocol::sliver::{ShardIndex, pair_of_shard};
use haulout_protocol::wire;
use redb::{ReadTransaction, ReadableTable};

use crate::content;
use crate::error::StoreError;
use crate::sealed;
use crate::tables::{self, BlobKey, SHORT, SHORT_PROOFS, Tables, bytes_of};

/// What a node keeps of a short blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortBlob {
    /// The header's canonical bytes.
    pub header: Bytes,
    /// The symbol of each of the node's shards, in ascending order of their place in the blob; all equally long.
    pub symbols: Vec<(ShardIndex, Bytes)>,
    /// The proof that all these symbols share, as it came.
    pub proof: Bytes,
}

/// As it is stored.
#[derive(bincode::Encode, bincode::Decode)]
struct Row {
    header: Vec<u8>,
    shards: Vec<u16>,
    symbols: Vec<u8>,
}

impl ShortBlob {
    /// Bytes of its parts.
    pub(crate) fn bytes(&self) -> usize {
        let symbols: usize = self.symbols.iter().map(|(_, symbol)| symbol.len() + 2).sum();
        self.header.len() + symbols + self.proof.len()
    }

    /// The rows of `SHORT` and of `SHORT_PROOFS` for it.
    pub(crate) fn seal(&self) -> [Vec<u8>; 2] {
        let mut symbols = Vec::with_capacity(self.bytes());
        for (_, symbol) in &self.symbols {
            symbols.extend_from_slice(symbol);
        }
        let row = wire::encode(&Row {
            header: self.header.to_vec(),
            shards: self.symbols.iter().map(|(shard, _)| shard.0).collect(),
            symbols,
        });
        [tables::seal(&row), tables::seal(&self.proof)]
    }

    /// Reads rows that were sealed.
    fn read(bytes: &[u8], proof: Bytes) -> Option<Self> {
        let row: Row = wire::decode(bytes).ok()?;
        let (symbols, count) = (Bytes::from(row.symbols), row.shards.len());
        let length = symbols.len().checked_div(count).unwrap_or(0);
        if length * count != symbols.len() {
            return None;
        }
        let symbol = |(place, shard)| {
            (ShardIndex(shard), symbols.slice(place * length..(place + 1) * length))
        };
        Some(ShortBlob {
            header: row.header.into(),
            symbols: row.shards.into_iter().enumerate().map(symbol).collect(),
            proof,
        })
    }

    /// The same with one symbol less, and the proof of the others; nothing if it does not prove what it has.
    fn without(mut self, shard: ShardIndex, parameters: &Parameters) -> Option<Self> {
        let header = BlobHeader::from_bytes(&self.header, parameters).ok()?;
        let blob_id = header.blob_id();
        let place = |shard| pair_of_shard(parameters, &blob_id, 0, shard).0;
        let placed: Vec<_> =
            self.symbols.iter().map(|(shard, symbol)| (place(*shard), symbol.clone())).collect();
        let proof = MultiProof::from_bytes(&self.proof)?;
        let known = check_short(parameters, &header, &placed, &proof).ok()?;
        self.symbols.retain(|(other, _)| *other != shard);
        let left: Vec<_> =
            self.symbols.iter().map(|(shard, _)| usize::from(place(*shard))).collect();
        self.proof = known.prove_many(&left)?.to_bytes().into();
        Some(self)
    }

    /// Whether there is a symbol for each of these shards.
    pub(crate) fn has_all(&self, shards: &[ShardIndex]) -> bool {
        let has = |shard| self.symbols.iter().any(|(other, _)| *other == shard);
        shards.iter().all(|shard| has(*shard))
    }
}

/// Writes both rows, in place of what was there.
pub(crate) fn put(
    tables: &mut Tables<'_>,
    blob_id: &BlobId,
    [row, proof]: &[Vec<u8>; 2],
    now_ms: u64,
) -> Result<(), StoreError> {
    let blob = blob_id.as_bytes();
    let old = tables.short.insert(blob, row.as_slice())?;
    let is_new = old.is_none();
    let mut removed = old.map_or(0, |old| bytes_of(old.value().len()));
    let old = tables.short_proofs.insert(blob, proof.as_slice())?;
    debug_assert_eq!(old.is_none(), is_new, "both rows are there, or none");
    removed = removed.saturating_add(old.map_or(0, |old| bytes_of(old.value().len())));
    content::account(tables, blob, bytes_of(row.len() + proof.len()), removed, now_ms)
}

/// Takes a shard's symbol away, and lets the proof prove those that are left; by how many bytes that is less, or nothing if
/// there is no such symbol. What is damaged or does not prove its symbols stays: nobody can say what would be left of it.
pub(crate) fn shrink(
    tables: &mut Tables<'_>,
    blob: &BlobKey,
    shard: ShardIndex,
    parameters: &Parameters,
) -> Result<Option<u64>, StoreError> {
    let (row, proof) = (tables.short.get(blob)?, tables.short_proofs.get(blob)?);
    let (Some(row), Some(proof)) = (row, proof) else { return Ok(None) };
    let before = bytes_of(row.value().len() + proof.value().len());
    let bytes = tables::unseal(row.value()).zip(tables::unseal(proof.value()));
    let stored = bytes.and_then(|(row, proof)| ShortBlob::read(row, Bytes::copy_from_slice(proof)));
    drop((row, proof));
    let Some(stored) = stored.filter(|stored| stored.has_all(&[shard])) else { return Ok(None) };
    debug_assert!(!stored.symbols.is_empty(), "it has the one that goes");
    if stored.symbols.len() == 1 {
        tables.short.remove(blob)?;
        tables.short_proofs.remove(blob)?;
        return Ok(Some(before));
    }
    let Some(less) = stored.without(shard, parameters) else { return Ok(None) };
    let [row, proof] = less.seal();
    tables.short.insert(blob, row.as_slice())?;
    tables.short_proofs.insert(blob, proof.as_slice())?;
    Ok(Some(before.saturating_sub(bytes_of(row.len() + proof.len()))))
}

/// Reads what is stored of a short blob.
pub(crate) fn read(
    view: &ReadTransaction,
    blob: &BlobKey,
) -> Result<Option<ShortBlob>, StoreError> {
    let what = || format!("what is stored of short blob {}", BlobId::from_bytes(*blob));
    let Some(row) = sealed::read(view, SHORT, blob, what)? else { return Ok(None) };
    let proof = sealed::read(view, SHORT_PROOFS, blob, what)?;
    let read = proof.and_then(|proof| ShortBlob::read(&row, proof));
    read.map(Some).ok_or_else(|| StoreError::Corrupt { what: what() })
}

/// Whether there is a row with a symbol for each of these shards; a damaged one counts as none.
pub(crate) fn holds(
    view: &ReadTransaction,
    blob: &BlobKey,
    shards: &[ShardIndex],
) -> Result<bool, StoreError> {
    match read(view, blob) {
        Ok(row) => Ok(row.is_some_and(|row| row.has_all(shards))),
        Err(StoreError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// For which of these shards there is no symbol; of a damaged row all count.
pub(crate) fn lacking(
    view: &ReadTransaction,
    blob: &BlobKey,
    shards: &[ShardIndex],
) -> Result<Vec<ShardIndex>, StoreError> {
    let row = match read(view, blob) {
        Ok(row) => row,
        Err(StoreError::Corrupt { .. }) => None,
        Err(error) => return Err(error),
    };
    let has = |shard: &ShardIndex| row.as_ref().is_some_and(|row| row.has_all(&[*shard]));
    Ok(shards.iter().copied().filter(|shard| !has(shard)).collect())
}

/// For how many of these shards there is a symbol; nothing if there is no row. Of a damaged row none counts.
pub(crate) fn count(
    view: &ReadTransaction,
    blob: &BlobKey,
    shards: &[ShardIndex],
) -> Result<Option<u16>, StoreError> {
    let row = match read(view, blob) {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(None),
        Err(StoreError::Corrupt { .. }) => return Ok(Some(0)),
        Err(error) => return Err(error),
    };
    let held = row.symbols.iter().filter(|(shard, _)| shards.contains(shard)).count();
    Ok(Some(u16::try_from(held).unwrap_or(u16::MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Store;
    use crate::testing::{
        check_consistent, registered, remains, sample_blob, sample_options, sample_short, shards,
    };

    #[tokio::test]
    async fn a_short_blob_is_one_row_without_a_file_and_comes_back_as_it_was() {
        let directory = tempfile::tempdir().expect("created");
        let store = Store::open(directory.path(), sample_options()).expect("opens");
        for number in [1, 2] {
            let blob = sample_short(number, 3..7);
            store.put_short(&sample_blob(number), blob, 0).await.expect("stored");
        }
        drop(store);
        let store = Store::open(directory.path(), sample_options()).expect("opens");
        let blob = sample_blob(1);
        assert_eq!(store.short(&blob).expect("read"), Some(sample_short(1, 3..7)));
        assert_eq!(store.header(&blob).expect("read"), Some(sample_short(1, 0..0).header));
        assert!(store.holds(&blob, 1, &shards(3..7)).expect("read"));
        assert!(!store.holds(&blob, 1, &shards(2..7)).expect("read"), "a shard more");
        assert_eq!(store.count_slivers(&blob, 0..1, &shards(5..9)).expect("read"), [(2, 2)]);
        assert_eq!(crate::testing::bundle_files(directory.path()).len(), 0);
        check_consistent(&store, Some(directory.path()));
    }

    #[tokio::test]
    async fn a_short_blob_nobody_registers_is_forgotten_and_one_put_again_is_replaced() {
        let store = Store::in_memory().expect("opens");
        store.apply(0, vec![registered(1, 1)]).await.expect("applied");
        for number in [1, 2] {
            store
                .put_short(&sample_blob(number), sample_short(number, 0..2), 5)
                .await
                .expect("stored");
        }
        store.put_short(&sample_blob(1), sample_short(1, 0..4), 5).await.expect("stored again");
        check_consistent(&store, None);
        let pending = store.pending_bytes().expect("read");
        assert_eq!(store.forget_pending(6).await.expect("forgotten"), pending);
        assert_eq!(remains(&store, 2), (false, false, false));
        assert_eq!(store.short(&sample_blob(1)).expect("read"), Some(sample_short(1, 0..4)));
        assert_eq!(store.short(&sample_blob(2)).expect("read"), None);
        check_consistent(&store, None);
    }

    #[tokio::test]
    async fn a_row_that_rotted_counts_as_missing_and_is_known() {
        let store = Store::in_memory().expect("opens");
        let blob = sample_blob(1);
        store.put_short(&blob, sample_short(1, 0..2), 0).await.expect("stored");
        crate::testing::spoil_short(&store, &blob);
        assert!(matches!(store.short(&blob), Err(StoreError::Corrupt { .. })));
        assert!(!store.holds(&blob, 1, &shards(0..2)).expect("read"));
        assert_eq!(store.count_slivers(&blob, 0..1, &shards(0..2)).expect("read"), [(0, 0)]);
        assert_eq!(store.rot_found(), 1);
        store.put_short(&blob, sample_short(1, 0..2), 0).await.expect("stored again");
        assert!(store.holds(&blob, 1, &shards(0..2)).expect("read"));
    }

    /// Parts of a row that fit each other or do not.
    fn parts() -> impl Strategy<Value = (Vec<u8>, Vec<u16>, Vec<u8>)> {
        let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
        (bytes(80), proptest::collection::vec(any::<u16>(), 0..8), bytes(600))
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ShortBlob::read(&bytes, Bytes::new());
        }

        #[test]
        fn every_byte_of_a_row_belongs_to_a_symbol_or_it_is_none(parts in parts(), at: u16, flip in 1_u8..) {
            let (header, shards, symbols) = parts;
            let (count, all) = (shards.len(), symbols.clone());
            let mut bytes = wire::encode(&Row { header, shards, symbols });
            let read = ShortBlob::read(&bytes, Bytes::new());
            let fits = all.len().checked_rem(count).unwrap_or(all.len()) == 0;
            prop_assert_eq!(read.is_some(), fits);
            if let Some(read) = read {
                prop_assert_eq!(read.symbols.len(), count);
                let symbols: Vec<&[u8]> = read.symbols.iter().map(|(_, symbol)| &**symbol).collect();
                prop_assert_eq!(symbols.concat(), all);
            }
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= flip; // lengths that say more than there is, too
            let _ = ShortBlob::read(&bytes, Bytes::new());
        }
    }
}
