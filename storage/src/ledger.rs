//! What was verified of the ledger, so that a node that starts again need not believe anybody.
//!
//! Promises: what a checkpoint proves becomes durable with its effects or not at all; kept bytes come back as they were
//! written or as an error. Does not: know what they mean; their writers give them versions.

use bytes::Bytes;
use haulout_protocol::chain::ObjectId;
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::tables::{KEPT, PROVEN, Tables, seal, unseal};

/// The things that are kept, one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// The last checkpoint that was verified.
    Checkpoint,
    /// Who signs the next one.
    Validators,
    /// What the network was like when it was last read.
    Network,
    /// The epoch whose committee was judged last; nothing in stores that were written before this was kept.
    Judged,
}

impl Kept {
    /// The key of its row.
    fn name(self) -> &'static str {
        match self {
            Kept::Checkpoint => "checkpoint",
            Kept::Validators => "validators",
            Kept::Network => "network",
            Kept::Judged => "judged",
        }
    }
}

/// What a checkpoint proves, beside what it does to blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// What to keep.
    pub kept: Vec<(Kept, Vec<u8>)>,
    /// Objects that it wrote: which, at which version, with which digest.
    pub objects: Vec<(ObjectId, u64, [u8; 32])>,
}

impl Proof {
    /// Bytes it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let kept: usize = self.kept.iter().map(|(_, bytes)| bytes.len()).sum();
        kept.saturating_add(
            self.objects.len().saturating_mul(size_of::<(ObjectId, u64, [u8; 32])>()),
        )
    }
}

/// Writes what a checkpoint proves.
pub(crate) fn write(tables: &mut Tables<'_>, proof: &Proof) -> Result<(), StoreError> {
    for (row, bytes) in &proof.kept {
        keep(tables, *row, bytes)?;
    }
    for (object, version, digest) in &proof.objects {
        tables.proven.insert(object.as_bytes(), (*version, digest))?;
    }
    Ok(())
}

/// Keeps one thing in place of what was kept before.
pub(crate) fn keep(tables: &mut Tables<'_>, row: Kept, bytes: &[u8]) -> Result<(), StoreError> {
    tables.kept.insert(row.name(), seal(bytes).as_slice())?;
    Ok(())
}

/// What is kept under that name.
pub(crate) fn read(view: &ReadTransaction, row: Kept) -> Result<Option<Bytes>, StoreError> {
    let Some(sealed) = view.open_table(KEPT)?.get(row.name())? else { return Ok(None) };
    match unseal(sealed.value()) {
        Some(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
        None => Err(StoreError::Corrupt {
            what: format!("what is kept of the ledger's {}", row.name()),
        }),
    }
}

/// The proven version of an object.
pub(crate) fn proven(
    view: &ReadTransaction,
    object: &ObjectId,
) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let found = view.open_table(PROVEN)?.get(object.as_bytes())?;
    Ok(found.map(|row| {
        let (version, digest) = row.value();
        (version, *digest)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::{Store, StoreError};

    #[tokio::test]
    async fn what_a_checkpoint_proves_is_kept_with_it_or_not_at_all() {
        let store = Store::in_memory().expect("memory");
        let object = ObjectId::from_bytes([4; 32]);
        let proof = |byte: u8| Proof {
            kept: vec![(Kept::Checkpoint, vec![byte]), (Kept::Validators, vec![byte, byte])],
            objects: vec![(object, u64::from(byte), [byte; 32])],
        };
        store.apply_proven(7, vec![registered(1, 1)], proof(1)).await.expect("the first");
        store.apply_proven(7, vec![], proof(2)).await.expect("ignored");
        let gap = store.apply_proven(9, vec![], proof(3)).await;
        assert!(matches!(gap, Err(StoreError::Gap { expected: 8, found: 9 })), "{gap:?}");
        assert_eq!(store.kept(Kept::Checkpoint).unwrap().as_deref(), Some(&[1][..]));
        assert_eq!(store.proven(&object).unwrap(), Some((1, [1; 32])));
        store.apply_proven(8, vec![], proof(4)).await.expect("the next");
        assert_eq!(store.kept(Kept::Validators).unwrap().as_deref(), Some(&[4, 4][..]));
        assert_eq!(store.proven(&object).unwrap(), Some((4, [4; 32])));
        assert_eq!(store.proven(&ObjectId::from_bytes([5; 32])).unwrap(), None);
        store.keep(Kept::Network, vec![9; 100_000]).await.expect("kept");
        assert_eq!(store.kept(Kept::Network).unwrap().as_deref(), Some(&[9; 100_000][..]));
    }
}
