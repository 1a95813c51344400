//! How fast a peer answers and whether it answers at all, so that those who do are asked first.
//!
//! Promises: what comes after a peer fell silent, however late, ends the suspicion, and nothing that came before does; a
//! request that was not served is no proof of speed; a measurement is believed for a while only, so whoever
//! was slow once is tried again; the same facts give the same order. Does not: measure; times are arguments.

use super::Timestamp;
use super::retry::spread;

/// How long a measurement is believed: load comes and goes in about a minute.
pub const BELIEVED_MS: u64 = 60_000;
/// How long a peer that was silent is asked last. Afterwards it is asked on trial, which costs no time.
pub const REST_MS: u64 = 10_000;
/// Times that differ by less are equal: less than a person notices, more than a busy machine's noise.
pub const SLACK_MS: u64 = 50;
/// Below twice the time of others, no decoding is the better bargain.
const LAG_FACTOR: u64 = 2;
/// A new measurement weighs a quarter: one slow disk read is no slow peer.
const OLD_WEIGHT: u64 = 3;
/// Transfers shorter than this say nothing about a peer's rate.
const RATE_BYTES_MIN: u64 = 64 * 1024;

/// What one peer did when it was asked; whoever asks keeps one for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Responsiveness {
    measured: Option<Measured>,
    silence: Option<Silence>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    at: Timestamp,
    wait_ms: u64,
    bytes_per_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    since: Timestamp,
    times: u32,
}

/// An answer, as the one who asked saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// From the question to the first byte of the answer, in milliseconds.
    pub wait_ms: u64,
    /// Bytes that came after it.
    pub bytes: u64,
    /// How long those took, in milliseconds; if not all came, how long we waited for them.
    pub transfer_ms: u64,
    /// Whether everything asked for came.
    pub is_whole: bool,
}

/// What to expect of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not asked lately: believed to be like the others.
    Untried,
    /// It will probably take so long.
    Expected {
        /// Until everything asked for is here, in milliseconds.
        milliseconds: u64,
    },
    /// It was silent a while ago: ask it, but do not count on it.
    OnTrial,
    /// It owes an answer since a moment ago.
    Silent {
        /// How often in a row.
        times: u32,
    },
    /// It is banned: only if nothing else is left.
    Banned,
}

/// How gladly a peer is asked; the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// About as fast as the fast ones.
    KeepsPace,
    /// Slower than they, by its time.
    Lags {
        /// What it will probably take.
        milliseconds: u64,
    },
    /// It owes an answer.
    Silent {
        /// How often in a row.
        times: u32,
    },
    /// Only if nothing else is left.
    Banned,
}

impl Responsiveness {
    /// The peer answered, and was heard last at this moment: silence from before it is forgiven. An answer that is not
    /// whole measures a rate or nothing: its first byte may have been all there was to get.
    pub fn answered(&mut self, heard_at: Timestamp, sample: Sample) {
        self.silence = self.silence.filter(|silence| silence.since > heard_at);
        let blend = |old: u64, new: u64| (OLD_WEIGHT * old + new) / (OLD_WEIGHT + 1);
        let old = self.measured.filter(|old| heard_at < old.at.after(BELIEVED_MS));
        let rate = (sample.bytes >= RATE_BYTES_MIN)
            .then(|| (sample.bytes / sample.transfer_ms.max(1)).max(1));
        if !sample.is_whole && rate.is_none() {
            return;
        }
        let old_rate = old.and_then(|old| old.bytes_per_ms);
        self.measured = Some(Measured {
            at: heard_at,
            wait_ms: old.map_or(sample.wait_ms, |old| blend(old.wait_ms, sample.wait_ms)),
            bytes_per_ms: match (old_rate, rate) {
                (Some(old), Some(new)) => Some(blend(old, new)),
                (old, new) => new.or(old),
            },
        });
    }

    /// The peer owes an answer for too long. Several questions open at the same time are one silence.
    pub fn fell_silent(&mut self, now: Timestamp) {
        let times = match self.silence {
            Some(silence) if now < silence.since.after(REST_MS) => return,
            Some(silence) => silence.times.saturating_add(1),
            None => 1,
        };
        self.silence = Some(Silence { since: now, times });
    }

