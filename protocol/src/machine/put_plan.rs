//! What a put pays for, decided by facts of the ledger before anything is sent.
//!
//! Promises: what the caller has already is not paid again; once a plan is carried out, the blob stays stored until the
//! end that was asked for, by an object that nobody but the caller can end, and permanent if that was asked; of all ways
//! the cheapest is taken. Does not: read the ledger, ask nodes, or know whether the caller can pay.

use super::space::{Need, Space, Terms};
use crate::chain::ObjectId;
use crate::chain::object::{Blob, Storage};

/// What the caller wants of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Encoded bytes of the blob.
    pub encoded_bytes: u64,
    /// The first epoch in which it may be gone.
    pub end_epoch: u32,
    /// Whether nobody, not even the caller, may delete it before.
    pub permanent: bool,
    /// Whether a new object is wanted, whatever is certified already.
    pub force: bool,
}

/// What is known when the plan is made.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the ledger sells.
    pub terms: Terms,
    /// The caller's objects for this blob, all of them.
    pub blobs: &'a [Blob],
    /// The caller's storage that no blob lives in.
    pub storages: &'a [Storage],
    /// Until when somebody's certified permanent object keeps the blob; nothing if there is none or nobody can say.
    pub permanent_until: Option<u32>,
}

/// An object of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Which.
    pub object: ObjectId,
    /// The first epoch it does not cover now.
    pub end_epoch: u32,
    /// Whether the caller may delete it before.
    pub deletable: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// All that was asked for is so already.
    Nothing {
        /// The caller's object, or nothing: then it is somebody's permanent one.
        existing: Option<Existing>,
        /// The first epoch in which the blob may be gone.
        end_epoch: u32,
    },
    /// Prolong a certified object; no byte needs to be sent.
    Extend {
        /// The caller's object.
        existing: Existing,
        /// Where the missing epochs come from.
        space: Space,
    },
    /// Finish what was registered and never certified.
    Certify {
        /// The caller's object.
        existing: Existing,
        /// What it lacks in epochs, to be added once it is certified.
        extension: Option<Space>,
    },
    /// Register the blob anew.
    Register {
        /// Where it lives.
        space: Space,
        /// The price of writing, and the most that may be paid for it.
        write: u64,
    },
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody can store for so long yet.
    #[error("storage can be bought for {most} epochs at most, not {epochs}")]
    TooFar {
        /// Epochs that can be bought, the current one included.
        most: u32,
        /// Epochs asked for.
        epochs: u32,
    },
    /// The last of the epochs asked for is over.
    #[error("epoch {end_epoch}, until which it was to be stored, has begun")]
    Over {
        /// The end that was asked for.
        end_epoch: u32,
    },
    /// The price fits no number.
    #[error("this much storage for this long has no price")]
    Unpriced,
}

impl From<&Blob> for Existing {
    fn from(blob: &Blob) -> Existing {
        let end_epoch = blob.storage.end_epoch;
        Existing { object: blob.id, end_epoch, deletable: blob.deletable }
    }
}

impl Plan {
    /// What it costs, in the token's smallest unit; gas comes on top.
    pub fn price(&self) -> u64 {
        let space = self.space().map_or(0, Space::price);
        match self {
            Plan::Register { write, .. } => space.saturating_add(*write),
            Plan::Nothing { .. } | Plan::Extend { .. } | Plan::Certify { .. } => space,
        }
    }

    /// The space that is added, if any.
    pub fn space(&self) -> Option<&Space> {
        match self {
            Plan::Nothing { .. } => None,
            Plan::Extend { space, .. } | Plan::Register { space, .. } => Some(space),
            Plan::Certify { extension, .. } => extension.as_ref(),
        }
    }

    /// Puts the space that was used in the place of the one that was planned.
    pub fn use_space(&mut self, used: Space) {
        match self {
            Plan::Extend { space, .. }
            | Plan::Register { space, .. }
            | Plan::Certify { extension: Some(space), .. } => *space = used,
            Plan::Nothing { .. } | Plan::Certify { extension: None, .. } => {}
        }
    }

    /// The first epoch in which the blob may be gone when the plan is carried out.
    pub fn end_epoch(&self) -> u32 {
        match self {
            Plan::Nothing { end_epoch, .. } => *end_epoch,
            Plan::Certify { existing, extension: None } => existing.end_epoch,
            Plan::Extend { space, .. }
            | Plan::Register { space, .. }
            | Plan::Certify { extension: Some(space), .. } => space.need.end_epoch,
        }
    }

