//! Short blobs: one row each, with the header, the node's symbols and the proof that they share.
//!
//! Promises: the row is sealed, and is there as a whole or not at all; it goes with the blob's content and counts in its
//! bytes. Does not: check symbols or know their places in the blob; that was done before they came.

use bytes::Bytes;
use haulout_protocol::blob::BlobId;
use haulout_protocol::sliver::ShardIndex;
use haulout_protocol::wire;
use redb::ReadTransaction;

use crate::content;
use crate::error::StoreError;
use crate::slivers;
use crate::tables::{self, BlobKey, SHORT, Tables, bytes_of};

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
    proof: Vec<u8>,
}

impl ShortBlob {
    /// Bytes of its parts.
    pub(crate) fn bytes(&self) -> usize {
        let symbols: usize = self.symbols.iter().map(|(_, symbol)| symbol.len() + 2).sum();
        self.header.len() + symbols + self.proof.len()
    }

    /// The row of `SHORT` for it.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut symbols = Vec::with_capacity(self.bytes());
        for (_, symbol) in &self.symbols {
            symbols.extend_from_slice(symbol);
        }
        tables::seal(&wire::encode(&Row {
            header: self.header.to_vec(),
            shards: self.symbols.iter().map(|(shard, _)| shard.0).collect(),
            symbols,
            proof: self.proof.to_vec(),
        }))
    }

    /// Reads a row that was sealed.
    fn read(bytes: &[u8]) -> Option<Self> {
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
            proof: row.proof.into(),
        })
    }

    /// Whether there is a symbol for each of these shards.
    pub(crate) fn has_all(&self, shards: &[ShardIndex]) -> bool {
        let has = |shard| self.symbols.iter().any(|(other, _)| *other == shard);
        shards.iter().all(|shard| has(*shard))
    }
}

/// Writes a row, in place of what was there.
pub(crate) fn put(
    tables: &mut Tables<'_>,
    blob_id: &BlobId,
    sealed: &[u8],
    now_ms: u64,
) -> Result<(), StoreError> {
    let old = tables.short.insert(blob_id.as_bytes(), sealed)?;
    let removed = old.map_or(0, |old| bytes_of(old.value().len()));
    content::account(tables, blob_id.as_bytes(), bytes_of(sealed.len()), removed, now_ms)
}

/// Reads a row.
pub(crate) fn read(
    view: &ReadTransaction,
    blob: &BlobKey,
) -> Result<Option<ShortBlob>, StoreError> {
    let what = || format!("what is stored of short blob {}", BlobId::from_bytes(*blob));
    let Some(bytes) = slivers::sealed(view, SHORT, blob, what)? else { return Ok(None) };
    let read = ShortBlob::read(&bytes).ok_or_else(|| StoreError::Corrupt { what: what() })?;
    Ok(Some(read))
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
}
