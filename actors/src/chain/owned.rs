//! What an account owns on the ledger, and what its owner can do with it.
//!
//! Promises: a list is bounded and says when it is not whole; all blobs of one call change in one
//! transaction or none does; nothing is paid beyond what the caller agreed to.
//! Does not: decide which blobs to change, or whether the ledger will allow it.

use futures::StreamExt;
use haulout_protocol::chain::call::{self, BurnBlob, DeleteBlob, ExtendBlob};
use haulout_protocol::chain::{ObjectId, TypeName, object};
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_rpc::proto::sui::rpc::v2::owner::OwnerKind;
use sui_sdk_types::{Address, StructTag, Transaction};
use sui_transaction_builder::{Argument, TransactionBuilder};

use super::read::decode;
use super::submit::{Executed, Places, owned_input};
use super::{CallError, Chain, Wallet};
use crate::limits;

/// The parts of an object that say what it is and whose.
const HELD_FIELDS: [&str; 4] = ["object_id", "object_type", "owner", "contents"];

/// The blob objects of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedBlobs {
    /// In the order of the ledger.
    pub blobs: Vec<object::Blob>,
    /// Whether these are all; a list ends after [`limits::CHAIN_OBJECTS_MAX`].
    pub is_whole: bool,
}

/// Who can use an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// One account.
    Account(ObjectId),
    /// Not one account: it is shared, frozen or part of another object.
    Other,
}

/// What is behind an object id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A blob object.
    Blob(Box<object::Blob>, Holder),
    /// An object of another type, by its name.
    Other(String),
}

/// A blob to be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The blob object.
    pub object: ObjectId,
    /// How many epochs more.
    pub epochs: u32,
    /// The most to be paid, in the token's smallest unit.
    pub price: u64,
}

/// A transaction that did what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its digest.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// Gas, in MIST; rebates can make it zero.
    pub gas: u64,
}

impl From<Executed> for Receipt {
    fn from(executed: Executed) -> Receipt {
        let Executed { digest, checkpoint, gas, .. } = executed;
        Receipt { digest, checkpoint, gas }
    }
}

impl Chain {
    /// The blob objects an account owns.
    pub async fn owned_blobs(&self, account: &ObjectId) -> Result<OwnedBlobs, CallError> {
        let (blobs, is_whole) = self.list_owned(account, &TypeName::BLOB, "blob objects").await?;
        Ok(OwnedBlobs { blobs, is_whole })
    }

    /// The objects of one type that an account owns, and whether these are all.
    pub(super) async fn list_owned<T: DeserializeOwned>(
        &self,
        account: &ObjectId,
        kind: &TypeName,
        what: &str,
    ) -> Result<(Vec<T>, bool), CallError> {
        let request = self.owned_request(account, kind);
        let mut listed = Box::pin(self.client.list_owned_objects(request));
        let mut found = Vec::new();
        while let Some(object) = listed.next().await {
            if found.len() >= limits::CHAIN_OBJECTS_MAX {
                return Ok((found, false));
            }
            let object = object.map_err(|status| self.call_error(&status, what))?;
            found.push(decode(&object)?);
        }
        Ok((found, true))
    }

    /// Asks for the blob objects of an account, page by page.
    pub(super) fn blobs_request(&self, account: &ObjectId) -> proto::ListOwnedObjectsRequest {
        self.owned_request(account, &TypeName::BLOB)
    }

    /// Asks for the objects of one type of an account, page by page.
    fn owned_request(&self, account: &ObjectId, kind: &TypeName) -> proto::ListOwnedObjectsRequest {
        proto::ListOwnedObjectsRequest::default()
            .with_owner(Address::new(*account).to_string())
            .with_object_type(kind.qualified(&self.shared.options.package))
            .with_page_size(limits::CHAIN_PAGE_OBJECTS)
            .with_read_mask(FieldMask::from_paths(["object_id", "contents"]))
    }

