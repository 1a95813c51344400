//! Whether what a ledger shows belongs to the history we verified so far.
//!
//! Promises: a checkpoint is the next one only if it is proven, has the next number, names the one before by digest and
//! does not turn time back; everything else is told apart by what it says of the ledger: that it forks, skips, was rolled
//! back, forges, is contradicted by its own servers, or merely lags. The same facts give the same verdict, and no verdict moves the history but "next".
//! Does not: check signatures, fetch, or remember more than [`REMEMBERED`] checkpoints.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use crate::text;

/// How many verified checkpoints are remembered, to tell a ledger that lags from one that was rolled back.
pub const REMEMBERED: usize = 64;

/// What names a checkpoint and all before it: the digest of its summary.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CheckpointDigest(pub [u8; 32]);

impl fmt::Display for CheckpointDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&text::to_base58(&self.0))
    }
}

impl fmt::Debug for CheckpointDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A checkpoint that a person vouches for, and where its successors' validators are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedCheckpoint {
    /// Its number.
    pub sequence: u64,
    /// Its digest.
    pub digest: CheckpointDigest,
    /// The digest of the validators of its Sui epoch. Not needed for the last checkpoint of a Sui epoch, which names the
    /// validators of the next.
    pub validators: Option<[u8; 32]>,
}

impl fmt::Display for TrustedCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, self.digest)?;
        match &self.validators {
            Some(validators) => write!(formatter, ":{}", text::to_base58(validators)),
            None => Ok(()),
        }
    }
}

/// The text names no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write NUMBER:DIGEST for the last checkpoint of a Sui epoch, else NUMBER:DIGEST:VALIDATORS, digests in base58"
)]
pub struct ParseTrustedError;

impl FromStr for TrustedCheckpoint {
    type Err = ParseTrustedError;

    fn from_str(text: &str) -> Result<Self, ParseTrustedError> {
        let digest = |text: &str| -> Result<[u8; 32], ParseTrustedError> {
            let bytes = text::from_base58(text).ok_or(ParseTrustedError)?;
            bytes.try_into().map_err(|_| ParseTrustedError)
        };
        let mut parts = text.split(':');
        let sequence = parts.next().and_then(|part| part.parse().ok()).ok_or(ParseTrustedError)?;
        let named = CheckpointDigest(digest(parts.next().ok_or(ParseTrustedError)?)?);
        let validators = parts.next().map(digest).transpose()?;
        match parts.next() {
            None => Ok(TrustedCheckpoint { sequence, digest: named, validators }),
            Some(_) => Err(ParseTrustedError),
        }
    }
}

/// A checkpoint that was proven and follows all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its number.
    pub sequence: u64,
    /// Its digest; nothing if it was read by a version that did not look.
    pub digest: Option<CheckpointDigest>,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A checkpoint as a ledger shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its number.
    pub sequence: u64,
    /// Its digest.
    pub digest: CheckpointDigest,
    /// The digest of the one before, as it says.
    pub previous: Option<CheckpointDigest>,
    /// Its time, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whether a quorum of its validators stands behind it, and its transactions are those that it names.
    pub is_proven: bool,
}

/// What a shown checkpoint says of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It continues our history.
    Next,
    /// It is one that we verified, or is too old to tell: nothing new.
    Behind,
    /// Others are missing before it.
    Gap,
    /// It has the next number, but belongs to another history.
    Fork,
    /// It has the number of one that we verified, and is another one.
    Rollback,
    /// Nobody who may stands behind it, or its transactions are others than it names.
    Forged,
    /// It is shown without signatures, and too few of the configured servers show the same.
    Disputed,
}

impl Verdict {
    /// One word for logs, metrics and health.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Next => "next",
            Verdict::Behind => "behind",
            Verdict::Gap => "gap",
            Verdict::Fork => "fork",
            Verdict::Rollback => "rollback",
            Verdict::Forged => "forged",
            Verdict::Disputed => "disputed",
        }
    }

    /// Whether a ledger of which this is true must not move us to sign or to delete.
    pub fn stops_us(&self) -> bool {
        !matches!(self, Verdict::Next | Verdict::Behind)
    }
}

/// Why a ledger is not believed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint {checkpoint} of the ledger {}", says(*.verdict))]
pub struct Doubt {
    /// What is wrong.
    pub verdict: Verdict,
    /// The checkpoint that was shown.
    pub checkpoint: u64,
}

