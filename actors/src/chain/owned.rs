//! What an account owns on the ledger, and what its owner can do with it.
//!
//! Promises: a list is bounded and says when it is not whole; all blobs of one call change in one
//! transaction or none does; nothing is paid beyond what the caller agreed to, and nothing changes that is not exactly
//! what the caller was shown.
//! Does not: decide which blobs to change, or whether the ledger will allow it.

use std::future::ready;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::call::{self, BurnBlob, DeleteBlob, ExtendBlob};
use haulout_protocol::chain::{ObjectId, TypeName, object};
use serde::de::DeserializeOwned;
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, Object};

use super::draft::{Built, Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::holder::{Holder, holder_of};
use super::read::decode;
use super::submit::Executed;
use super::wallet::Wallet;
use crate::limits;

/// What is behind an object id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A blob object.
    Blob(Box<object::Blob>, Holder),
    /// An object of another type, by its name.
    Other(String),
}

/// A blob to be extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The blob object, as it was when this was agreed to.
    pub blob: object::Blob,
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
    /// The one server that says so, if the ledger has several and neither another one nor its validators bear it out.
    pub only_said_by: Option<String>,
}

impl From<Executed> for Receipt {
    fn from(executed: Executed) -> Receipt {
        let Executed { digest, checkpoint, gas, only_said_by, .. } = executed;
        Receipt { digest, checkpoint, gas, only_said_by }
    }
}

impl Chain {
    /// All blob objects an account owns, in the order of the ledger, fetched page by page as they
    /// are asked for; it ends with the first error.
    pub fn blobs(
        &self,
        account: &ObjectId,
    ) -> impl Stream<Item = Result<object::Blob, CallError>> + Send + use<> {
        self.owned(account, &TypeName::BLOB, "blob objects")
    }

    /// All objects an account has for one blob, as the ledger shows them now.
    pub async fn blobs_of(
        &self,
        account: &ObjectId,
        blob_id: &BlobId,
    ) -> Result<Vec<object::Blob>, CallError> {
        let is_meant = |blob: &object::Blob| blob.blob_id == *blob_id.as_bytes();
        let meant = self.blobs(account).try_filter(|blob| ready(is_meant(blob)));
        meant.try_collect().await
    }

    /// All storage an account owns that holds no blob.
    pub async fn storages(&self, account: &ObjectId) -> Result<Vec<object::Storage>, CallError> {
        self.owned(account, &TypeName::STORAGE, "storage objects").try_collect().await
    }

    /// All objects of one type that an account owns.
    pub(super) async fn list_owned<T: DeserializeOwned + Send>(
        &self,
        account: &ObjectId,
        kind: &TypeName,
        what: &'static str,
    ) -> Result<Vec<T>, CallError> {
        self.owned(account, kind, what).try_collect().await
    }

    /// The objects of one of our types that an account owns, read.
    pub(super) fn owned<T: DeserializeOwned>(
        &self,
        account: &ObjectId,
        kind: &TypeName,
        what: &'static str,
    ) -> impl Stream<Item = Result<T, CallError>> + Send + use<T> {
        let kind = kind.qualified(&self.shared.options.package);
        self.owned_objects(account, kind, &["object_id", "contents"], what)
            .map(|object| decode(&object?))
    }

    /// The objects of one type that an account owns with these parts of them, fetched page by page
    /// as they are asked for.
    pub(super) fn owned_objects(
        &self,
        account: &ObjectId,
        kind: String,
        fields: &[&str],
        what: &'static str,
    ) -> impl Stream<Item = Result<proto::Object, CallError>> + Send + use<> {
        let first = proto::ListOwnedObjectsRequest::default()
            .with_owner(Address::new((*account).into()).to_string())
            .with_object_type(kind)
            .with_page_size(limits::CHAIN_PAGE_OBJECTS)
            .with_read_mask(FieldMask::from_paths(fields));
        let pages = (self.clone(), Some(first));
        let pages = stream::try_unfold(pages, move |(chain, request)| async move {
            let Some(mut request) = request else { return Ok::<_, CallError>(None) };
            let page = chain.ask(what, |client| {
                let (mut client, request) = (client.clone().state_client(), request.clone());
                async move { client.list_owned_objects(request).await }
            });
            let page = page.await?;
            let next = page.next_page_token.map(|token| {
                request.page_token = Some(token);
                request
            });
            Ok(Some((stream::iter(page.objects.into_iter().map(Ok)), (chain, next))))
        });
        pages.try_flatten()
    }