    /// Among plans of one price, the one with the least work: nothing is sent to extend, little to certify.
    fn work(&self) -> u8 {
        match self {
            Plan::Nothing { .. } => 0,
            Plan::Extend { .. } => 1,
            Plan::Certify { extension: None, .. } => 2,
            Plan::Certify { extension: Some(_), .. } => 3,
            Plan::Register { .. } => 4,
        }
    }
}

/// Whether somebody can store until then at all.
pub fn check_end(end_epoch: u32, terms: &Terms) -> Result<(), Refusal> {
    if end_epoch <= terms.epoch {
        return Err(Refusal::Over { end_epoch });
    }
    if end_epoch <= terms.horizon() {
        return Ok(());
    }
    let epochs = end_epoch.saturating_sub(terms.epoch);
    Err(Refusal::TooFar { most: terms.epochs_ahead_max, epochs })
}

/// The plan with nothing to do, if all that was asked for is so already. Needs neither storages nor prices.
pub fn covered(ask: &Ask, facts: &Facts<'_>) -> Option<Plan> {
    if ask.force {
        return None;
    }
    let own = facts.blobs.iter().filter(|blob| serves(blob, ask, &facts.terms));
    let certified = own.filter(|blob| blob.certified_epoch.is_some());
    let longest = certified.max_by_key(|blob| blob.storage.end_epoch).map(Existing::from);
    if let Some(existing) = longest.filter(|existing| existing.end_epoch >= ask.end_epoch) {
        let end_epoch = existing.end_epoch;
        return Some(Plan::Nothing { existing: Some(existing), end_epoch });
    }
    let end_epoch = facts.permanent_until.filter(|end| *end >= ask.end_epoch)?;
    Some(Plan::Nothing { existing: None, end_epoch })
}

/// The cheapest way to what was asked for.
pub fn plan(ask: &Ask, facts: &Facts<'_>) -> Result<Plan, Refusal> {
    check_end(ask.end_epoch, &facts.terms)?;
    if let Some(nothing) = covered(ask, facts) {
        return Ok(nothing);
    }
    let own = facts.blobs.iter().filter(|blob| serves(blob, ask, &facts.terms));
    let usable = own.filter(|blob| !ask.force || blob.certified_epoch.is_none());
    let kept = usable.filter_map(|blob| {
        // A permanent object serves also whoever did not ask for it, but takes away the right to delete.
        let differs = blob.deletable == ask.permanent;
        Some((keep(blob, ask, facts)?, differs, Some(blob.id)))
    });
    let new = register(ask, facts).map(|plan| (plan, false, None));
    let best = kept.chain(new).min_by_key(|(plan, differs, id)| {
        (plan.price(), plan.work(), *differs, std::cmp::Reverse(plan.end_epoch()), *id)
    });
    best.map(|(plan, ..)| plan).ok_or(Refusal::Unpriced)
}

/// Whether an object can be what was asked for: it lives, lasts as firmly as asked, and nobody but its owner can end it.
fn serves(blob: &Blob, ask: &Ask, terms: &Terms) -> bool {
    let is_live = terms.epoch < blob.storage.end_epoch;
    // A locked object may be sold, and the buyer of a deletable one may delete it.
    let may_go = blob.deletable && (ask.permanent || blob.locked_by.is_some());
    is_live && !may_go
}

/// How an object becomes what was asked for; `None` if that has no price.
fn keep(blob: &Blob, ask: &Ask, facts: &Facts<'_>) -> Option<Plan> {
    let existing = Existing::from(blob);
    let is_certified = blob.certified_epoch.is_some();
    if existing.end_epoch >= ask.end_epoch {
        return (!is_certified).then_some(Plan::Certify { existing, extension: None });
    }
    let need = Need {
        bytes: blob.storage.storage_size,
        start_epoch: existing.end_epoch,
        end_epoch: ask.end_epoch,
        is_extension: true,
    };
    let space = Space::choose(&facts.terms, facts.storages, need)?;
    Some(match is_certified {
        true => Plan::Extend { existing, space },
        false => Plan::Certify { existing, extension: Some(space) },
    })
}

/// A registration; `None` if it has no price.
fn register(ask: &Ask, facts: &Facts<'_>) -> Option<Plan> {
    let need = Need {
        bytes: ask.encoded_bytes,
        start_epoch: facts.terms.epoch,
        end_epoch: ask.end_epoch,
        is_extension: false,
    };
    let space = Space::choose(&facts.terms, facts.storages, need)?;
    let write = facts.terms.write_cost(ask.encoded_bytes)?;
    space.price().checked_add(write)?;
    Some(Plan::Register { space, write })
}

#[cfg(test)]
mod tests;
