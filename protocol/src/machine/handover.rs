//! What of the missing is asked of its former owners, in pages, and what is left to be rebuilt from what all others hold.
//!
//! ```text
//! seen -> nobody had the shard before, or its former owner is gone -> left
//!      -> in the queue of its former owner -> in a page -> kept
//!                                                       -> missing there -> left
//!                                                       -> the page broke off -> in the queue again
//!      the owner ends no page for a while    -> its queue is left, its pages go on: both ways at once
//!      the owner lies, refuses, says nothing -> all that it owes is left
//! ```
//!
//! Promises: each pair that was seen is kept or left, once, and its blob is settled as soon as all of its pairs are; pages in
//! flight are bounded, all together and of each owner, and several owners have some; after its first lie, after a refusal for
//! good and after its silence an owner is asked nothing more by this machine; one that names a time is asked again then. No
//! place is remembered: whoever starts again sees what is still missing. Does not: verify, keep, or rebuild.
//! Source: `protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::attendance::Attendance;
use super::retry::{ABSENT_TIMES, End};
use super::roster::Roster;
use super::{Blame, Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::encoding::Parameters;
use crate::sliver::ShardIndex;
use crate::wire::shard::Entry;

mod checking;
mod paging;

pub use checking::{Checked, Sound, check};

use paging::Piece;

/// Pages that one owner is asked for at once: while one is on its way, the other is being read.
pub const PAGES_OF_OWNER: usize = 2;
/// Whoever sends a page more slowly than this is not waited for, however regularly a little of it comes.
const PAGE_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;
/// Beside that a page may take so many times the patience: its owner reads, and we check and write what came.
const PAGE_PATIENCES: u64 = 3;

/// A pair, or a symbol of a short blob: of which blob and segment, on which shard.
pub type Pair = (BlobId, u32, ShardIndex);

/// What is missing of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Which blob.
    pub blob: BlobId,
    /// How long it is.
    pub bytes: u64,
    /// Whether its header is here.
    pub has_header: bool,
    /// The pairs that are not whole here, by segment and shard, each once.
    pub pairs: Vec<(u32, ShardIndex)>,
}

/// What came of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// Blobs whose headers are here now.
    pub headers: Vec<BlobId>,
    /// What was verified and is durable.
    pub kept: Vec<Pair>,
    /// What the owner says it lacks, or is of no use here.
    pub missing: Vec<Pair>,
}

/// How a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Well or not; what it still owes will not come by it.
    Over(End),
    /// With something that is not what was committed to.
    Lied(Blame),
}

/// What can happen to a handover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This is missing, and nobody asks for it yet.
    Seen(Vec<Lost>),
    /// The request has left; until then its owner owes nothing.
    Asked {
        /// Which.
        request: RequestId,
    },
    /// Something came of a page.
    Heard {
        /// Of which request.
        request: RequestId,
    },
    /// A page is over.
    Ended {
        /// Which request.
        request: RequestId,
        /// What came of it.
        came: Came,
        /// How it ended.
        how: How,
    },
    /// The deadline passed.
    TimeReached,
}

/// What a handover can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask a former owner for a page.
    Ask {
        /// Names the request in later inputs.
        request: RequestId,
        /// Index of the owner on the roster.
        owner: usize,
        /// The page.
        entries: Vec<Entry>,
    },
    /// Nobody waits for this request any more.
    Cancel {
        /// Which.
        request: RequestId,
    },
    /// Former owners have nothing more to give of this blob.
    Settled {
        /// Which blob.
        blob: BlobId,
        /// Whether its header is here.
        has_header: bool,
        /// What is still missing of it, in order: to be rebuilt.
        left: Vec<(u32, ShardIndex)>,
    },
    /// An owner owes an answer and says nothing.
    Silent {
        /// Which.
        owner: usize,
    },
    /// An owner lied.
    Blame {
        /// Which.
        owner: usize,
        /// How.
        reason: Blame,
    },
}

/// How a handover asks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// An owner from which nothing came for so long is not waited for, in milliseconds.
    pub patience_ms: u64,
    /// An owner that ended no page for so long is asked for no more while it works at those it has, in milliseconds.
    pub late_ms: u64,
    /// Pages in flight, of all owners together.
    pub pages_max: usize,
    /// Spreads the pauses of many nodes; any number.
    pub noise: u64,
}

