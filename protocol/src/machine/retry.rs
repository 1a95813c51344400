//! When a member that could not answer is asked again.
//!
//! Promises: pauses double up to a bound, an answer forgives them, and many clients refused at once do not come back at
//! once. Does not: draw random numbers; the noise that spreads the pauses is an argument.

use std::collections::BTreeMap;

use super::Timestamp;

/// The first pause before a member is asked again.
pub const PAUSE_MIN_MS: u64 = 100;
/// The longest pause that we choose: a node that is back is noticed this late at most.
pub const PAUSE_MAX_MS: u64 = 2_000;
/// The longest pause that we let a member ask for.
pub const PAUSE_ASKED_MAX_MS: u64 = 5_000;

/// Who was not there so many times in a row is not waited for, where the others do not suffice.
pub(super) const ABSENT_TIMES: u32 = 2;

/// How a request to a member ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The member answered all of it.
    Done,
    /// Not this time: it is busy, slow, or its connection broke. Asking again can help.
    Again {
        /// The pause the member asked for; zero if it did not.
        after_ms: u64,
    },
    /// It is not there: its machine refuses connections. It may come back, and is not slow meanwhile.
    Absent,
    /// It refused for good, or broke the protocol.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Timestamp,
    times: u32,
}

/// Members that are left alone for a while before they are asked again.
#[derive(Clone, Debug)]
pub(super) struct Rests {
    noise: u64,
    of: BTreeMap<usize, Rest>,
}

impl Rests {
    pub(super) fn new(noise: u64) -> Self {
        Rests { noise, of: BTreeMap::new() }
    }

    /// The member could not answer, and may have asked for a pause.
    pub(super) fn begin(&mut self, now: Timestamp, member: usize, asked_ms: u64) {
        let times = self.times(member);
        let pause = pause_ms(
            times,
            asked_ms,
            self.noise ^ spread(u64::try_from(member).unwrap_or(u64::MAX)),
        );
        self.of.insert(member, Rest { until: now.after(pause), times: times.saturating_add(1) });
    }

    /// The member answered.
    pub(super) fn forgive(&mut self, member: usize) {
        self.of.remove(&member);
    }

    pub(super) fn is_resting(&self, now: Timestamp, member: usize) -> bool {
        self.of.get(&member).is_some_and(|rest| rest.until > now)
    }

    /// How often in a row the member could not answer.
    pub(super) fn times(&self, member: usize) -> u32 {
        self.of.get(&member).map_or(0, |rest| rest.times)
    }

    /// Members that could not answer the last time they were asked.
    pub(super) fn members(&self) -> impl Iterator<Item = usize> {
        self.of.keys().copied()
    }

    /// When the next of them, if any rests now, may be asked again.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.of.values().map(|rest| rest.until).filter(|until| *until > now).min()
    }
}

/// The pause after `times` failures in a row, up to half as long again by noise.
fn pause_ms(times: u32, asked_ms: u64, noise: u64) -> u64 {
    let ours = PAUSE_MIN_MS.saturating_mul(1 << times.min(16)).min(PAUSE_MAX_MS);
    let pause = ours.max(asked_ms.min(PAUSE_ASKED_MAX_MS));
    pause + spread(noise ^ u64::from(times)) % (pause / 2)
}

/// Spreads the bits of a number over a whole word, as SplitMix64 does.
pub(super) fn spread(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound_and_an_answer_forgives_them() {
        let mut rests = Rests::new(7);
        let mut now = Timestamp(0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            rests.begin(now, 3, 0);
            assert!(rests.is_resting(now, 3));
            let until = rests.next(now).expect("it rests");
            assert!(!rests.is_resting(until, 3));
            pauses.push(until.0 - now.0);
            now = until;
        }
        assert!((PAUSE_MIN_MS..=PAUSE_MIN_MS * 3 / 2).contains(&pauses[0]), "{pauses:?}");
        assert!((2 * PAUSE_MIN_MS..=PAUSE_MIN_MS * 3).contains(&pauses[1]), "{pauses:?}");
        assert!((PAUSE_MAX_MS..=PAUSE_MAX_MS * 3 / 2).contains(&pauses[7]), "{pauses:?}");
        rests.forgive(3);
        assert_eq!((rests.times(3), rests.next(now)), (0, None));
    }

    #[test]
    fn a_member_chooses_a_longer_pause_but_not_an_endless_one() {
        assert!(pause_ms(0, 500, 1) >= 500);
        assert!(pause_ms(0, u64::MAX, 1) <= PAUSE_ASKED_MAX_MS * 3 / 2);
    }

    #[test]
    fn clients_refused_together_come_back_apart() {
        let pauses: BTreeSet<_> = (0..64).map(|noise| pause_ms(0, 500, noise)).collect();
        assert!(pauses.len() > 40, "{pauses:?}");
    }
}
