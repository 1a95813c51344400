//! Whether the index agrees with itself: the invariants that tie one table to another.
//!
//! Promises: nothing is found in a sound store, between any two commits and after any crash; each finding says which table
//! contradicts which. Does not: read files or slivers' bytes, mend anything, or know what should be here and is not, which
//! `missing.rs` does. Keeps a number for each blob and each place in memory: it is for tests, simulations and people who
//! doubt a store.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::error::StoreError;
use crate::expiry::KEPT_EPOCHS;
use crate::places::{Place, SliverRow};
use crate::tables::{
    self, BUNDLES, BlobKey, CERTIFICATES, CONTENT, DUE, DueKey, ENDS, HEADERS, HOLES, LEAVING,
    OBJECTS, PENDING, PLACED, PLACES, PROOFS, SHARD_STATES, SHORT, SHORT_PROOFS, SLIVERS, SMALL,
    SUMS, bytes_of, meta,
};

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, said: &T, found: &T) {
        self.expect(said == found, || format!("{what}: {said:?} is said, {found:?} is there"));
    }
}

/// Everything that contradicts something else.
pub(crate) fn check(view: &ReadTransaction) -> Result<Vec<String>, StoreError> {
    let mut findings = Findings::default();
    content(view, &mut findings)?;
    bundles(view, &mut findings)?;
    due(view, &mut findings)?;
    order(view, &mut findings)?;
    let leaving = view.open_table(LEAVING)?;
    for row in view.open_table(SHARD_STATES)?.iter()? {
        let shard = row?.0.value();
        let is_leaving = leaving.get(shard)?.is_some();
        findings.expect(!is_leaving, || format!("shard {shard} has a state and is leaving"));
    }
    Ok(findings.0)
}

/// Bytes of each blob, which of them are pending, and the totals.
fn content(view: &ReadTransaction, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut held, mut inline) = (BTreeMap::<BlobKey, u64>::new(), 0);
    let small = view.open_table(SMALL)?;
    for row in view.open_table(SLIVERS)?.iter()? {
        let (key, row) = row?;
        let row = SliverRow::from_tuple(row.value());
        *held.entry(tables::blob_of_sliver(key.value())).or_default() += u64::from(row.length);
        if row.place == Place::Inline {
            inline += 1;
            let has_bytes = small.get(key.value())?.is_some();
            findings.expect(has_bytes, || "a small sliver has a row and no bytes".to_owned());
        }
    }
    findings.equal("small slivers", &inline, &small.len()?);
    for row in view.open_table(PROOFS)?.iter()? {
        let (key, value) = row?;
        let blob = tables::blob_of_segment(&tables::segment_of_pair(key.value()));
        *held.entry(blob).or_default() += bytes_of(value.value().len());
    }
    for table in [HEADERS, SHORT, SHORT_PROOFS] {
        add_values(view, table, &mut held)?;
    }
    let (short, proofs) = (view.open_table(SHORT)?.len()?, view.open_table(SHORT_PROOFS)?.len()?);
    findings.equal("short blobs and their proofs", &short, &proofs);

    let objects: BTreeSet<_> = objects(view)?.into_keys().collect();
    let (pending, mut said, mut unpaid) = (view.open_table(PENDING)?, BTreeMap::new(), (0, 0));
    for row in view.open_table(CONTENT)?.iter()? {
        let (blob, row) = row?;
        let (bytes, since_ms) = row.value();
        said.insert(*blob.value(), bytes);
        let is_pending = pending.get(&tables::pending_key(since_ms, blob.value()))?.is_some();
        findings.expect(is_pending != objects.contains(blob.value()), || {
            "a blob with an object on chain is pending, or one without is not".to_owned()
        });
        if is_pending {
            unpaid = (unpaid.0 + 1, unpaid.1 + bytes);
        }
    }
    findings.equal("bytes of blobs", &said, &held);
    findings.equal("pending blobs", &pending.len()?, &unpaid.0);
    let number = |name| Ok::<_, StoreError>(tables::number(view, name)?.unwrap_or(0));
    findings.equal("bytes in all", &number(meta::CONTENT_BYTES)?, &said.values().sum());
    findings.equal("pending bytes", &number(meta::PENDING_BYTES)?, &unpaid.1);
    Ok(())
}

fn add_values(
    view: &ReadTransaction,
    table: TableDefinition<'static, &'static BlobKey, &'static [u8]>,
    held: &mut BTreeMap<BlobKey, u64>,
) -> Result<(), StoreError> {
    for row in view.open_table(table)?.iter()? {
        let (blob, value) = row?;
        *held.entry(*blob.value()).or_default() += bytes_of(value.value().len());
    }
    Ok(())
}

/// Slivers that point to bundles, and bundles with holes.
fn bundles(view: &ReadTransaction, findings: &mut Findings) -> Result<(), StoreError> {
    let (mut live, mut said) = (BTreeMap::<u64, u32>::new(), BTreeMap::new());
    for row in view.open_table(SLIVERS)?.iter()? {
        let row = SliverRow::from_tuple(row?.1.value());
        if let Place::Bundle { id, .. } = row.place {
            *live.entry(id).or_default() += 1;
        }
    }
    for row in view.open_table(BUNDLES)?.iter()? {
        let (bundle, row) = row?;
        said.insert(bundle.value(), row.value().2);
    }
    findings.equal("slivers that point to bundles", &said, &live);
    for row in view.open_table(HOLES)?.iter()? {
        let bundle = row?.0.value();
        let exists = said.contains_key(&bundle);
        findings.expect(exists, || format!("bundle {bundle} has holes and is not there"));
    }
    Ok(())
}

