//! What the slivers that members say they hold mean for a blob: how many shards' there are, and whether it can be read.
//!
//! Promises: a blob is called readable only if the members that answered hold enough slivers of *each* of its segments, by
//! what they say; it is called lost only if those that did not answer could not make up for what is missing. A member
//! counts for no more shards than it has. Does not: ask, or prove what members say; a read does.

use crate::encoding::Parameters;
use crate::sliver::Axis;
use crate::wire::blob::Held;

/// What one member says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many shards it has.
    pub shards: u16,
    /// What it holds of each segment, in order; what it did not say of, it does not hold.
    pub segments: Vec<Held>,
}

/// Whether a blob can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// By those that answered.
    Readable,
    /// Not by those that answered alone, but those that did not may hold what is missing.
    Waiting,
    /// Not even if all that did not answer were back with everything.
    Lost,
}

/// What there is of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Shards of which slivers are held, in the segment of which the fewest are.
    pub held: u16,
    /// Shards whose slivers a read needs.
    pub needed: u16,
    /// Whether that is enough.
    pub outlook: Outlook,
}

/// Shards of which a member holds both slivers of every segment.
pub fn whole_shards(answer: &Answer, segments: u32) -> u16 {
    let at = |segment| held(answer, segment);
    let least = (0..index(segments)).map(|segment| {
        let Held { primary, secondary } = at(segment);
        primary.min(secondary)
    });
    least.min().unwrap_or(answer.shards)
}

/// What the members hold together of a blob of so many segments; members with `silent` shards in all did not answer.
pub fn stock(parameters: &Parameters, segments: u32, answers: &[&Answer], silent: u16) -> Stock {
    let (mut least, mut outlook) = (u16::MAX, Outlook::Readable);
    let [needs_primary, needs_secondary] = Axis::BOTH.map(|axis| parameters.source(axis));
    for segment in 0..index(segments) {
        let of = |read: fn(Held) -> u16| {
            let said = answers.iter().map(|answer| read(held(answer, segment)));
            said.fold(0_u16, u16::saturating_add)
        };
        let (primary, secondary) = (of(|held| held.primary), of(|held| held.secondary));
        let suffices = |more: u16| {
            primary.saturating_add(more) >= needs_primary
                || secondary.saturating_add(more) >= needs_secondary
        };
        least = least.min(primary.max(secondary));
        let here = match (suffices(0), suffices(silent)) {
            (true, _) => Outlook::Readable,
            (false, true) => Outlook::Waiting,
            (false, false) => Outlook::Lost,
        };
        outlook = worse(outlook, here);
    }
    Stock { held: least.min(parameters.shards()), needed: needs_primary, outlook }
}

/// What a member holds of a segment, no more than it has shards.
fn held(answer: &Answer, segment: usize) -> Held {
    let said = answer.segments.get(segment).copied().unwrap_or_default();
    Held { primary: said.primary.min(answer.shards), secondary: said.secondary.min(answer.shards) }
}

fn worse(one: Outlook, other: Outlook) -> Outlook {
    match (one, other) {
        (Outlook::Lost, _) | (_, Outlook::Lost) => Outlook::Lost,
        (Outlook::Waiting, _) | (_, Outlook::Waiting) => Outlook::Waiting,
        (Outlook::Readable, Outlook::Readable) => Outlook::Readable,
    }
}

fn index(segment: u32) -> usize {
    usize::try_from(segment).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty shards: a read needs eight of them.
    fn parameters() -> Parameters {
        Parameters::new(20, 1024).expect("valid parameters")
    }

    fn holds(shards: u16, segments: &[u16]) -> Answer {
        let both = |count: &u16| Held { primary: *count, secondary: *count };
        Answer { shards, segments: segments.iter().map(both).collect() }
    }

    fn of(segments: u32, answers: &[Answer], silent: u16) -> (u16, Outlook) {
        let answers: Vec<_> = answers.iter().collect();
        let stock = stock(&parameters(), segments, &answers, silent);
        assert_eq!(stock.needed, 8);
        (stock.held, stock.outlook)
    }

    #[test]
    fn a_blob_is_as_readable_as_its_poorest_segment() {
        let rich = holds(10, &[10, 10]);
        assert_eq!(of(2, &[rich.clone(), holds(10, &[10, 10])], 0), (20, Outlook::Readable));
        assert_eq!(of(2, &[holds(10, &[10, 4]), holds(10, &[0, 4])], 0), (8, Outlook::Readable));
        assert_eq!(of(2, &[holds(10, &[10, 4]), holds(10, &[10, 3])], 0), (7, Outlook::Lost));
        assert_eq!(
            of(2, &[holds(10, &[10])], 0),
            (0, Outlook::Lost),
            "nothing is said of segment 1"
        );
        assert_eq!(whole_shards(&rich, 2), 10);
        assert_eq!(whole_shards(&holds(10, &[10, 4]), 2), 4);
        assert_eq!(whole_shards(&holds(10, &[10]), 2), 0);
    }

    #[test]
    fn who_is_silent_may_hold_what_is_missing_and_no_more_than_its_shards() {
        assert_eq!(of(1, &[holds(4, &[4])], 4), (4, Outlook::Waiting));
        assert_eq!(of(1, &[holds(4, &[4])], 3), (4, Outlook::Lost));
        assert_eq!(of(1, &[], 20), (0, Outlook::Waiting));
        assert_eq!(of(1, &[holds(8, &[8])], 12), (8, Outlook::Readable));
    }

    #[test]
    fn a_member_that_boasts_counts_for_no_more_shards_than_it_has() {
        let boast = holds(4, &[u16::MAX]);
        assert_eq!(whole_shards(&boast, 1), 4);
        assert_eq!(of(1, &[boast.clone(), boast], 0), (8, Outlook::Readable));
        assert_eq!(of(1, &[holds(4, &[u16::MAX]), holds(4, &[3])], 0), (7, Outlook::Lost));
    }

    #[test]
    fn enough_slivers_of_the_other_axis_make_a_blob_readable_too() {
        let only =
            |primary, secondary| Answer { shards: 20, segments: vec![Held { primary, secondary }] };
        assert_eq!(of(1, &[only(8, 0)], 0).1, Outlook::Readable);
        assert_eq!(of(1, &[only(7, 13)], 0).1, Outlook::Lost);
        assert_eq!(of(1, &[only(0, 14)], 0).1, Outlook::Readable);
        assert_eq!(whole_shards(&only(8, 0), 1), 0);
    }
}
