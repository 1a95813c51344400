//! A store that is a row of equal values, read by the machine in a time of its own: what is read when, and how fast.

use proptest::prelude::*;

use super::*;

const DAY_MS: u64 = 24 * 60 * 60_000;
const TWO_WEEKS: Limits = Limits { every_ms: 14 * DAY_MS, bytes_per_second: 64 << 20 };

/// Values of equal length at the places from 1 on.
struct Row {
    values: u64,
    each: u64,
    /// How often each was read.
    reads: Vec<u64>,
    /// How long a slice takes.
    takes_ms: u64,
    now: Timestamp,
    /// Slices, each with its beginning and its bytes.
    slices: Vec<(u64, u64)>,
    tours: Vec<u64>,
}

impl Row {
    fn of(values: u64, each: u64) -> Row {
        let reads = vec![0; usize::try_from(values).expect("few") + 1];
        let (slices, tours) = (Vec::new(), Vec::new());
        Row { values, each, reads, takes_ms: 1, now: Timestamp(7), slices, tours }
    }

    fn stored(&self) -> u64 {
        self.values * self.each
    }

    fn read(&mut self, from: u64, bytes: u64) -> Input<u64> {
        let (mut at, mut read) = (from.max(1), 0);
        while at <= self.values && read < bytes {
            self.reads[usize::try_from(at).expect("few")] += 1;
            (at, read) = (at + 1, read + self.each);
        }
        self.slices.push((self.now.0, read));
        self.now = self.now.after(self.takes_ms);
        Input::Read { bytes: read, next: (at <= self.values).then_some(at), stored: self.stored() }
    }

    /// Lets the machine go on for so many slices.
    fn go_on(&mut self, scrub: &mut Scrub<u64>, slices: usize) {
        let until = self.slices.len() + slices;
        let mut input = Input::Started { stored: self.stored() };
        loop {
            let mut slice = None;
            for effect in scrub.handle(self.now, input) {
                match effect {
                    Effect::Read { from, bytes } => slice = Some((from, bytes)),
                    Effect::TourDone { took_ms } => self.tours.push(took_ms),
                }
            }
            if self.slices.len() == until {
                return assert_eq!(slice, None, "a rest follows each slice");
            }
            input = match slice {
                Some((from, bytes)) => self.read(from, bytes),
                None => {
                    self.now = scrub.deadline().expect("it rests").max(self.now);
                    Input::TimeReached
                }
            };
        }
    }
}

#[test]
fn a_terabyte_is_read_within_the_period_in_slices_of_a_second() {
    let mut row = Row::of(10_000, 100 << 20);
    let mut scrub = Scrub::new(TWO_WEEKS, 6_000);
    row.go_on(&mut scrub, 10_001);
    let [first] = row.tours[..] else { panic!("{:?}", row.tours) };
    let period = TWO_WEEKS.every_ms;
    assert!((period * 85 / 100..=period).contains(&first), "{first} ms of {period}");
    let once = |reads: &u64| (1..=2).contains(reads);
    assert!(row.reads[1..].iter().all(once), "each is read once, or is where the next begins");
}

#[test]
fn no_slice_comes_faster_than_the_rate_even_if_the_tour_takes_longer() {
    let limits = Limits { every_ms: 1_000, bytes_per_second: 1 << 20 };
    let mut row = Row::of(400, 64 << 10);
    row.go_on(&mut Scrub::new(limits, 1), 100);
    let (first, last) = (row.slices[0].0, row.slices[99].0);
    let bytes: u64 = row.slices[..99].iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes * 1000 <= (last - first) * limits.bytes_per_second, "{bytes} bytes");
    assert!(!row.tours.is_empty());
}

#[test]
fn a_disk_that_is_slow_is_left_alone_four_fifths_of_the_time() {
    let limits = Limits { every_ms: 1_000, ..TWO_WEEKS };
    let mut row = Row::of(400, 64 << 10);
    row.takes_ms = 300;
    row.go_on(&mut Scrub::new(limits, 1), 50);
    let gaps = row.slices.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert_eq!(gaps.min(), Some(300 * (1 + REST)));
}

#[test]
fn a_small_store_is_read_each_hour_at_most_and_an_empty_one_ends_its_tours_too() {
    for values in [0, 1] {
        let mut row = Row::of(values, 100);
        row.go_on(&mut Scrub::new(TWO_WEEKS, 0), 5);
        let gaps: Vec<_> = row.slices.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert_eq!(gaps, [PAUSE_MAX_MS; 4], "{values}");
        assert!(row.tours.len() >= 2, "{values}: {:?}", row.tours);
    }
}

#[test]
fn what_cannot_be_read_does_not_keep_the_rest_from_being_read() {
    let mut scrub = Scrub::new(TWO_WEEKS, 5_u64);
    let effects = scrub.handle(Timestamp(0), Input::Started { stored: 1 << 30 });
    assert!(matches!(effects[..], [Effect::Read { from: 5, .. }]), "{effects:?}");
    assert_eq!(scrub.handle(Timestamp(9), Input::Failed { elsewhere: 77 }), []);
    let rest = Timestamp(9 + FAILURE_REST_MS);
    assert_eq!(scrub.deadline(), Some(rest));
    let effects = scrub.handle(rest, Input::TimeReached);
    assert!(matches!(effects[..], [Effect::Read { from: 77, .. }]), "{effects:?}");
    assert_eq!(scrub.done_per_mille(), 0, "the tour begins anew");
}

#[test]
fn nothing_is_read_before_it_is_known_how_much_there_is_and_nothing_twice_at_once() {
    let mut scrub = Scrub::new(TWO_WEEKS, 5_u64);
    assert_eq!(scrub.handle(Timestamp(0), Input::TimeReached), []);
    assert_eq!(scrub.deadline(), None);
    assert_eq!(scrub.handle(Timestamp(1), Input::Started { stored: 1 << 30 }).len(), 1);
    assert_eq!(scrub.handle(Timestamp(2), Input::Started { stored: 1 << 30 }), []);
    assert_eq!(scrub.handle(Timestamp(DAY_MS), Input::TimeReached), []);
    assert_eq!(scrub.deadline(), None, "a slice is being read");
}

proptest! {
    #[test]
    fn wherever_a_tour_begins_it_reads_everything(
        values in 0_u64..60, start in 0_u64..80, each in 1_u64..200_000, every_ms in 1_u64..DAY_MS,
    ) {
        let mut row = Row::of(values, each);
        let mut scrub = Scrub::new(Limits { every_ms, ..TWO_WEEKS }, start);
        while row.tours.is_empty() {
            prop_assert!(row.slices.len() < 200, "no tour ends");
            row.go_on(&mut scrub, 1);
        }
        prop_assert!(row.reads[1..].iter().all(|reads| *reads > 0), "{:?}", row.reads);
        for _ in 0..3 {
            let before = row.tours.len();
            row.reads.fill(0);
            while row.tours.len() == before {
                row.go_on(&mut scrub, 1);
            }
            prop_assert!(row.reads[1..].iter().all(|reads| *reads > 0), "{:?}", row.reads);
        }
    }
}