/// The last end of each blob's objects, and of those that were certified.
fn objects(view: &ReadTransaction) -> Result<BTreeMap<BlobKey, (u32, Option<u32>)>, StoreError> {
    let mut ends = BTreeMap::new();
    for row in view.open_table(OBJECTS)?.iter()? {
        let (key, row) = row?;
        let (_, end, _, _, certified) = row.value();
        let last = ends.entry(tables::blob_of_object(key.value())).or_insert((0, None));
        last.0 = end.max(last.0);
        if certified.is_some() {
            last.1 = last.1.max(Some(end));
        }
    }
    Ok(ends)
}

/// Nothing is forgotten when its time comes: every blob with objects is due soon enough.
fn due(view: &ReadTransaction, findings: &mut Findings) -> Result<(), StoreError> {
    let mut first = BTreeMap::new();
    for row in view.open_table(DUE)?.iter()? {
        let key: DueKey = *row?.0.value();
        first.entry(tables::blob_of_due(&key)).or_insert_with(|| tables::epoch_of_due(&key));
    }
    let (content, certificates) = (view.open_table(CONTENT)?, view.open_table(CERTIFICATES)?);
    for (blob, (end, _)) in objects(view)? {
        let has_content = content.get(&blob)?.is_some() || certificates.get(&blob)?.is_some();
        let latest = if has_content { end } else { end.saturating_add(KEPT_EPOCHS) };
        let due = first.get(&blob).copied();
        findings.expect(due.is_some_and(|due| due <= latest), || {
            format!("a blob is due in epoch {due:?}, and something of it has to go in {latest}")
        });
    }
    Ok(())
}

/// Places, ends and sums are of the same blobs; those are certified, and none is over.
fn order(view: &ReadTransaction, findings: &mut Findings) -> Result<(), StoreError> {
    let over = tables::number(view, meta::ORDER_EPOCH)?.unwrap_or(0);
    let last = tables::number(view, meta::ORDER_LAST)?.unwrap_or(0);
    let (placed, sums) = (view.open_table(PLACED)?, view.open_table(SUMS)?);
    let (objects, mut ends, mut stored) = (objects(view)?, BTreeSet::new(), BTreeMap::new());
    for row in view.open_table(PLACES)?.iter()? {
        let (blob, row) = row?;
        let ((place, end), blob) = (row.value(), *blob.value());
        let certified = objects.get(&blob).and_then(|(_, certified)| *certified);
        findings.equal("the end of what has a place", &Some(end), &certified);
        findings.expect(u64::from(end) > over, || format!("it ended in {end}, {over} is past"));
        ends.insert(tables::due_key(end, &blob));
        let row = placed.get(place)?;
        let is_its = row.as_ref().is_some_and(|row| *row.value().0 == blob);
        findings.expect(is_its, || format!("place {place} is another's"));
        stored.insert(place, row.map_or(0, |row| row.value().2));
    }
    findings.equal("places", &placed.len()?, &bytes_of(stored.len()));
    let rows = view.open_table(ENDS)?;
    let rows = rows.iter()?.map(|row| Ok::<_, StoreError>(*row?.0.value()));
    findings.equal("ends of what has a place", &rows.collect::<Result<_, _>>()?, &ends);
    let mut expected = BTreeMap::new();
    for (place, stored) in stored.into_iter().filter(|(_, stored)| *stored > 0) {
        let mut at: u64 = place;
        while at <= last {
            *expected.entry(at).or_default() += stored;
            at += at & at.wrapping_neg();
        }
    }
    let sums = sums.iter()?.map(|row| {
        let (place, sum) = row?;
        Ok::<_, StoreError>((place.value(), sum.value()))
    });
    findings.equal("sums", &sums.collect::<Result<BTreeMap<_, u64>, _>>()?, &expected);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::testing::{certified_until, registered_until, sample_blob, shards, write_segment};

    /// What is found after something was changed behind the back of the store's writer.
    fn found_after(store: &Store, change: impl FnOnce(&redb::WriteTransaction)) -> String {
        let transaction = store.database().begin_write().expect("begins");
        change(&transaction);
        transaction.commit().expect("committed");
        store.check().expect("read").join("; ")
    }

    #[tokio::test]
    async fn what_contradicts_itself_is_found() {
        let store = Store::in_memory().expect("opens");
        let effects = vec![registered_until(1, 1, 9), certified_until(1, 1, 2, 9)];
        store.apply(1, effects).await.expect("applied");
        write_segment(&store, 1, 0, &shards(0..2), 300, 5).await.expect("stored");
        assert_eq!(store.check().expect("read"), Vec::<String>::new());
        let blob = *sample_blob(1).as_bytes();
        let found = found_after(&store, |transaction| {
            let mut content = transaction.open_table(CONTENT).expect("opens");
            content.insert(&blob, (7, 5)).expect("written");
        });
        assert!(found.contains("bytes of blobs") && found.contains("bytes in all"), "{found}");
        let found = found_after(&store, |transaction| {
            transaction.open_table(DUE).expect("opens").retain(|_, ()| false).expect("emptied");
        });
        assert!(found.contains("due in epoch None"), "{found}");
        let found = found_after(&store, |transaction| {
            transaction.open_table(HOLES).expect("opens").insert(4, ()).expect("written");
            transaction.open_table(ENDS).expect("opens").retain(|_, ()| false).expect("emptied");
            transaction.open_table(SUMS).expect("opens").insert(1, 4).expect("written");
        });
        assert!(found.contains("bundle 4 has holes"), "{found}");
        assert!(found.contains("ends of what has a place") && found.contains("sums"), "{found}");
    }
}