/// An owner that has something to give.
#[derive(Debug, Default)]
struct Owner {
    queue: VecDeque<Piece>,
    /// Since when it owes something and nothing came.
    silent_since: Option<Timestamp>,
    /// Since when it owes pages and ended none.
    behind_since: Option<Timestamp>,
}

/// A page in flight.
#[derive(Debug)]
struct Page {
    owner: usize,
    asked_at: Option<Timestamp>,
    /// What it holds, at most.
    bytes: u64,
    owed: BTreeSet<Pair>,
}

/// A blob that is not settled.
#[derive(Debug)]
struct Blob {
    bytes: u64,
    has_header: bool,
    /// Pairs in queues and pages.
    open: usize,
    left: Vec<(u32, ShardIndex)>,
}

/// The handover of what one look through the store finds missing.
#[derive(Debug)]
pub struct Handover {
    parameters: Parameters,
    terms: Terms,
    /// Who had which of our shards before.
    former: BTreeMap<ShardIndex, usize>,
    owners: BTreeMap<usize, Owner>,
    members: Attendance,
    /// Who said nothing for too long.
    silent: BTreeSet<usize>,
    pages: BTreeMap<RequestId, Page>,
    blobs: BTreeMap<BlobId, Blob>,
    asked: u64,
    seen: Timestamp,
}

impl Handover {
    /// A handover to whoever has this place on the roster, from those who had its shards before.
    pub fn new(
        parameters: Parameters,
        roster: &Roster,
        ourselves: Option<usize>,
        terms: Terms,
    ) -> Self {
        let former = |shard: ShardIndex| {
            let now = roster.committee().member_of_shard(shard)?;
            let mut owners = roster.owners(shard, None)?.iter().filter(|_| Some(now) == ourselves);
            Some((shard, owners.find(|owner| *owner != now)?))
        };
        Handover {
            former: (0..parameters.shards())
                .filter_map(|shard| former(ShardIndex(shard)))
                .collect(),
            parameters,
            members: Attendance::new(terms.noise),
            terms,
            owners: BTreeMap::new(),
            silent: BTreeSet::new(),
            pages: BTreeMap::new(),
            blobs: BTreeMap::new(),
            asked: 0,
            seen: Timestamp(0),
        }
    }

    /// Pages in flight.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Whether nothing more is expected of an owner.
    fn is_gone(&self, owner: usize) -> bool {
        self.members.is_gone(owner)
            || self.members.is_absent(owner, ABSENT_TIMES)
            || self.silent.contains(&owner)
    }

    /// The pages that an owner has been asked for.
    fn owes(&self, owner: usize) -> bool {
        self.pages.values().any(|page| page.owner == owner && page.asked_at.is_some())
    }

    /// When a page has taken so long that its owner is not waited for.
    fn page_ends(&self, page: &Page) -> Option<Timestamp> {
        let sent_ms = page.bytes.saturating_mul(1000) / PAGE_BYTES_PER_SECOND_MIN;
        let begun_ms = self.terms.patience_ms.saturating_mul(PAGE_PATIENCES);
        page.asked_at.map(|asked| asked.after(begun_ms.saturating_add(sent_ms)))
    }

    /// Something is missing: its former owners come first, where there are any.
    fn saw(&mut self, lost: Vec<Lost>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for Lost { blob, bytes, has_header, pairs } in lost {
            if self.blobs.contains_key(&blob) {
                continue; // it is being asked for
            }
            let mut entry = Blob { bytes, has_header, open: 0, left: Vec::new() };
            let mut pieces: BTreeMap<(usize, u32), Vec<ShardIndex>> = BTreeMap::new();
            for (segment, shard) in pairs {
                match self.former.get(&shard).filter(|owner| !self.is_gone(**owner)) {
                    Some(owner) => {
                        entry.open += 1;
                        pieces.entry((*owner, segment)).or_default().push(shard);
                    }
                    None => entry.left.push((segment, shard)),
                }
            }
            for ((owner, segment), mut shards) in pieces {
                shards.sort_unstable();
                let queue = &mut self.owners.entry(owner).or_default().queue;
                queue.push_back(Piece { blob, segment, shards });
            }
            self.blobs.insert(blob, entry);
            effects.extend(self.settle(&blob));
        }
        effects
    }

