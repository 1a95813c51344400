//! A Move `Table` with its entries.
//!
//! Promises: in BCS it is what its owner holds of it, [`Table`], and no entry; a copy costs nothing
//! until one of the two changes; what two states differ in is found without looking at what they
//! share.
//! Does not: fetch entries; whoever decodes the owner lists the table's dynamic fields and calls
//! [`Rows::fill`].

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::chain::ObjectId;
use crate::chain::object::Table;

/// The entries of a table, which otherwise behave as the map they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<Key, Row> {
    id: ObjectId,
    rows: Arc<BTreeMap<Key, Row>>,
    /// Entries that were not fetched.
    unread: u64,
}

impl<Key: Ord, Row> Rows<Key, Row> {
    /// A new table.
    pub fn new(id: ObjectId) -> Self {
        Rows { id, rows: Arc::default(), unread: 0 }
    }

    /// The table as its owner holds it.
    pub fn table(&self) -> Table {
        let count = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        Table { id: self.id, size: self.unread.saturating_add(count) }
    }

    /// How many entries were not fetched; lookups see only the others.
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Puts entries that were fetched in the place of as many that were not.
    pub fn fill(&mut self, rows: BTreeMap<Key, Row>) {
        let size = self.table().size;
        self.rows = Arc::new(rows);
        self.unread = 0;
        self.unread = size.saturating_sub(self.table().size);
    }
}

impl<Key: Ord, Row: PartialEq> Rows<Key, Row> {
    /// Entries that are new, or not what they were before; without a row if they are gone.
    pub fn changes<'a>(&'a self, before: Option<&'a Self>) -> Vec<(&'a Key, Option<&'a Row>)> {
        let mut found = Vec::new();
        let before = before.filter(|before| before.id == self.id).map(|before| &before.rows);
        if before.is_some_and(|before| Arc::ptr_eq(before, &self.rows)) {
            return found;
        }
        let mut old = before.into_iter().flat_map(|before| before.iter()).peekable();
        for (key, row) in self.rows.iter() {
            while let Some((gone, _)) = old.next_if(|(old, _)| *old < key) {
                found.push((gone, None));
            }
            let same = old.next_if(|(old, _)| *old == key);
            if same.is_none_or(|(_, old)| old != row) {
                found.push((key, Some(row)));
            }
        }
        found.extend(old.map(|(gone, _)| (gone, None)));
        found
    }
}

impl<Key, Row> Deref for Rows<Key, Row> {
    type Target = BTreeMap<Key, Row>;

    fn deref(&self) -> &BTreeMap<Key, Row> {
        &self.rows
    }
}

impl<Key: Clone + Ord, Row: Clone> DerefMut for Rows<Key, Row> {
    fn deref_mut(&mut self) -> &mut BTreeMap<Key, Row> {
        Arc::make_mut(&mut self.rows)
    }
}

impl<'a, Key, Row> IntoIterator for &'a Rows<Key, Row> {
    type Item = (&'a Key, &'a Row);
    type IntoIter = std::collections::btree_map::Iter<'a, Key, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// Entries of a table whose id does not matter, because nobody stores it.
impl<Key: Ord, Row> FromIterator<(Key, Row)> for Rows<Key, Row> {
    fn from_iter<T: IntoIterator<Item = (Key, Row)>>(rows: T) -> Self {
        Rows { id: ObjectId::default(), rows: Arc::new(rows.into_iter().collect()), unread: 0 }
    }
}

impl<Key: Ord, Row> Serialize for Rows<Key, Row> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table().serialize(serializer)
    }
}

impl<'de, Key: Ord, Row> Deserialize<'de> for Rows<Key, Row> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Table { id, size } = Table::deserialize(deserializer)?;
        Ok(Rows { unread: size, ..Rows::new(id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(list: &[(u32, u64)]) -> Rows<u32, u64> {
        list.iter().copied().collect()
    }

    #[test]
    fn a_table_is_its_id_and_size_until_its_entries_are_filled_in() {
        let bytes = bcs::to_bytes(&rows(&[(1, 2), (3, 4)])).unwrap();
        assert_eq!(
            bytes,
            bcs::to_bytes(&Table { id: ObjectId::from_bytes([0; 32]), size: 2 }).unwrap()
        );
        let mut read: Rows<u32, u64> = bcs::from_bytes(&bytes).unwrap();
        assert_eq!((read.len(), read.unread()), (0, 2));
        assert_eq!(bcs::to_bytes(&read).unwrap(), bytes);
        read.fill(BTreeMap::from([(3, 4)]));
        assert_eq!((read.len(), read.unread(), read.table().size), (1, 1, 2));
        read.fill(BTreeMap::from([(1, 2), (3, 4)]));
        assert_eq!(read, rows(&[(1, 2), (3, 4)]));
    }

    #[test]
    fn what_two_states_of_a_table_differ_in_is_what_was_written_or_removed() {
        let before = rows(&[(1, 1), (2, 2), (4, 4), (5, 5)]);
        assert_eq!(before.changes(Some(&before.clone())), vec![]);
        let mut after = before.clone();
        after.insert(2, 20);
        after.insert(3, 3);
        after.remove(&1);
        after.remove(&5);
        assert_eq!(before.len(), 4, "a copy is a copy");
        let changes = after.changes(Some(&before));
        assert_eq!(changes, [(&1, None), (&2, Some(&20)), (&3, Some(&3)), (&5, None)]);
        assert_eq!(before.changes(None).len(), 4);
        after.insert(2, 2);
        assert_eq!(after.changes(Some(&before)), [(&1, None), (&3, Some(&3)), (&5, None)]);
    }
}
