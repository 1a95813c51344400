//! What of the missing is asked of its former owners, in pages, and what is left to be rebuilt from what all others hold.
//!
//! ```text
//! seen -> nobody had the shard before, or its former owner is gone -> left
//!      -> in the queue of its former owner -> in a page -> kept
//!                                                       -> missing there -> left
//!                                                       -> the page broke off -> in the queue again
//!      the owner ends no page for a while    -> its queue is left, its pages go on: both ways at once
//!      the owner lies, refuses, says nothing -> all that it owes is left
//!      all that it sends of a page has come  -> it owes nothing of that: we check and keep it, whatever becomes of the owner
//! ```
//!
//! Promises: each pair that was seen is kept or left, once, and its blob is settled as soon as all of its pairs are; pages in
//! flight are bounded, all together and of each owner, and several owners have some; after its first lie, after a refusal for
//! good and after its silence an owner is asked nothing more by this machine; one that names a time is asked again then, and one
//! that is not there, which may just be starting again, until its silence ends. No
//! place is remembered: whoever starts again sees what is still missing. Does not: verify, keep, or rebuild.
//! Source: `protocol.md` section 8.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::attendance::Attendance;
use super::retry::End;
use super::roster::Roster;
use super::{Machine, RequestId, Timestamp};
use crate::blob::BlobId;
use crate::encoding::Parameters;
use crate::sliver::ShardIndex;

mod checking;
mod paging;
mod talk;

pub use checking::{Checked, Sound, check};
pub use talk::{Came, Effect, How, Input, Lost, Pair, Terms};

use paging::Piece;

/// Pages that one owner is asked for at once: while one is on its way, the other is being read.
pub const PAGES_OF_OWNER: usize = 2;
/// Whoever sends a page more slowly than this is not waited for, however regularly a little of it comes.
const PAGE_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;
/// Beside that a page may take so many times the patience: its owner reads, and others have their share of the line.
const PAGE_PATIENCES: u64 = 3;

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
    /// Whether all that its owner sends has come, and for how long that had ended no page then, in milliseconds.
    arrived: Option<Option<u64>>,
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
    requests: u64,
    seen: Timestamp,
}