    /// Says that a blob is settled if nothing of it is expected any more.
    fn settle(&mut self, blob: &BlobId) -> Option<Effect> {
        self.blobs.get(blob).filter(|entry| entry.open == 0)?;
        let Blob { has_header, mut left, .. } = self.blobs.remove(blob)?;
        left.sort_unstable();
        Some(Effect::Settled { blob: *blob, has_header, left })
    }

    /// These pairs do not come from a former owner.
    fn leave(&mut self, pairs: impl IntoIterator<Item = Pair>) -> Vec<Effect> {
        let mut touched = BTreeSet::new();
        for (blob, segment, shard) in pairs {
            let Some(entry) = self.blobs.get_mut(&blob) else { continue };
            entry.open = entry.open.saturating_sub(1);
            entry.left.push((segment, shard));
            touched.insert(blob);
        }
        touched.iter().filter_map(|blob| self.settle(blob)).collect()
    }

    /// What an owner was not asked for yet is left.
    fn leave_queue(&mut self, owner: usize) -> Vec<Effect> {
        let queue = self.owners.get_mut(&owner).map(|owner| std::mem::take(&mut owner.queue));
        let pairs = queue.into_iter().flatten().flat_map(Piece::into_pairs);
        self.leave(pairs.collect::<Vec<_>>())
    }

    /// All that an owner owes is left.
    fn part(&mut self, owner: usize) -> Vec<Effect> {
        let requests = self.pages.iter().filter(|(_, page)| page.owner == owner);
        let requests: Vec<_> = requests.map(|(request, _)| *request).collect();
        let mut effects = Vec::new();
        for request in requests {
            let Some(page) = self.pages.remove(&request) else { continue };
            effects.push(Effect::Cancel { request });
            effects.extend(self.leave(page.owed));
        }
        effects.extend(self.leave_queue(owner));
        self.owners.remove(&owner);
        effects
    }

    /// A page is over.
    fn ended(&mut self, now: Timestamp, request: RequestId, came: Came, how: How) -> Vec<Effect> {
        let Some(mut page) = self.pages.remove(&request) else { return Vec::new() };
        for blob in came.headers {
            self.blobs.entry(blob).and_modify(|entry| entry.has_header = true);
        }
        let (mut effects, mut kept) = (Vec::new(), BTreeSet::new());
        let mut has_come = false;
        for pair in came.kept.iter().filter(|pair| page.owed.remove(*pair)) {
            has_come = true;
            self.blobs.entry(pair.0).and_modify(|entry| entry.open = entry.open.saturating_sub(1));
            kept.insert(pair.0);
        }
        let missing: Vec<_> =
            came.missing.into_iter().filter(|pair| page.owed.remove(pair)).collect();
        has_come |= !missing.is_empty();
        effects.extend(self.leave(missing));
        effects.extend(kept.iter().filter_map(|blob| self.settle(blob)));
        if has_come {
            self.heard(now, page.owner);
        }
        effects.extend(self.close(now, page, how));
        effects
    }

    /// What follows from the way in which a page ended.
    fn close(&mut self, now: Timestamp, page: Page, how: How) -> Vec<Effect> {
        let Page { owner, asked_at, owed, .. } = page;
        let others = self.owes(owner);
        match how {
            How::Over(End::Done) => {
                if let Some(owner) = self.owners.get_mut(&owner) {
                    owner.behind_since = others.then_some(now);
                }
                self.leave(owed)
            }
            How::Over(end @ (End::Again { .. } | End::Absent)) => {
                self.members.ended(now, owner, asked_at.unwrap_or(now), end);
                let queue = &mut self.owners.entry(owner).or_default().queue;
                Piece::of(owed).into_iter().rev().for_each(|piece| queue.push_front(piece));
                Vec::new()
            }
            How::Over(End::Never) => {
                self.members.ended(now, owner, asked_at.unwrap_or(now), End::Never);
                self.leave(owed)
            }
            How::Lied(reason) => {
                self.members.lied(owner);
                let mut effects = vec![Effect::Blame { owner, reason }];
                effects.extend(self.leave(owed));
                effects
            }
        }
    }

    /// Something came of an owner.
    fn heard(&mut self, now: Timestamp, owner: usize) {
        self.members.answered(owner);
        let owes = self.owes(owner);
        if let Some(owner) = self.owners.get_mut(&owner) {
            owner.silent_since = owes.then_some(now);
        }
    }