    /// What to expect if it is asked for so many bytes now.
    pub fn pace(&self, now: Timestamp, bytes: u64) -> Pace {
        match (self.silence, self.measured) {
            (Some(Silence { since, times }), _) if now < since.after(REST_MS) => {
                Pace::Silent { times }
            }
            (Some(_), _) => Pace::OnTrial,
            (None, Some(measured)) if now < measured.at.after(BELIEVED_MS) => {
                let transfer_ms = measured.bytes_per_ms.map_or(0, |rate| bytes / rate);
                Pace::Expected { milliseconds: measured.wait_ms.saturating_add(transfer_ms) }
            }
            (None, _) => Pace::Untried,
        }
    }
}

/// How gladly each member is asked when members with `needed` shares together are enough; `shares[member]` says how many
/// it has. Whoever needs no more than twice the time of the fastest that suffice, and a little, keeps pace.
pub fn preferences(paces: &[Pace], shares: &[usize], needed: usize) -> Vec<Preference> {
    let mut times: Vec<_> = paces
        .iter()
        .zip(shares)
        .filter_map(|(pace, share)| match pace {
            Pace::Expected { milliseconds } => Some((*milliseconds, *share)),
            Pace::Untried | Pace::OnTrial | Pace::Silent { .. } | Pace::Banned => None,
        })
        .collect();
    times.sort_unstable();
    let mut sum = 0;
    let suffices = |(_, share): &&(u64, usize)| {
        sum += share;
        sum >= needed
    };
    let typical = times.iter().find(suffices).or(times.last()).map_or(0, |(time, _)| *time);
    let limit = typical.saturating_mul(LAG_FACTOR).saturating_add(SLACK_MS);
    let prefer = |pace: &Pace| match *pace {
        Pace::Untried | Pace::OnTrial => Preference::KeepsPace,
        Pace::Expected { milliseconds } if milliseconds <= limit => Preference::KeepsPace,
        Pace::Expected { milliseconds } => Preference::Lags { milliseconds },
        Pace::Silent { times } => Preference::Silent { times },
        Pace::Banned => Preference::Banned,
    };
    paces.iter().map(prefer).collect()
}

