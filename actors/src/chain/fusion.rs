//! Storage objects of the wallet joined, or thrown away.
//!
//! Promises: one transaction does all of it or nothing; what is joined is what was planned with, by its own bytes, and stays the
//! wallet's. Does not: choose what is joined;
//! `haulout_protocol::machine::fusion` does.

use std::collections::BTreeMap;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::{DestroyStorage, Function, FuseStorage};
use haulout_protocol::chain::object::Storage;
use haulout_protocol::machine::fusion::{Joint, Piece};
use sui_transaction_builder::Argument;

use super::draft::{Built, Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::wallet::Wallet;

/// Storage in a transaction.
#[derive(Clone, Copy)]
struct Part {
    argument: Argument,
    /// Whether a call returned it: then nobody has it yet.
    is_new: bool,
}

impl Chain {
    /// Joins storage of the wallet, in one transaction.
    pub async fn fuse_storage(
        &self,
        wallet: &Wallet,
        joints: &[Joint],
    ) -> Result<Receipt, CallError> {
        let build = |chain: Chain| async move { chain.build_fusion(wallet, joints).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    /// Throws storage of the wallet away, in one transaction; nothing is paid back. By its own bytes it must be what the
    /// caller was shown, whatever a list said of it.
    pub async fn destroy_storage(
        &self,
        wallet: &Wallet,
        storages: &[Storage],
    ) -> Result<Receipt, CallError> {
        let build = |chain: Chain| async move { chain.build_destruction(wallet, storages).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    async fn build_fusion(&self, wallet: &Wallet, joints: &[Joint]) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let planned: Vec<_> = joints.iter().flat_map(|joint| joint.piece.storages()).collect();
        let owned = draft.own_as(&planned).await?.into_iter().zip(&planned);
        let owned = owned.map(|(argument, storage)| (storage.id, argument)).collect();
        let mut made = Vec::new();
        for joint in joints {
            let part = draft.piece(&joint.piece, &owned)?;
            made.extend(part.is_new.then_some(part.argument));
        }
        if !made.is_empty() {
            draft.keep(made);
        }
        draft.finish().await
    }

    async fn build_destruction(
        &self,
        wallet: &Wallet,
        storages: &[Storage],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        for storage in draft.own_as(storages).await? {
            draft.destroy(storage)?;
        }
        draft.finish().await
    }
}

impl Draft<'_> {
    /// Puts a piece together of the wallet's objects.
    fn piece(
        &mut self,
        piece: &Piece,
        owned: &BTreeMap<ObjectId, Argument>,
    ) -> Result<Part, CallError> {
        match piece {
            Piece::Whole(storage) => match owned.get(&storage.id) {
                Some(argument) => Ok(Part { argument: *argument, is_new: false }),
                None => Err(CallError::unreadable("a piece of no object")),
            },
            Piece::Later { of, epoch } => {
                let past = self.piece(of, owned)?.argument;
                let argument = self.split_by_epoch(past, *epoch)?;
                self.destroy(past)?;
                Ok(Part { argument, is_new: true })
            }
            Piece::Joined(pieces) => {
                let mut parts = pieces.iter();
                let first = parts.next().ok_or_else(|| CallError::unreadable("a joint of nothing"));
                let first = self.piece(first?, owned)?;
                for other in parts {
                    let other = self.piece(other, owned)?.argument;
                    let (storage, other_storage) = (Some(first.argument), Some(other));
                    let places = Places { storage, other_storage, ..Places::default() };
                    self.call(&Function::FUSE_STORAGE, FuseStorage.arguments(), &places)?;
                }
                Ok(first)
            }
        }
    }

    /// Throws storage away.
    fn destroy(&mut self, storage: Argument) -> Result<(), CallError> {
        let places = Places { storage: Some(storage), ..Places::default() };
        self.call(&Function::DESTROY_STORAGE, DestroyStorage.arguments(), &places).map(drop)
    }
}
