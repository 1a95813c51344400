//! When a node looks for certified blobs of which it has no certificate, to ask others for these.
//!
//! Promises: a tour begins at once in a new epoch and after a start, and others after pauses that double up to an hour, so that
//! what nobody can give is asked for seldom, and what was missed or rotted is there within about an hour. Does not: look, ask, or
//! remember which blobs they were: the next tour finds them again.

use super::{Machine, Timestamp};

/// The pause after the first tour: whoever just started reads more of the ledger, and others are just starting, too.
pub const PAUSE_MIN_MS: u64 = 10_000;
/// The longest pause between two tours.
pub const PAUSE_MAX_MS: u64 = 60 * 60_000;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// An epoch began, or the node did: others have other shards, and what is certified may be new to us.
    Renewed,
    /// Others were asked for what a page lists.
    PageDone {
        /// Whether there is no page after it.
        is_last: bool,
    },
    /// The store could not be read, or did not take what came.
    Failed,
    /// The deadline passed.
    TimeReached,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read a page, and ask others for what it lists.
    Look {
        /// Whether it is the first; else the one after the last.
        is_first: bool,
    },
}

/// What it does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Resting {
        until: Timestamp,
    },
    Looking {
        /// Whether another epoch began since.
        is_renewed: bool,
    },
}

/// The tours of one node.
#[derive(Clone, Debug)]
pub struct CertificateTours {
    doing: Doing,
    /// The pause after the tour that is under way, or comes next.
    pause_ms: u64,
}

impl CertificateTours {
    /// The first tour begins as soon as there is an epoch.
    pub fn new() -> Self {
        let until = Timestamp(u64::MAX);
        CertificateTours { doing: Doing::Resting { until }, pause_ms: PAUSE_MIN_MS }
    }

    fn rest(&mut self, now: Timestamp) {
        self.doing = Doing::Resting { until: now.after(self.pause_ms) };
        self.pause_ms = self.pause_ms.saturating_mul(2).min(PAUSE_MAX_MS);
    }

    /// The tour that was under way is over.
    fn ended(&mut self, now: Timestamp) {
        match self.doing {
            // What the next tour asks for may be had since a moment ago.
            Doing::Looking { is_renewed: true } => self.doing = Doing::Resting { until: now },
            Doing::Looking { is_renewed: false } => self.rest(now),
            Doing::Resting { .. } => {}
        }
    }
}

impl Default for CertificateTours {
    fn default() -> Self {
        CertificateTours::new()
    }
}

impl Machine for CertificateTours {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let is_looking = matches!(self.doing, Doing::Looking { .. });
        match input {
            Input::Renewed => {
                self.pause_ms = PAUSE_MIN_MS;
                self.doing = match self.doing {
                    Doing::Resting { .. } => Doing::Resting { until: now },
                    Doing::Looking { .. } => Doing::Looking { is_renewed: true },
                };
            }
            Input::PageDone { is_last: false } if is_looking => {
                return vec![Effect::Look { is_first: false }];
            }
            Input::PageDone { .. } | Input::Failed => self.ended(now),
            Input::TimeReached => {}
        }
        match self.doing {
            Doing::Resting { until } if until <= now => {
                self.doing = Doing::Looking { is_renewed: false };
                vec![Effect::Look { is_first: true }]
            }
            Doing::Resting { .. } | Doing::Looking { .. } => Vec::new(),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        match self.doing {
            Doing::Resting { until } => Some(until).filter(|until| *until != Timestamp(u64::MAX)),
            Doing::Looking { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [Effect; 1] = [Effect::Look { is_first: true }];
    const LAST: Input = Input::PageDone { is_last: true };

    /// Ends the tour that is under way; how long it rests then, until it begins again.
    fn rests(machine: &mut CertificateTours, now: &mut Timestamp, end: Input) -> u64 {
        assert_eq!(machine.handle(*now, end), []);
        let deadline = machine.deadline().expect("there is another tour");
        let rest = deadline.0 - now.0;
        assert_eq!(machine.handle(Timestamp(deadline.0 - 1), Input::TimeReached), []);
        assert_eq!(machine.handle(deadline, Input::TimeReached), FIRST);
        *now = deadline;
        rest
    }

    #[test]
    fn a_tour_reads_page_after_page_and_those_that_follow_are_rarer_up_to_one_an_hour() {
        let (mut machine, mut now) = (CertificateTours::new(), Timestamp(7));
        assert_eq!((machine.handle(now, Input::TimeReached), machine.deadline()), (vec![], None));
        assert_eq!(machine.handle(now, Input::Renewed), FIRST);
        for _ in 0..3 {
            let page = machine.handle(now, Input::PageDone { is_last: false });
            assert_eq!(page, [Effect::Look { is_first: false }]);
            assert_eq!(machine.handle(now, Input::TimeReached), [], "one page at a time");
        }
        let mut expected = PAUSE_MIN_MS;
        for tour in 0..20 {
            let end = if tour % 2 == 0 { LAST } else { Input::Failed };
            assert_eq!(rests(&mut machine, &mut now, end), expected, "tour {tour}");
            expected = (2 * expected).min(PAUSE_MAX_MS);
        }
        assert_eq!(expected, PAUSE_MAX_MS);
    }

    #[test]
    fn a_new_epoch_is_looked_at_at_once_or_as_soon_as_the_tour_under_way_is_over() {
        let (mut machine, mut now) = (CertificateTours::new(), Timestamp(0));
        assert_eq!(machine.handle(now, Input::Renewed), FIRST);
        assert_eq!(rests(&mut machine, &mut now, LAST), PAUSE_MIN_MS);
        assert_eq!(rests(&mut machine, &mut now, LAST), 2 * PAUSE_MIN_MS);
        assert_eq!(machine.handle(now, LAST), []);
        assert_eq!(machine.handle(now, Input::Renewed), FIRST, "it did not wait for its time");
        assert_eq!(machine.handle(now, Input::Renewed), [], "one tour at a time");
        assert_eq!(machine.handle(now, LAST), FIRST);
        assert_eq!(rests(&mut machine, &mut now, LAST), PAUSE_MIN_MS, "and pauses are short again");
        // Nothing that comes late begins a page.
        assert_eq!(machine.handle(now, LAST), []);
        assert_eq!(machine.handle(now, Input::PageDone { is_last: false }), []);
        assert_eq!(machine.handle(now, Input::Failed), []);
    }
}
