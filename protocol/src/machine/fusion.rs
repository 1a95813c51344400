//! Joining storage objects of one owner, so that one of them holds a blob that none of them held alone.
//!
//! Promises: from this epoch on, as many bytes are reserved in every epoch as before; every joint is one that the ledger
//! makes: of equal epochs, or of equal sizes and adjacent epochs. What lies in the past is given up where that lets
//! storages begin together. The same storages give the same plan.
//! Does not: cut a storage to make it fit another one, or say who owns them: it is given the free ones of one owner.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::ObjectId;
use crate::chain::object::Storage;

/// How a storage comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An object as it is.
    Whole(Storage),
    /// What is cut at an epoch: the later part; the earlier one, which is over, is destroyed.
    Later {
        /// What is cut.
        of: Box<Piece>,
        /// The first epoch of the later part.
        epoch: u32,
    },
    /// Pieces that become the first of them, one after the other.
    Joined(Vec<Piece>),
}

/// A storage that several become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint {
    /// How.
    pub piece: Piece,
    /// Its first epoch.
    pub start_epoch: u32,
    /// The first epoch after it.
    pub end_epoch: u32,
    /// Its encoded bytes.
    pub bytes: u64,
}

impl Piece {
    /// The objects it is made of, as they were when this was planned.
    pub fn storages(&self) -> Vec<Storage> {
        match self {
            Piece::Whole(storage) => vec![storage.clone()],
            Piece::Later { of, .. } => of.storages(),
            Piece::Joined(pieces) => pieces.iter().flat_map(Piece::storages).collect(),
        }
    }

    /// Their ids.
    pub fn objects(&self) -> Vec<ObjectId> {
        self.storages().iter().map(|storage| storage.id).collect()
    }
}

/// What becomes of storages that can be joined, of at most `most` objects together; what is over, or fits no other,
/// stays as it is.
pub fn plan(storages: &[Storage], epoch: u32, most: usize) -> Vec<Joint> {
    let joints = joined(storages.iter(), epoch);
    let mut objects: Vec<ObjectId> = joints.iter().flat_map(|it| it.piece.objects()).collect();
    if objects.len() <= most {
        return joints;
    }
    objects.truncate(most);
    joined(storages.iter().filter(|storage| objects.contains(&storage.id)), epoch)
}

/// The same of all objects, however many.
fn joined<'a>(storages: impl Iterator<Item = &'a Storage>, epoch: u32) -> Vec<Joint> {
    let mut alive: Vec<&Storage> = storages.filter(|storage| epoch < storage.end_epoch).collect();
    alive.sort_by_key(|storage| (storage.end_epoch, storage.start_epoch, storage.id));
    let mut joints: Vec<Joint> = alive.into_iter().map(Joint::of).collect();
    loop {
        let before = joints.len();
        joints = of_adjacent_epochs(of_equal_epochs(beginning_together(joints, epoch)));
        if joints.len() == before {
            break;
        }
    }
    joints.retain(|joint| matches!(joint.piece, Piece::Joined(_)));
    joints
}

/// Storages as they are, without their past where another one ends with them and began at another time.
fn beginning_together(joints: Vec<Joint>, epoch: u32) -> Vec<Joint> {
    let mut begins: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for joint in joints.iter().filter(|joint| joint.start_epoch <= epoch) {
        begins.entry(joint.end_epoch).or_default().insert(joint.start_epoch);
    }
    let keeps_apart = |joint: &Joint| {
        joint.start_epoch < epoch && begins.get(&joint.end_epoch).is_some_and(|it| it.len() > 1)
    };
    let cut = |joint: Joint| match keeps_apart(&joint) {
        true => Joint {
            piece: Piece::Later { of: Box::new(joint.piece), epoch },
            start_epoch: epoch,
            ..joint
        },
        false => joint,
    };
    joints.into_iter().map(cut).collect()
}

/// Joins what covers the same epochs, in size.
fn of_equal_epochs(joints: Vec<Joint>) -> Vec<Joint> {
    let mut by_epochs: BTreeMap<(u32, u32), Vec<Joint>> = BTreeMap::new();
    for joint in joints {
        let group = by_epochs.entry((joint.end_epoch, joint.start_epoch)).or_default();
        let fits = |into: &&mut Joint| into.bytes.checked_add(joint.bytes).is_some();
        match group.iter_mut().find(fits) {
            Some(into) => {
                into.bytes = into.bytes.saturating_add(joint.bytes); // it fits
                into.take(joint.piece);
            }
            None => group.push(joint),
        }
    }
    by_epochs.into_values().flatten().collect()
}

/// Joins what has the same size and follows in time.
fn of_adjacent_epochs(joints: Vec<Joint>) -> Vec<Joint> {
    let mut by_size: BTreeMap<u64, Vec<Joint>> = BTreeMap::new();
    for joint in joints {
        by_size.entry(joint.bytes).or_default().push(joint);
    }
    let chained = |mut joints: Vec<Joint>| {
        joints.sort_by_key(|joint| (joint.start_epoch, joint.end_epoch));
        let mut chains: Vec<Joint> = Vec::new();
        for joint in joints {
            match chains.iter_mut().find(|chain| chain.end_epoch == joint.start_epoch) {
                Some(chain) => {
                    chain.end_epoch = joint.end_epoch;
                    chain.take(joint.piece);
                }
                None => chains.push(joint),
            }
        }
        chains
    };
    by_size.into_values().flat_map(chained).collect()
}

impl Joint {
    /// An object as it is.
    fn of(storage: &Storage) -> Joint {
        Joint {
            piece: Piece::Whole(storage.clone()),
            start_epoch: storage.start_epoch,
            end_epoch: storage.end_epoch,
            bytes: storage.storage_size,
        }
    }

    /// Takes another piece in.
    fn take(&mut self, other: Piece) {
        match &mut self.piece {
            Piece::Joined(pieces) => pieces.push(other),
            first => *first = Piece::Joined(vec![first.clone(), other]),
        }
    }
}

#[cfg(test)]
mod tests;
