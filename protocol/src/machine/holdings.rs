//! What the slivers that members say they hold mean for a blob: how many shards' there are, and whether it can be read.
//!
//! Promises: a blob is called readable only if the members that answered hold enough slivers of *each* of its segments, by
//! what they say, or enough symbols of a short blob; it is called lost only if those that did not answer could not make up
//! for what is missing. Symbols of padding are known to everybody and never counted. A member counts for no more shards
//! than it has. Does not: ask, or prove what members say; a read does.

use crate::encoding::Parameters;
use crate::sliver::Axis;
use crate::wire::blob::Held;

/// What one member says of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many shards it has.
    pub shards: u16,
    /// Of a short blob, on how many of them there is only padding.
    pub padding: u16,
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
    /// Shards of which slivers are held, in the segment of which the fewest are; of a short blob, symbols.
    pub held: u16,
    /// How many there would be if nothing were missing.
    pub all: u16,
    /// Shards whose slivers a read needs; of a short blob, symbols.
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
    let all = parameters.shards();
    Stock { held: least.min(all), all, needed: needs_primary, outlook }
}

/// What the members hold together of a short blob of this length: as many symbols as hold its bytes are enough.
pub fn stock_of_short(parameters: &Parameters, length: u32, answers: &[&Answer]) -> Stock {
    let needed = parameters.short_data_symbols(length);
    let all = parameters.shards().saturating_sub(parameters.primary_source() - needed);
    let sum = |count: fn(&Answer) -> u16| {
        answers.iter().map(|answer| count(answer)).fold(0_u16, u16::saturating_add)
    };
    // A member that holds only a part does not say which: perhaps all of its padding, perhaps none.
    let surely = sum(|answer| held(answer, 0).primary.saturating_sub(answer.padding));
    let perhaps = sum(|answer| held(answer, 0).primary.min(answer.counted()));
    let silent = all.saturating_sub(sum(Answer::counted));
    let outlook = if surely >= needed {
        Outlook::Readable
    } else if perhaps.saturating_add(silent) >= needed {
        Outlook::Waiting
    } else {
        Outlook::Lost
    };
    Stock { held: surely.min(all), all, needed, outlook }
}

/// What the members hold together of a blob of which nobody gave a header: it may be one that needs the least.
pub fn stock_of_unknown(parameters: &Parameters, answers: &[&Answer], silent: u16) -> Stock {
    let found = stock(parameters, 1, answers, silent);
    let may_be_short = parameters.is_short(0) && found.held.saturating_add(silent) > 0;
    match found.outlook {
        Outlook::Lost if may_be_short => Stock { needed: 1, outlook: Outlook::Waiting, ..found },
        _ => found,
    }
}

impl Answer {
    /// Its shards of which something is counted.
    fn counted(&self) -> u16 {
        self.shards.saturating_sub(self.padding)
    }
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
        Answer { shards, padding: 0, segments: segments.iter().map(both).collect() }
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
        let only = |primary, secondary| Answer {
            shards: 20,
            padding: 0,
            segments: vec![Held { primary, secondary }],
        };
        assert_eq!(of(1, &[only(8, 0)], 0).1, Outlook::Readable);
        assert_eq!(of(1, &[only(7, 13)], 0).1, Outlook::Lost);
        assert_eq!(of(1, &[only(0, 14)], 0).1, Outlook::Readable);
        assert_eq!(whole_shards(&only(8, 0), 1), 0);
    }

    /// A member with ten of twenty shards, the first of which hold this much padding.
    fn of_short(held: u16, padding: u16) -> Answer {
        Answer { shards: 10, padding, segments: vec![Held { primary: held, secondary: held }] }
    }

    fn short(length: u32, answers: &[Answer]) -> (u16, u16, u16, Outlook) {
        let parameters = parameters().with_short_blobs(1024).expect("a segment has as many");
        let answers: Vec<_> = answers.iter().collect();
        let Stock { held, all, needed, outlook } = stock_of_short(&parameters, length, &answers);
        (held, all, needed, outlook)
    }

    #[test]
    fn a_short_blob_needs_no_more_symbols_than_hold_its_bytes() {
        // Three symbols hold it, the five behind them are padding.
        let (rich, poor) = (of_short(10, 5), of_short(0, 0));
        assert_eq!(short(300, &[rich.clone(), poor.clone()]), (5, 15, 3, Outlook::Readable));
        assert_eq!(short(300, &[of_short(8, 5), poor.clone()]).3, Outlook::Readable);
        assert_eq!(short(300, &[of_short(2, 0), of_short(1, 5)]).3, Outlook::Waiting);
        assert_eq!(short(300, &[of_short(2, 0), of_short(0, 5)]), (2, 15, 3, Outlook::Lost));
        assert_eq!(short(300, &[of_short(0, 5)]).3, Outlook::Waiting, "ten shards are silent");
        assert_eq!(short(300, &[]), (0, 15, 3, Outlook::Waiting));
        assert_eq!(short(1024, &[of_short(8, 0), poor]), (8, 20, 8, Outlook::Readable));
    }

    #[test]
    fn padding_alone_makes_no_short_blob_readable() {
        assert_eq!(short(300, &[of_short(5, 5), of_short(0, 0)]), (0, 15, 3, Outlook::Waiting));
        assert_eq!(short(300, &[of_short(7, 5), of_short(0, 0)]).3, Outlook::Waiting);
        assert_eq!(short(300, &[of_short(2, 5), of_short(0, 0)]).3, Outlook::Lost);
    }

    #[test]
    fn a_blob_without_a_header_is_not_called_lost_while_one_symbol_may_be_there() {
        let with_short = parameters().with_short_blobs(1024).expect("a segment has as many");
        let nothing = Answer { shards: 17, padding: 0, segments: Vec::new() };
        let of = |parameters: &Parameters, silent| {
            stock_of_unknown(parameters, &[&nothing], silent).outlook
        };
        assert_eq!(of(&with_short, 3), Outlook::Waiting);
        assert_eq!(of(&with_short, 0), Outlook::Lost);
        assert_eq!(of(&parameters(), 3), Outlook::Lost, "there are no short blobs there");
    }
}
