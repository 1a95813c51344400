//! Calls about reserved space.
//!
//! Does not: say which of its arguments the caller owns.

use super::{Argument, pure};

/// `reserve_space(&mut System, size, start, end, &mut Coin<WAL>, max_total) -> Storage`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveSpace {
    /// Encoded bytes to reserve.
    pub size: u64,
    /// The first epoch; earlier than now means now.
    pub start_epoch: u32,
    /// The first epoch no longer covered.
    pub end_epoch: u32,
    /// The most the caller agrees to pay.
    pub max_total: u64,
}

impl ReserveSpace {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![
            Argument::System { mutable: true },
            pure(&self.size),
            pure(&self.start_epoch),
            pure(&self.end_epoch),
            Argument::Payment,
            pure(&self.max_total),
        ]
    }
}

/// `split_by_epoch(&mut Storage, epoch) -> Storage`: what begins at `epoch` becomes storage of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitByEpoch {
    /// The first epoch of the new storage.
    pub epoch: u32,
}

impl SplitByEpoch {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Storage, pure(&self.epoch)]
    }
}

/// `split_by_size(&mut Storage, size) -> Storage`: the storage keeps `size` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitBySize {
    /// Encoded bytes that stay.
    pub size: u64,
}

impl SplitBySize {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Storage, pure(&self.size)]
    }
}

/// `fuse(&mut Storage, Storage)`: joins two of equal epochs, or of equal size and adjacent epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuseStorage;

impl FuseStorage {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Storage, Argument::OtherStorage]
    }
}

/// `destroy(Storage)`: nothing is paid back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestroyStorage;

impl DestroyStorage {
    /// The arguments in Move's order.
    pub fn arguments(&self) -> Vec<Argument> {
        vec![Argument::Storage]
    }
}
