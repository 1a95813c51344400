//! Which columns of a list fit a terminal, and how wide they are.
//!
//! Promises: where no terminal says how wide it is, nothing is left out or shortened; on a terminal a line fits as
//! long as it has 71 columns. Does not: print.

use super::naming::NAME_WIDTH;
use crate::calendar::Calendar;

/// Columns that a name keeps on the narrowest terminal.
const NAME_WIDTH_MIN: usize = 8;
/// Columns of the end of an epoch with its date, and without.
const UNTIL_WIDTH: (usize, usize) = (38, 12);
/// Columns of a blob's id, whole and shortened.
const BLOB_WIDTH: (usize, usize) = (43, SHORT + 1);
/// Characters that stay of an id; one more says that there were others.
const SHORT: usize = 10;
/// What one line of blobs takes with everything in it, and the gap and the width of its object.
const BLOBS_WIDTH: usize = 213;
const OBJECT_WIDTH: usize = 2 + 66;
/// What one line of storage takes with everything in it.
const STORAGE_WIDTH: usize = 140;

/// How a list is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Columns of a name.
    pub(super) name: usize,
    /// Whether epochs have their dates.
    has_dates: bool,
    /// Whether the id that a line is about is whole.
    is_whole: bool,
    /// Whether blobs are followed by their objects.
    pub(super) has_objects: bool,
}

impl Layout {
    /// Everything.
    const ALL: Layout =
        Layout { name: NAME_WIDTH, has_dates: true, is_whole: true, has_objects: true };

    /// Blobs on a terminal of so many columns. Objects go first, then dates, then the ends of ids, then of names.
    pub(super) fn of_blobs(columns: Option<usize>) -> Layout {
        let without_objects = BLOBS_WIDTH - OBJECT_WIDTH;
        let without_dates = without_objects - (UNTIL_WIDTH.0 - UNTIL_WIDTH.1);
        let with_short_ids = without_dates - (BLOB_WIDTH.0 - BLOB_WIDTH.1);
        let narrow = Layout { has_objects: false, ..Layout::ALL };
        match columns {
            None => Layout::ALL,
            Some(columns) if columns >= BLOBS_WIDTH => Layout::ALL,
            Some(columns) if columns >= without_objects => narrow,
            Some(columns) if columns >= without_dates => Layout { has_dates: false, ..narrow },
            Some(columns) => {
                let name = NAME_WIDTH.saturating_sub(with_short_ids.saturating_sub(columns));
                let name = name.max(NAME_WIDTH_MIN);
                Layout { name, has_dates: false, is_whole: false, ..narrow }
            }
        }
    }

    /// Storage on a terminal of so many columns. Dates go first, then the ends of ids.
    pub(super) fn of_storage(columns: Option<usize>) -> Layout {
        let without_dates = STORAGE_WIDTH - (UNTIL_WIDTH.0 - UNTIL_WIDTH.1);
        let columns = columns.unwrap_or(STORAGE_WIDTH);
        let (has_dates, is_whole) = (columns >= STORAGE_WIDTH, columns >= without_dates);
        Layout { has_dates, is_whole, ..Layout::ALL }
    }

    /// Whether an id is shortened or left out.
    pub(super) fn hides_ids(&self) -> bool {
        !self.is_whole || !self.has_objects
    }

    /// The id that a line is about.
    pub(super) fn id(&self, id: &str) -> String {
        match self.is_whole {
            true => id.to_owned(),
            false => id.chars().take(SHORT).chain(['…']).collect(),
        }
    }

    /// Columns of a blob's id.
    pub(super) fn blob_width(&self) -> usize {
        if self.is_whole { BLOB_WIDTH.0 } else { BLOB_WIDTH.1 }
    }

    /// An exclusive end.
    pub(super) fn until(&self, calendar: &Calendar, end_epoch: u32) -> String {
        match self.has_dates {
            true => calendar.until(end_epoch),
            false => format!("epoch {end_epoch}"),
        }
    }

    /// Columns of an exclusive end.
    pub(super) fn until_width(&self) -> usize {
        if self.has_dates { UNTIL_WIDTH.0 } else { UNTIL_WIDTH.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_narrow_terminal_lacks_is_left_out_step_by_step_and_never_the_name() {
        assert_eq!(Layout::of_blobs(None), Layout::ALL);
        let of = |columns| Layout::of_blobs(Some(columns));
        assert_eq!(of(213), Layout::ALL);
        assert!(!of(212).has_objects && of(212).has_dates && of(145).has_dates);
        assert!(!of(144).has_dates && of(144).is_whole && of(119).is_whole);
        assert!(!of(118).is_whole && of(87).name == NAME_WIDTH);
        assert_eq!((of(80).name, of(71).name, of(10).name), (17, 8, 8));
        assert_eq!(of(80).id("ABCDEFGHIJKLM"), "ABCDEFGHIJ…");
    }

    #[test]
    fn storage_keeps_its_columns_and_loses_dates_and_ends_of_ids() {
        let of = |columns| Layout::of_storage(columns);
        assert_eq!((of(None), of(Some(140))), (Layout::ALL, Layout::ALL));
        assert!(!of(Some(139)).has_dates && !of(Some(139)).hides_ids());
        assert!(of(Some(113)).hides_ids());
    }
}