    /// What is behind an object id, and whose it is; nothing if no server that answers has such an object.
    pub async fn find_blob(&self, id: &ObjectId) -> Result<Option<Found>, CallError> {
        let look = |chain: Chain| async move {
            let found = chain.exact(&[*id], "object").await?;
            let object = found.first().ok_or_else(|| CallError::unreadable("no object"))?;
            chain.identify(object)
        };
        match self.of_any(look).await {
            Ok(found) => Ok(Some(found)),
            Err(CallError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads what an object is and whose.
    fn identify(&self, object: &Object) -> Result<Found, CallError> {
        match self.value_of::<object::Blob>(object)? {
            Some(blob) => Ok(Found::Blob(Box::new(blob), holder_of(object))),
            None => {
                let value = object.as_struct().map(|value| value.object_type().to_string());
                Ok(Found::Other(value.unwrap_or_else(|| "a package".to_owned())))
            }
        }
    }

    /// Extends blobs of the wallet for what was agreed, in one transaction.
    pub async fn extend_blobs(
        &self,
        wallet: &Wallet,
        extensions: &[Extension],
    ) -> Result<Receipt, CallError> {
        let mut prices = extensions.iter().map(|one| one.price);
        let total = prices.try_fold(0u64, u64::checked_add).ok_or(CallError::TooLarge)?;
        let build =
            |chain: Chain| async move { chain.build_extension(wallet, extensions, total).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    /// Deletes deletable blobs of the wallet, in one transaction; it keeps their storage.
    pub async fn delete_blobs(
        &self,
        wallet: &Wallet,
        blobs: &[object::Blob],
    ) -> Result<Receipt, CallError> {
        let build = |chain: Chain| async move { chain.build_deletion(wallet, blobs).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    /// Destroys blob objects of the wallet with their storage, in one transaction; nodes keep the
    /// data as long as was paid.
    pub async fn burn_blobs(
        &self,
        wallet: &Wallet,
        blobs: &[object::Blob],
    ) -> Result<Receipt, CallError> {
        let build = |chain: Chain| async move { chain.build_burning(wallet, blobs).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    /// The transaction that extends blobs.
    async fn build_extension(
        &self,
        wallet: &Wallet,
        extensions: &[Extension],
        total: u64,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let payment = Some(draft.purse(total).await?);
        let blobs: Vec<_> = extensions.iter().map(|one| one.blob.clone()).collect();
        let blobs = draft.own_as(&blobs).await?;
        for (extension, blob) in extensions.iter().zip(blobs) {
            let places = Places { payment, blob: Some(blob), ..Places::default() };
            let extend = ExtendBlob { epochs: extension.epochs, max_total: extension.price };
            draft.call(&call::Function::EXTEND_BLOB, extend.arguments(), &places)?;
        }
        draft.finish().await
    }

    /// The transaction that deletes blobs and sends their storage to the owner.
    async fn build_deletion(
        &self,
        wallet: &Wallet,
        blobs: &[object::Blob],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let mut freed = Vec::with_capacity(blobs.len());
        for blob in draft.own_as(blobs).await? {
            let places = Places { blob: Some(blob), ..Places::default() };
            let function = call::Function::DELETE_BLOB;
            freed.push(draft.call(&function, DeleteBlob.arguments(), &places)?);
        }
        draft.keep(freed);
        draft.finish().await
    }

    /// The transaction that burns blobs.
    async fn build_burning(
        &self,
        wallet: &Wallet,
        blobs: &[object::Blob],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        for blob in draft.own_as(blobs).await? {
            let places = Places { blob: Some(blob), ..Places::default() };
            draft.call(&call::Function::BURN_BLOB, BurnBlob.arguments(), &places)?;
        }
        draft.finish().await
    }
}
