//! Space in a transaction: storage of the wallet cut to size, and space that is bought.
//!
//! Promises: what is cut off stays with the wallet; the result has exactly the epochs and bytes
//! that were chosen. Does not: choose; `haulout_protocol::machine::space` does.

use haulout_protocol::chain::call::{
    Function, FuseStorage, ReserveSpace, SplitByEpoch, SplitBySize,
};
use haulout_protocol::machine::space::{Cut, Purchase, Space};
use sui_transaction_builder::Argument;

use super::draft::{Draft, Places};
use super::error::CallError;

impl Draft<'_> {
    /// Puts space together; the coin pays for what is bought.
    pub(super) async fn space(
        &mut self,
        space: &Space,
        payment: Option<Argument>,
    ) -> Result<Argument, CallError> {
        let nothing = || CallError::unreadable("space of no epochs");
        match (&space.reused, &space.bought) {
            (Some(cut), None) => self.cut(cut).await,
            (None, Some(bought)) => self.buy(bought, payment),
            (None, None) => Err(nothing()),
            (Some(cut), Some(bought)) => {
                let storage = self.cut(cut).await?;
                let other_storage = Some(self.buy(bought, payment)?);
                let places = Places { storage: Some(storage), other_storage, ..Places::default() };
                self.call(&Function::FUSE_STORAGE, FuseStorage.arguments(), &places)?;
                Ok(storage)
            }
        }
    }

    /// A part of the wallet's storage; what is cut off stays the wallet's.
    pub(super) async fn cut(&mut self, cut: &Cut) -> Result<Argument, CallError> {
        let Cut { storage, start_epoch, end_epoch, bytes } = cut;
        let planned = std::slice::from_ref(storage);
        let part = self.own_as(planned).await?.pop();
        let mut part = part.ok_or_else(|| CallError::unreadable("a part of no storage"))?;
        let mut rests = Vec::new();
        if storage.start_epoch < *start_epoch {
            // What comes before stays the object it was.
            part = self.split_by_epoch(part, *start_epoch)?;
        }
        if *end_epoch < storage.end_epoch {
            rests.push(self.split_by_epoch(part, *end_epoch)?);
        }
        if *bytes < storage.storage_size {
            let places = Places { storage: Some(part), ..Places::default() };
            let split = SplitBySize { size: *bytes }.arguments();
            rests.push(self.call(&Function::SPLIT_BY_SIZE, split, &places)?);
        }
        if !rests.is_empty() {
            self.keep(rests);
        }
        Ok(part)
    }

    /// Cuts storage in time; what begins at the epoch is the result.
    pub(super) fn split_by_epoch(
        &mut self,
        storage: Argument,
        epoch: u32,
    ) -> Result<Argument, CallError> {
        let places = Places { storage: Some(storage), ..Places::default() };
        self.call(&Function::SPLIT_BY_EPOCH, SplitByEpoch { epoch }.arguments(), &places)
    }

    /// Buys space.
    fn buy(&mut self, bought: &Purchase, payment: Option<Argument>) -> Result<Argument, CallError> {
        let Purchase { start_epoch, end_epoch, bytes, price } = *bought;
        let reserve = ReserveSpace { size: bytes, start_epoch, end_epoch, max_total: price };
        let places = Places { payment, ..Places::default() };
        self.call(&Function::RESERVE_SPACE, reserve.arguments(), &places)
    }
}
