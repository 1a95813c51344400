//! Bytes of bundles that no row points to, while rows point to others of the same bundle.
//!
//! Promises: a bundle that loses a sliver and keeps another is noted in the same transaction, and stays so until the disk has
//! its bytes back; what is given back is nobody's, because rows never come to point to a bundle that is older than they are.
//! Does not: touch files, which is `bundles.rs`, or note a bundle that nothing points to, which goes as a whole.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::places::{Place, SliverRow};
use crate::tables::{self, BUNDLES, HOLES, SLIVERS, SegmentKey, SliverKey, Tables};

/// A bundle that is partly nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hollow {
    /// Its number.
    pub(crate) bundle: u64,
    /// How many slivers pointed to it when it was looked at.
    pub(crate) live: u32,
    /// Offset and length of what is nobody's, in order.
    pub(crate) ranges: Vec<(u64, u64)>,
}

/// One sliver less points to the bundle; if none does any more, the bundle is added to `unused`.
pub(crate) fn release(
    tables: &mut Tables<'_>,
    bundle: u64,
    unused: &mut BTreeSet<u64>,
) -> Result<(), StoreError> {
    let row = tables.bundles.get(bundle)?.map(|row| {
        let (segment, bytes, live) = row.value();
        (*segment, bytes, live)
    });
    match row {
        Some((segment, bytes, live)) if live > 1 => {
            tables.bundles.insert(bundle, (&segment, bytes, live - 1))?;
            tables.holes.insert(bundle, ())?;
        }
        Some(_) => {
            forget(tables, bundle)?;
            unused.insert(bundle);
        }
        None => debug_assert!(false, "a row pointed to bundle {bundle}, which was gone"),
    }
    Ok(())
}

/// The bundle goes as a whole; the segment it was of, if there was such a bundle.
pub(crate) fn forget(
    tables: &mut Tables<'_>,
    bundle: u64,
) -> Result<Option<SegmentKey>, StoreError> {
    tables.holes.remove(bundle)?;
    Ok(tables.bundles.remove(bundle)?.map(|row| *row.value().0))
}

/// The first bundles of those that are partly nobody's.
pub(crate) fn first(view: &ReadTransaction, most: usize) -> Result<Vec<Hollow>, StoreError> {
    let (holes, bundles) = (view.open_table(HOLES)?, view.open_table(BUNDLES)?);
    let mut found = Vec::new();
    for row in holes.iter()?.take(most) {
        let bundle = row?.0.value();
        let Some(row) = bundles.get(bundle)? else { continue };
        let (segment, bytes, live) = row.value();
        let ranges = between(&slivers_in(view, segment, bundle)?, bytes);
        found.push(Hollow { bundle, live, ranges });
    }
    Ok(found)
}

/// Offset and length of the slivers in a bundle, in order.
fn slivers_in(
    view: &ReadTransaction,
    segment: &SegmentKey,
    bundle: u64,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let mut places = Vec::new();
    let keys = tables::slivers_of(*segment..=*segment);
    for row in view.open_table(SLIVERS)?.range::<&SliverKey>(tables::keys(&keys))? {
        let row = SliverRow::from_tuple(row?.1.value());
        if let Place::Bundle { id, offset } = row.place
            && id == bundle
        {
            places.push((offset, u64::from(row.length)));
        }
    }
    places.sort_unstable();
    Ok(places)
}

/// What of so many bytes lies before, between and after these ranges, which are in order.
fn between(places: &[(u64, u64)], bytes: u64) -> Vec<(u64, u64)> {
    let (mut gaps, mut at) = (Vec::new(), 0_u64);
    for (offset, length) in places.iter().copied().chain([(bytes, 0)]) {
        debug_assert!(offset >= at, "slivers lie one after another, within their bundle");
        if offset > at {
            gaps.push((at, offset - at));
        }
        at = at.max(offset.saturating_add(length));
    }
    gaps
}

/// The disk has the bytes back, unless more became nobody's since.
pub(crate) fn settle(tables: &mut Tables<'_>, bundles: &[(u64, u32)]) -> Result<(), StoreError> {
    for (bundle, seen) in bundles {
        let live = tables.bundles.get(bundle)?.map(|row| row.value().2);
        if live == Some(*seen) {
            tables.holes.remove(bundle)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_slivers_is_nobodys() {
        assert_eq!(between(&[], 10), [(0, 10)]);
        assert_eq!(between(&[(0, 10)], 10), []);
        assert_eq!(between(&[(2, 3), (5, 1), (8, 1)], 10), [(0, 2), (6, 2), (9, 1)]);
        assert_eq!(between(&[(0, 0), (0, 4)], 4), [], "an empty sliver lies anywhere");
    }
}
