//! Which of several servers of one ledger is asked, and what is wrong with the others.
//!
//! Promises: whoever is asked and fails is left for one of whom better is known; each server is judged by what it showed
//! last, so that one which tells the truth again is well again; where no signatures are shown, a majority of the servers
//! that a person configured, and never fewer than two, decides what counts as shown by the ledger. The same findings in
//! the same order give the same choice.
//! Does not: ask, wait, or know any address.

use super::ledger_history::{CheckpointDigest, Doubt};

/// How far a server may be behind the others by the ledger's own time, in milliseconds: more than full nodes of Sui
/// are apart, and little enough to be named within ten seconds.
pub const LAG_MS_MAX: u64 = 3_000;

/// What was found of a server when it was asked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finding {
    /// It was not asked, or said nothing that could be judged.
    #[default]
    Unknown,
    /// It shows the history that was verified.
    Sound {
        /// The time of its last checkpoint, in milliseconds since 1970.
        time_ms: u64,
        /// Whether that checkpoint is proven to be of the ledger.
        is_proven: bool,
    },
    /// It does not answer, or not so that it can be understood.
    Silent,
    /// What it shows contradicts what was verified, or is not proven.
    Doubted(Doubt),
}

/// What a server is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It shows the history that was verified, and is up to date.
    Sound,
    /// Nothing is known of it.
    Unknown,
    /// It shows the history, and is late.
    Behind {
        /// By so many milliseconds of the ledger's time.
        by_ms: u64,
    },
    /// It does not answer.
    Silent,
    /// It is not believed.
    Doubted(Doubt),
}

impl Standing {
    /// The less, the better.
    fn rank(&self) -> u8 {
        match self {
            Standing::Sound => 0,
            Standing::Unknown => 1,
            Standing::Behind { .. } => 2,
            Standing::Silent => 3,
            Standing::Doubted(_) => 4,
        }
    }

    /// Whether a person should hear of it.
    pub fn is_well(&self) -> bool {
        matches!(self, Standing::Sound | Standing::Unknown)
    }
}

/// The servers of one ledger, by their place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    findings: Vec<Finding>,
    current: usize,
    /// The time of the last checkpoint that was verified.
    verified_ms: u64,
}

impl Servers {
    /// So many servers, at least one, of which nothing is known; the first is asked first.
    pub fn new(count: usize) -> Self {
        Servers { findings: vec![Finding::Unknown; count.max(1)], current: 0, verified_ms: 0 }
    }

    /// The one to ask.
    pub fn current(&self) -> usize {
        self.current
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.findings.len()
    }

    /// What was found of a server last.
    pub fn finding(&self, server: usize) -> Finding {
        self.findings.get(server).copied().unwrap_or_default()
    }

    /// What a server is worth now.
    pub fn standing(&self, server: usize) -> Standing {
        match self.finding(server) {
            Finding::Unknown => Standing::Unknown,
            Finding::Silent => Standing::Silent,
            Finding::Doubted(doubt) => Standing::Doubted(doubt),
            Finding::Sound { time_ms, .. } => match self.newest_ms().saturating_sub(time_ms) {
                ..=LAG_MS_MAX => Standing::Sound,
                by_ms => Standing::Behind { by_ms },
            },
        }
    }

    /// Everything up to this time of the ledger was verified.
    pub fn verified(&mut self, time_ms: u64) {
        self.verified_ms = self.verified_ms.max(time_ms);
        self.choose(false);
    }

    /// Notes what was found of a server; who is asked next may change.
    pub fn found(&mut self, server: usize, finding: Finding) {
        let Some(known) = self.findings.get_mut(server) else { return };
        *known = finding;
        let failed = matches!(finding, Finding::Silent | Finding::Doubted(_));
        self.choose(failed && server == self.current);
    }

    /// Why none of them is believed: nobody shows the history that was verified, and somebody another one.
    pub fn doubt(&self) -> Option<Doubt> {
        let standings: Vec<Standing> = (0..self.count()).map(|it| self.standing(it)).collect();
        let doubts = standings.iter().find_map(|standing| match standing {
            Standing::Doubted(doubt) => Some(*doubt),
            _ => None,
        });
        doubts.filter(|_| !standings.iter().any(Standing::is_well))
    }

    /// The latest time of the ledger that is certain: proven, or shown by as many as may decide.
    fn newest_ms(&self) -> u64 {
        let times = |only_proven: bool| {
            self.findings.iter().filter_map(move |finding| match finding {
                Finding::Sound { time_ms, is_proven } if *is_proven || !only_proven => {
                    Some(*time_ms)
                }
                _ => None,
            })
        };
        let mut shown: Vec<u64> = times(false).collect();
        shown.sort_unstable_by(|one, other| other.cmp(one));
        let agreed = shown.get(quorum(self.count()) - 1).copied().unwrap_or(0);
        times(true).fold(self.verified_ms.max(agreed), u64::max)
    }

    /// Stays with the current server while nobody is better, or goes on in turn.
    fn choose(&mut self, current_failed: bool) {
        let count = self.count();
        let rank = |server: usize| self.standing(server).rank();
        let best = (0..count).map(rank).min().unwrap_or_default();
        if rank(self.current) == best && !current_failed {
            return;
        }
        let in_turn = (1..=count).map(|step| (self.current + step) % count);
        let next = in_turn.into_iter().find(|server| rank(*server) == best);
        self.current = next.unwrap_or(self.current);
    }
}

/// How many of so many configured servers must show the same where no signature proves it.
pub fn quorum(configured: usize) -> usize {
    (configured / 2 + 1).max(2)
}

/// What servers say together of one checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Enough of them show this one.
    Agreed(CheckpointDigest),
    /// Those that did not say yet can still decide it.
    Open,
    /// They contradict each other, or there are too few of them.
    Disputed,
}

/// Counts what each configured server shows under one number; nothing for one that did not say.
pub fn agree(shown: &[Option<CheckpointDigest>]) -> Agreement {
    let votes = |digest: &CheckpointDigest| {
        shown.iter().filter(|other| other.as_ref() == Some(digest)).count()
    };
    let first = shown.iter().flatten().max_by_key(|digest| (votes(digest), digest.0));
    let (most, missing) =
        (first.map_or(0, &votes), shown.iter().filter(|one| one.is_none()).count());
    let needed = quorum(shown.len());
    match first {
        Some(digest) if most >= needed => Agreement::Agreed(*digest),
        _ if most + missing >= needed => Agreement::Open,
        _ => Agreement::Disputed,
    }
}

#[cfg(test)]
mod tests;
