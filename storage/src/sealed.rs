//! Reading values that carry their own hash.
//!
//! Promises: bytes that leave here hash to what was written. Does not: remember what was wrong, which is `rot.rs`.

use bytes::Bytes;
use redb::{ReadTransaction, TableDefinition};

use crate::error::StoreError;
use crate::tables;

/// Reads a sealed value.
pub(crate) fn read<K: redb::Key + 'static>(
    view: &ReadTransaction,
    table: TableDefinition<'static, K, &'static [u8]>,
    key: K::SelfType<'_>,
    what: impl FnOnce() -> String,
) -> Result<Option<Bytes>, StoreError> {
    match view.open_table(table)?.get(key)? {
        None => Ok(None),
        Some(value) => match tables::unseal(value.value()) {
            Some(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
            None => Err(StoreError::Corrupt { what: what() }),
        },
    }
}