    /// Gives up whom it is in vain to wait for, leaves what is faster another way, and asks for what may be asked for.
    fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_over =
            |since: Option<Timestamp>, wait| since.is_some_and(|it| it.after(wait) <= now);
        for owner in self.owners.keys().copied().collect::<Vec<_>>() {
            let Owner { silent_since, behind_since, .. } = self.owners[&owner];
            let mut pages = self.pages.values().filter(|page| page.owner == owner);
            let is_dripping = pages.any(|page| self.page_ends(page).is_some_and(|end| end <= now));
            if is_over(silent_since, self.terms.patience_ms) || is_dripping {
                if self.owes(owner) {
                    effects.push(Effect::Silent { owner });
                }
                self.silent.insert(owner);
            }
            if self.is_gone(owner) {
                effects.extend(self.part(owner));
            } else if is_over(behind_since, self.terms.late_ms) {
                effects.extend(self.leave_queue(owner));
            }
        }
        while let Some(owner) = self.next_owner(now) {
            let (entries, owed, bytes) = self.page(owner);
            let request = RequestId(self.asked);
            self.asked += 1;
            self.pages.insert(request, Page { owner, asked_at: None, bytes, owed });
            effects.push(Effect::Ask { request, owner, entries });
        }
        let pages = &self.pages;
        self.owners.retain(|owner, it| {
            !it.queue.is_empty() || pages.values().any(|page| page.owner == *owner)
        });
        effects
    }

    /// The owner with the fewest pages in flight that may be asked for one more.
    fn next_owner(&self, now: Timestamp) -> Option<usize> {
        if self.pages.len() >= self.terms.pages_max {
            return None;
        }
        let pages = |owner: &usize| self.pages.values().filter(|page| page.owner == *owner).count();
        let waiting = self.owners.iter().filter(|(_, owner)| !owner.queue.is_empty());
        let waiting = waiting.map(|(owner, _)| *owner);
        let may =
            |owner: &usize| !self.members.is_resting(now, *owner) && pages(owner) < PAGES_OF_OWNER;
        waiting.filter(may).min_by_key(pages)
    }
}

impl Machine for Handover {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.seen = now;
        let mut effects = match input {
            Input::Seen(lost) => self.saw(lost),
            Input::Asked { request } => {
                let owner = self.pages.get_mut(&request).map(|page| {
                    page.asked_at.get_or_insert(now);
                    page.owner
                });
                if let Some(owner) = owner.and_then(|owner| self.owners.get_mut(&owner)) {
                    owner.silent_since.get_or_insert(now);
                    owner.behind_since.get_or_insert(now);
                }
                Vec::new()
            }
            Input::Heard { request } => {
                if let Some(owner) = self.pages.get(&request).map(|page| page.owner) {
                    self.heard(now, owner);
                }
                Vec::new()
            }
            Input::Ended { request, came, how } => self.ended(now, request, came, how),
            Input::TimeReached => Vec::new(),
        };
        effects.extend(self.advance(now));
        self.check();
        effects
    }

    fn deadline(&self) -> Option<Timestamp> {
        let of = |owner: &Owner| {
            let silent = owner.silent_since.map(|since| since.after(self.terms.patience_ms));
            let late = owner.behind_since.map(|since| since.after(self.terms.late_ms));
            [silent, late.filter(|_| !owner.queue.is_empty())].into_iter().flatten().min()
        };
        let rested = self.members.next(self.seen).filter(|_| !self.owners.is_empty());
        let pages = self.pages.values().filter_map(|page| self.page_ends(page));
        self.owners.values().filter_map(of).chain(rested).chain(pages).min()
    }
}

impl Handover {
    /// What is always so.
    fn check(&self) {
        debug_assert!(self.pages.len() <= self.terms.pages_max, "pages in flight are bounded");
        debug_assert!(
            self.owners.keys().all(|owner| !self.is_gone(*owner)),
            "who is gone owes nothing"
        );
        if cfg!(debug_assertions) {
            let queued = self.owners.values().flat_map(|owner| &owner.queue);
            let queued: usize = queued.map(|piece| piece.shards.len()).sum();
            let owed: usize = self.pages.values().map(|page| page.owed.len()).sum();
            let open: usize = self.blobs.values().map(|blob| blob.open).sum();
            assert_eq!(queued + owed, open, "a blob waits for what is queued or owed");
        }
    }
}

#[cfg(test)]
mod tests;