impl Page {
    /// Whether its owner has been asked for it, and something of it is still to come.
    fn is_owed(&self) -> bool {
        self.asked_at.is_some() && self.arrived.is_none()
    }
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
            requests: 0,
            seen: Timestamp(0),
        }
    }

    /// Pages in flight.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Whether nothing more is expected of an owner.
    fn is_gone(&self, owner: usize) -> bool {
        self.members.is_gone(owner) || self.silent.contains(&owner)
    }

    /// Whether something is to come of an owner that has been asked for it.
    fn owes(&self, owner: usize) -> bool {
        self.pages.values().any(|page| page.owner == owner && page.is_owed())
    }

    /// When a page has taken so long that its owner is not waited for.
    fn page_ends(&self, page: &Page) -> Option<Timestamp> {
        let sent_ms = page.bytes.saturating_mul(1000) / PAGE_BYTES_PER_SECOND_MIN;
        let begun_ms = self.terms.patience_ms.saturating_mul(PAGE_PATIENCES);
        let asked_at = page.asked_at.filter(|_| page.is_owed());
        asked_at.map(|asked| asked.after(begun_ms.saturating_add(sent_ms)))
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

    /// All that an owner owes is left; what has come of it is being kept.
    fn part(&mut self, owner: usize) -> Vec<Effect> {
        let is_due = |page: &Page| page.owner == owner && page.arrived.is_none();
        let requests = self.pages.iter().filter(|(_, page)| is_due(page));
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
        // What we did with what came is nothing that was heard.
        if has_come && page.arrived.is_none() {
            self.heard(now, page.owner);
        }
        effects.extend(self.close(now, page, how));
        effects
    }

    /// A request has left: its owner owes something.
    fn asked(&mut self, now: Timestamp, request: RequestId) {
        let Some(page) = self.pages.get_mut(&request).filter(|page| page.arrived.is_none()) else {
            return;
        };
        page.asked_at.get_or_insert(now);
        if let Some(owner) = self.owners.get_mut(&page.owner) {
            owner.silent_since.get_or_insert(now);
            owner.behind_since.get_or_insert(now);
        }
    }

    /// All that an owner sends of a page has come: what follows is our own work, for which it is not to blame.
    fn arrived(&mut self, now: Timestamp, request: RequestId) {
        let Some(page) = self.pages.get_mut(&request).filter(|page| page.arrived.is_none()) else {
            return;
        };
        let owner = page.owner;
        let behind_since = self.owners.get(&owner).and_then(|owner| owner.behind_since);
        page.arrived = Some(behind_since.map(|since| now.0.saturating_sub(since.0)));
        self.heard(now, owner);
        let others = self.owes(owner);
        if let Some(owner) = self.owners.get_mut(&owner) {
            owner.behind_since = others.then_some(now);
        }
    }

    /// What follows from the way in which a page ended.
    fn close(&mut self, now: Timestamp, page: Page, how: How) -> Vec<Effect> {
        let owner = page.owner;
        let asked_at = page.asked_at.unwrap_or(now);
        match how {
            How::Over(End::Done) => {
                let others = self.owes(owner).then_some(now);
                if let Some(owner) = self.owners.get_mut(&owner)
                    && page.arrived.is_none()
                {
                    owner.behind_since = others;
                    owner.silent_since = owner.silent_since.and(others);
                }
                self.leave(page.owed)
            }
            How::Over(end @ (End::Again { .. } | End::Absent)) => {
                self.members.ended(now, owner, asked_at, end);
                self.broke_off(now, page, end)
            }
            How::Over(End::Never) => {
                self.members.ended(now, owner, asked_at, End::Never);
                self.leave(page.owed)
            }
            How::Lied(reason) => {
                let is_new = self.members.lied(owner);
                let blame = is_new.then_some(Effect::Blame { owner, reason });
                blame.into_iter().chain(self.leave(page.owed)).collect()
            }
        }
    }

    /// What a page still owes is asked for again, if anything is expected of its owner.
    fn broke_off(&mut self, now: Timestamp, page: Page, end: End) -> Vec<Effect> {
        let Page { owner, owed, arrived, .. } = page;
        if self.is_gone(owner) {
            return self.leave(owed); // it went while we kept what had come
        }
        let others = self.owes(owner);
        let entry = self.owners.entry(owner).or_default();
        // Whoever is not there, or is busy, is waited for as one that says nothing, from its first refusal on.
        entry.silent_since.get_or_insert(now);
        match (end, arrived) {
            // It is not slower than repairs are: it is not there.
            (End::Absent, _) if !others => entry.behind_since = None,
            (_, Some(Some(behind_ms))) => {
                let since = Timestamp(now.0.saturating_sub(behind_ms));
                entry.behind_since = Some(entry.behind_since.map_or(since, |it| it.min(since)));
            }
            _ => drop(entry.behind_since.get_or_insert(now)),
        }
        Piece::of(owed).into_iter().rev().for_each(|piece| entry.queue.push_front(piece));
        Vec::new()
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
                // Who has no page to work at is asked again for what is seen next, until its silence ends.
                let still = behind_since.filter(|_| self.owes(owner));
                self.owners.entry(owner).and_modify(|owner| owner.behind_since = still);
            }
        }
        while let Some(owner) = self.next_owner(now) {
            let (entries, owed, bytes) = self.page(owner);
            let request = RequestId(self.requests);
            self.requests += 1;
            self.pages.insert(request, Page { owner, asked_at: None, arrived: None, bytes, owed });
            effects.push(Effect::Ask { request, owner, entries });
        }
        let pages = &self.pages;
        self.owners.retain(|owner, it| {
            // Its silence goes on while repairs are faster.
            let is_silent = it.silent_since.is_some();
            is_silent || !it.queue.is_empty() || pages.values().any(|page| page.owner == *owner)
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
                self.asked(now, request);
                Vec::new()
            }
            Input::Heard { request } => {
                if let Some(page) = self.pages.get(&request).filter(|page| page.is_owed()) {
                    self.heard(now, page.owner);
                }
                Vec::new()
            }
            Input::Arrived { request } => {
                self.arrived(now, request);
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