fn says(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Next => "continues the history that was verified",
        Verdict::Behind => "is older than what was verified: the ledger lags",
        Verdict::Gap => "is not there though later ones are: the ledger has a gap",
        Verdict::Fork => "does not follow the history that was verified: the ledger forked",
        Verdict::Rollback => {
            "is not the one that was verified under this number: the ledger was rolled back"
        }
        Verdict::Forged => "is not proven by the validators' signatures: it is forged",
        Verdict::Disputed => {
            "is shown without the validators' signatures, and a majority of the servers does not show the same"
        }
    }
}

impl Doubt {
    /// What the operator can do about it.
    pub fn next_step(&self) -> &'static str {
        match self.verdict {
            Verdict::Next | Verdict::Behind => {
                "nothing, if it catches up; else set chain.rpc to a server that is up to date"
            }
            Verdict::Gap => "set chain.rpc to a server that still has the checkpoint",
            Verdict::Disputed => {
                "set chain.rpc to servers that show signatures, or to three or more of which most agree"
            }
            Verdict::Fork | Verdict::Rollback | Verdict::Forged => {
                "set chain.rpc to a server you trust; the node goes on as soon as the history that it verified continues. \
                 If the ledger was started over on purpose, the node needs a new node.data_dir and chain.trusted"
            }
        }
    }
}

/// The history verified so far: where it ends, or where it must begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last ones, oldest first.
    verified: VecDeque<Verified>,
    /// The first one to come, and its digest if it is known.
    begin: (u64, Option<CheckpointDigest>),
}

impl History {
    /// Nothing is verified yet; the first checkpoint is the trusted one, or the first there is.
    pub fn from_trusted(trusted: Option<&TrustedCheckpoint>) -> Self {
        let begin = trusted.map_or((0, None), |it| (it.sequence, Some(it.digest)));
        History { verified: VecDeque::new(), begin }
    }

    /// Everything up to this checkpoint is verified.
    pub fn after(last: Verified) -> Self {
        History { verified: VecDeque::from([last]), begin: (0, None) }
    }

    /// Where it ends.
    pub fn last(&self) -> Option<&Verified> {
        self.verified.back()
    }

    /// The number to come.
    pub fn next(&self) -> u64 {
        self.last().map_or(self.begin.0, |last| last.sequence.saturating_add(1))
    }

    /// Whether this very checkpoint is vouched for already: it was verified, or a person named it as where to begin.
    pub fn vouches_for(&self, sequence: u64, digest: &CheckpointDigest) -> bool {
        let named = self.verified.is_empty() && self.begin == (sequence, Some(*digest));
        let remembered = self.verified.iter().find(|ours| ours.sequence == sequence);
        named || remembered.is_some_and(|ours| ours.digest.as_ref() == Some(digest))
    }

    /// What a shown checkpoint says of the ledger.
    pub fn judge(&self, shown: &Shown) -> Verdict {
        if !shown.is_proven {
            return Verdict::Forged;
        }
        match shown.sequence.cmp(&self.next()) {
            std::cmp::Ordering::Greater => Verdict::Gap,
            std::cmp::Ordering::Equal if self.continues(shown) => Verdict::Next,
            std::cmp::Ordering::Equal => Verdict::Fork,
            std::cmp::Ordering::Less => self.judge_past(shown),
        }
    }

    /// Takes over a checkpoint that was judged to be the next.
    pub fn push(&mut self, shown: &Shown) {
        let Shown { sequence, digest, time_ms, .. } = *shown;
        self.verified.push_back(Verified { sequence, digest: Some(digest), time_ms });
        while self.verified.len() > REMEMBERED {
            self.verified.pop_front();
        }
    }

    /// Whether a checkpoint with the next number follows ours.
    fn continues(&self, shown: &Shown) -> bool {
        let Some(last) = self.last() else {
            return self.begin.1.is_none_or(|digest| digest == shown.digest);
        };
        let follows = last.digest.is_none_or(|digest| shown.previous == Some(digest));
        follows && shown.time_ms >= last.time_ms
    }

    /// What one says whose number we had already.
    fn judge_past(&self, shown: &Shown) -> Verdict {
        let ours = self.verified.iter().find(|ours| ours.sequence == shown.sequence);
        match ours.and_then(|ours| ours.digest) {
            Some(digest) if digest != shown.digest => Verdict::Rollback,
            _ => Verdict::Behind,
        }
    }
}

#[cfg(test)]
mod tests;