/// The order in which to ask members, when those with `needed` shares together are enough: whoever answers fast comes first,
/// and whoever has no share does not come at all. Equals come in an order that `noise` shuffles, so that many who ask do not
/// all ask the same, and each is tried by some of them.
pub fn order(paces: &[Pace], shares: &[usize], needed: usize, noise: u64) -> Vec<usize> {
    let preferences = preferences(paces, shares, needed);
    let members = preferences.iter().zip(shares).enumerate();
    let mut members: Vec<_> = members
        .filter(|(_, (_, share))| **share > 0)
        .map(|(member, (preference, _))| {
            let lot = spread(noise ^ spread(u64::try_from(member).unwrap_or(u64::MAX)));
            (*preference, lot, member)
        })
        .collect();
    members.sort_unstable();
    members.into_iter().map(|(_, _, member)| member).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn waited(wait_ms: u64) -> Sample {
        Sample { wait_ms, bytes: 0, transfer_ms: 0, is_whole: true }
    }

    fn expected(milliseconds: u64) -> Pace {
        Pace::Expected { milliseconds }
    }

    #[test]
    fn a_silent_peer_is_asked_last_then_on_trial_and_an_answer_forgives_it() {
        let mut peer = Responsiveness::default();
        assert_eq!(peer.pace(Timestamp(0), 1), Pace::Untried);
        peer.fell_silent(Timestamp(1_000));
        peer.fell_silent(Timestamp(1_010));
        assert_eq!(peer.pace(Timestamp(999 + REST_MS), 1), Pace::Silent { times: 1 });
        assert_eq!(peer.pace(Timestamp(1_000 + REST_MS), 1), Pace::OnTrial);
        peer.fell_silent(Timestamp(1_000 + REST_MS));
        assert_eq!(peer.pace(Timestamp(1_000 + REST_MS), 1), Pace::Silent { times: 2 });
        peer.answered(Timestamp(1_500 + REST_MS), waited(7));
        assert_eq!(peer.pace(Timestamp(1_500 + REST_MS), 1), expected(7));
    }

    #[test]
    fn a_peer_that_stalls_after_its_first_frame_is_neither_forgiven_nor_measured() {
        let mut peer = Responsiveness::default();
        let stalled = Sample { is_whole: false, ..waited(1) };
        peer.fell_silent(Timestamp(400));
        peer.answered(Timestamp(1), stalled);
        assert_eq!(peer.pace(Timestamp(500), 1), Pace::Silent { times: 1 });
        peer.answered(Timestamp(401), stalled);
        assert_eq!(peer.pace(Timestamp(500), 1), Pace::Untried, "it said something since");
        let slow = Sample { bytes: 1 << 20, transfer_ms: 1 << 10, ..stalled };
        peer.answered(Timestamp(402), slow);
        assert_eq!(
            peer.pace(Timestamp(500), 1 << 20),
            expected(1 + (1 << 10)),
            "slow, but at work"
        );
    }

    #[test]
    fn times_are_averaged_and_forgotten() {
        let mut peer = Responsiveness::default();
        peer.answered(Timestamp(0), waited(100));
        peer.answered(Timestamp(1), waited(20));
        assert_eq!(peer.pace(Timestamp(2), 1 << 20), expected(80));
        let fast = Sample { wait_ms: 80, bytes: 1 << 20, transfer_ms: 10, is_whole: true };
        peer.answered(Timestamp(2), fast);
        assert_eq!(peer.pace(Timestamp(2), 1 << 20), expected(90), "waiting and transfer add up");
        assert_eq!(peer.pace(Timestamp(2 + BELIEVED_MS), 1), Pace::Untried);
        peer.answered(Timestamp(2 + BELIEVED_MS), waited(4));
        assert_eq!(peer.pace(Timestamp(2 + BELIEVED_MS), 1 << 20), expected(4), "afresh");
    }

    #[test]
    fn peers_about_as_fast_as_the_fast_ones_keep_pace() {
        let paces = [expected(100), expected(120), expected(250), expected(251), Pace::Untried];
        let preferences = preferences(&paces, &[2; 5], 2);
        assert_eq!(
            preferences,
            [
                Preference::KeepsPace,
                Preference::KeepsPace,
                Preference::KeepsPace,
                Preference::Lags { milliseconds: 251 },
                Preference::KeepsPace,
            ]
        );
    }

    #[test]
    fn the_slowest_that_is_needed_sets_the_pace() {
        let paces = [expected(1), expected(500), Pace::Silent { times: 1 }, Pace::Banned];
        assert_eq!(preferences(&paces, &[3; 4], 6)[1], Preference::KeepsPace);
        assert_eq!(preferences(&paces, &[3; 4], 3)[1], Preference::Lags { milliseconds: 500 });
        assert_eq!(preferences(&paces, &[3; 4], 12)[1], Preference::KeepsPace);
        let order = preferences(&paces, &[3; 4], 3);
        assert!(order.is_sorted() && order[1] < order[2] && order[2] < order[3], "{order:?}");
    }

    #[test]
    fn the_order_leaves_out_who_has_nothing_and_shuffles_only_equals() {
        let silent = Pace::Silent { times: 1 };
        let paces =
            [expected(10), silent, expected(900), expected(20), Pace::Untried, Pace::Banned];
        let shares = [1, 1, 1, 1, 0, 1];
        let orders: Vec<_> = (0..64).map(|noise| order(&paces, &shares, 2, noise)).collect();
        for order in &orders {
            assert_eq!(order[2..], [2, 1, 5], "slow, then silent, then banned");
        }
        let first = |member| orders.iter().filter(|order| order[0] == member).count();
        assert!(first(0) > 16 && first(3) > 16, "equals share what is asked: {}", first(0));
    }

    proptest! {
        #[test]
        fn whatever_peers_did_each_of_them_is_tried_again_in_bounded_time(
            slow in prop::collection::vec(0_u64..2_000, 6), silent in 0_usize..6,
        ) {
            // One reader asks the two that come first and whoever is on trial, every second; the silent one never answers.
            let mut peers = [Responsiveness::default(); 6];
            let mut asked_at = [0_u64; 6];
            for second in 0..400_u64 {
                let now = Timestamp(second * 1_000);
                let paces = peers.map(|peer| peer.pace(now, 0));
                let order = order(&paces, &[1; 6], 2, second);
                let on_trial = (0..6).filter(|peer| paces[*peer] == Pace::OnTrial);
                let asked: Vec<_> = order.into_iter().take(2).chain(on_trial).collect();
                for peer in asked {
                    asked_at[peer] = second;
                    match peer == silent {
                        true => peers[peer].fell_silent(now),
                        false => peers[peer].answered(now, waited(slow[peer])),
                    }
                }
            }
            for (peer, at) in asked_at.into_iter().enumerate() {
                prop_assert!(400 - at <= 2 * BELIEVED_MS / 1_000, "{} was asked at {} last", peer, at);
            }
        }
    }
}
