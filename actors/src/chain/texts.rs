//! Texts that the owner of a blob attaches to its object, where everybody can read them.
//!
//! Promises: a text is set in one transaction and nothing else changes; texts of many objects take
//! one question for each batch of them.
//! Does not: say what a text means; a name is one by the convention of [`BLOB_NAME`].

use std::collections::BTreeMap;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::call::{Function, SetMetadataPair};
use haulout_protocol::chain::object::{DynamicField, METADATA_FIELD, Metadata};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as proto;
use sui_sdk_types::{Address, TypeTag};

use super::draft::{Built, Draft};
use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::read::decode;
use super::wallet::Wallet;
use crate::limits;

/// The key of the text that says what its owner calls a blob.
pub const BLOB_NAME: &str = "name";

impl Chain {
    /// Sets a text of a blob object of the wallet.
    pub async fn set_blob_text(
        &self,
        wallet: &Wallet,
        blob: &ObjectId,
        key: &str,
        value: &str,
    ) -> Result<Receipt, CallError> {
        let pair = &SetMetadataPair { key: key.to_owned(), value: value.to_owned() };
        let build = |chain: Chain| async move { chain.build_text(wallet, blob, pair).await };
        Ok(self.run_surely(wallet, build).await?.into())
    }

    async fn build_text(
        &self,
        wallet: &Wallet,
        blob: &ObjectId,
        pair: &SetMetadataPair,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let places = draft.blob(blob).await?;
        draft.call(&Function::SET_METADATA_PAIR, pair.arguments(), &places)?;
        draft.finish().await
    }

    /// One text of each of these blob objects that has it.
    pub async fn blob_texts(
        &self,
        blobs: &[ObjectId],
        key: &str,
    ) -> Result<BTreeMap<ObjectId, String>, CallError> {
        let mut texts = BTreeMap::new();
        for batch in blobs.chunks(limits::CHAIN_BATCH_OBJECTS) {
            let fields = batch.iter().map(|blob| proto::GetObjectRequest::new(&field_of(blob)));
            let request = proto::BatchGetObjectsRequest::default()
                .with_requests(fields.collect::<Vec<_>>())
                .with_read_mask(FieldMask::from_paths(["object_id", "contents"]));
            let answer = self.ask("texts of blobs", |client| {
                let (mut client, request) = (client.clone().ledger_client(), request.clone());
                async move { client.batch_get_objects(request).await }
            });
            let found = answer.await?.objects;
            if found.len() != batch.len() {
                return Err(CallError::unreadable("fewer texts than asked for"));
            }
            for (blob, found) in batch.iter().zip(found) {
                // Most blobs have no texts, and then there is no such object.
                let Ok(object) = found.to_result() else { continue };
                let field: DynamicField<Vec<u8>, Metadata> = decode(&object)?;
                let pair = field.value.pairs.into_iter().find(|pair| pair.key == key);
                texts.extend(pair.map(|pair| (*blob, pair.value)));
            }
        }
        Ok(texts)
    }
}

/// The object that holds the texts of a blob object.
fn field_of(blob: &ObjectId) -> Address {
    let name = bcs::to_bytes(METADATA_FIELD).expect("byte vectors always serialise");
    let bytes = TypeTag::Vector(Box::new(TypeTag::U8));
    Address::new((*blob).into()).derive_dynamic_child_id(&bytes, &name)
}