    /// What is behind an object id, and whose it is; nothing if there is no such object.
    pub async fn find_blob(&self, id: &ObjectId) -> Result<Option<Found>, CallError> {
        let request = proto::GetObjectRequest::new(&Address::new(*id))
            .with_read_mask(FieldMask::from_paths(HELD_FIELDS));
        let answer = self.client.clone().ledger_client().get_object(request).await;
        let object = match answer.map_err(|status| self.call_error(&status, "object")) {
            Ok(answer) => answer.into_inner().object,
            Err(CallError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        object.map(|object| self.identify(&object)).transpose()
    }

    /// Reads what an object is and whose.
    fn identify(&self, object: &proto::Object) -> Result<Found, CallError> {
        let wanted = TypeName::BLOB.qualified(&self.shared.options.package);
        let wanted: StructTag = wanted.parse().map_err(CallError::unreadable)?;
        // What is no struct, such as a package, has a name of another form.
        if object.object_type().parse::<StructTag>().ok() != Some(wanted) {
            return Ok(Found::Other(object.object_type().to_owned()));
        }
        let owner = object.owner();
        let holder = match owner.kind() {
            OwnerKind::Address => {
                let account: Address = owner.address().parse().map_err(CallError::unreadable)?;
                Holder::Account(account.into_inner())
            }
            _ => Holder::Other,
        };
        Ok(Found::Blob(Box::new(decode(object)?), holder))
    }

    /// Extends blobs of the wallet for what was agreed, in one transaction.
    pub async fn extend_blobs(
        &self,
        wallet: &Wallet,
        extensions: &[Extension],
    ) -> Result<Receipt, CallError> {
        let mut prices = extensions.iter().map(|one| one.price);
        let total = prices.try_fold(0u64, u64::checked_add).ok_or(CallError::TooLarge)?;
        let build = || self.build_extension(wallet, extensions, total);
        Ok(self.run(wallet, build).await?.into())
    }

    /// Deletes deletable blobs of the wallet, in one transaction; it keeps their storage.
    pub async fn delete_blobs(
        &self,
        wallet: &Wallet,
        blobs: &[ObjectId],
    ) -> Result<Receipt, CallError> {
        let build = || self.build_deletion(wallet, blobs);
        Ok(self.run(wallet, build).await?.into())
    }

    /// Destroys blob objects of the wallet with their storage, in one transaction; nodes keep the
    /// data as long as was paid.
    pub async fn burn_blobs(
        &self,
        wallet: &Wallet,
        blobs: &[ObjectId],
    ) -> Result<Receipt, CallError> {
        let build = || self.build_burning(wallet, blobs);
        Ok(self.run(wallet, build).await?.into())
    }

    /// The transaction that extends blobs.
    async fn build_extension(
        &self,
        wallet: &Wallet,
        extensions: &[Extension],
        total: u64,
    ) -> Result<Transaction, CallError> {
        let mut builder = begin(wallet);
        let payment = self.payment(&mut builder, wallet, total).await?;
        for extension in extensions {
            let places = self.place(&mut builder, &extension.object).await?;
            let places = Places { payment: Some(payment), ..places };
            let extend = ExtendBlob { epochs: extension.epochs, max_total: extension.price };
            let arguments = self.arguments(&mut builder, extend.arguments(), &places)?;
            builder.move_call(self.function(&call::Function::EXTEND_BLOB)?, arguments);
        }
        self.finish(builder, wallet).await
    }

    /// The transaction that deletes blobs and sends their storage to the owner.
    async fn build_deletion(
        &self,
        wallet: &Wallet,
        blobs: &[ObjectId],
    ) -> Result<Transaction, CallError> {
        let mut builder = begin(wallet);
        let mut freed = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let places = self.place(&mut builder, blob).await?;
            let arguments = self.arguments(&mut builder, DeleteBlob.arguments(), &places)?;
            let function = self.function(&call::Function::DELETE_BLOB)?;
            freed.push(builder.move_call(function, arguments));
        }
        let owner = builder.pure(&wallet.sender());
        builder.transfer_objects(freed, owner);
        self.finish(builder, wallet).await
    }

    /// The transaction that burns blobs.
    async fn build_burning(
        &self,
        wallet: &Wallet,
        blobs: &[ObjectId],
    ) -> Result<Transaction, CallError> {
        let mut builder = begin(wallet);
        for blob in blobs {
            let places = self.place(&mut builder, blob).await?;
            let arguments = self.arguments(&mut builder, BurnBlob.arguments(), &places)?;
            builder.move_call(self.function(&call::Function::BURN_BLOB)?, arguments);
        }
        self.finish(builder, wallet).await
    }

    /// A blob of the wallet, in its present version, as the one a call is about.
    async fn place(
        &self,
        builder: &mut TransactionBuilder,
        blob: &ObjectId,
    ) -> Result<Places, CallError> {
        let blob = Some(self.own(builder, blob, "blob object").await?);
        Ok(Places { blob, ..Places::default() })
    }

    /// An object of the wallet, in its present version, as an input.
    pub(super) async fn own(
        &self,
        builder: &mut TransactionBuilder,
        id: &ObjectId,
        what: &str,
    ) -> Result<Argument, CallError> {
        let object = self.object(id, what).await?;
        Ok(builder.object(owned_input(&object)?))
    }
}

/// A transaction of the wallet that does nothing yet.
pub(super) fn begin(wallet: &Wallet) -> TransactionBuilder {
    let mut builder = TransactionBuilder::new();
    builder.set_sender(wallet.sender());
    builder
}
