//! Telling the ledger of a blob: its registration and its certificate.
//!
//! Promises: storage and registration are bought in one transaction or not at all; a put that was
//! interrupted finds its registration again; certifying twice costs nothing.
//! Does not: encode or send the blob, or judge a certificate; the ledger does.

use std::pin::pin;

use futures::StreamExt;
use haulout_protocol::blob::{BlobId, ENCODING};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::call::{self, CertifyBlob, RegisterBlob, ReserveSpace};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::{ObjectId, TypeName, object};
use haulout_protocol::crypto::Digest;
use haulout_protocol::epoch::Epoch;
use sui_sdk_types::Transaction;

use super::draft::{Draft, Places};
use super::read::decode;
use super::{CallError, Chain, Wallet};
use crate::context::{Position, Quote};
use crate::limits;

/// A blob to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub blob_id: BlobId,
    /// The root the id is derived from.
    pub root: Digest,
    /// Its length before encoding.
    pub length: u64,
    /// For how many epochs, the current one included.
    pub epochs: u32,
    /// Whether its owner may delete it earlier.
    pub deletable: bool,
}

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the storage token, in its smallest unit.
    pub wal: u64,
    /// Gas, in MIST; rebates can make it zero.
    pub gas: u64,
}

/// A blob registered by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The transaction.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
    /// What it cost.
    pub cost: Cost,
}

/// A blob registered by us that has no certificate yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncertified {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
}

/// A blob certified by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The epoch of the certificate.
    pub epoch: Epoch,
    /// The transaction; absent if the blob had been certified before.
    pub digest: Option<String>,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost.
    pub cost: Cost,
}

impl Chain {
    /// Buys storage for a blob and registers it, in one transaction.
    pub async fn register_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration,
    ) -> Result<Registered, CallError> {
        let position = self.system().await?.position;
        let quote = position.quote(registration.length, registration.epochs);
        let quote = quote.ok_or(CallError::TooLarge)?;
        let build = || self.build_registration(wallet, registration, &position, &quote);
        let executed = self.run(wallet, build).await?;
        let mut cost = Cost { wal: quote.write, gas: executed.gas };
        let mut registered = None;
        for event in &executed.events {
            match event {
                Event::StoragePurchased(bought) => cost.wal = cost.wal.saturating_add(bought.paid),
                Event::BlobRegistered(event) => registered = Some(event),
                _ => {}
            }
        }
        let missing = || CallError::unreadable("a registration that registered nothing");
        let registered = registered.ok_or_else(missing)?;
        Ok(Registered {
            object: registered.object_id,
            end_epoch: Epoch(registered.end_epoch),
            digest: executed.digest,
            checkpoint: executed.checkpoint,
            cost,
        })
    }

    /// An object the wallet registered for the same blob, paid for at least as long, that still
    /// waits for its certificate: an interrupted put goes on with it and pays nothing twice.
    pub async fn uncertified_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration,
    ) -> Result<Option<Uncertified>, CallError> {
        let epoch = self.system().await?.position.epoch.0;
        let until = epoch.checked_add(registration.epochs).ok_or(CallError::TooLarge)?;
        let account = wallet.address();
        let owned = self.owned::<object::Blob>(&account, &TypeName::BLOB, "blob objects");
        let mut owned = pin!(owned.take(limits::CHAIN_OBJECTS_MAX));
        while let Some(blob) = owned.next().await {
            let blob = blob?;
            if blob.blob_id == *registration.blob_id.as_bytes()
                && blob.deletable == registration.deletable
                && blob.certified_epoch.is_none()
                && blob.storage.end_epoch >= until
            {
                let end_epoch = Epoch(blob.storage.end_epoch);
                return Ok(Some(Uncertified { object: blob.id, end_epoch }));
            }
        }
        Ok(None)
    }

    /// Puts a certificate on the ledger; succeeds at once if the blob object has one already.
    pub async fn certify_blob(
        &self,
        wallet: &Wallet,
        object: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Certified, CallError> {
        let blob: object::Blob = decode(&self.object(object, "blob object").await?)?;
        if let Some(epoch) = blob.certified_epoch {
            let (digest, checkpoint, cost) = (None, None, Cost::default());
            return Ok(Certified { epoch: Epoch(epoch), digest, checkpoint, cost });
        }
        let build = || self.build_certification(wallet, object, certificate);
        let executed = self.run(wallet, build).await?;
        let certified = executed.events.iter().find_map(|event| match event {
            Event::BlobCertified(certified) => Some(Epoch(certified.epoch)),
            _ => None,
        });
        let missing = || CallError::unreadable("a certification that certified nothing");
        Ok(Certified {
            epoch: certified.ok_or_else(missing)?,
            digest: Some(executed.digest),
            checkpoint: executed.checkpoint,
            cost: Cost { wal: 0, gas: executed.gas },
        })
    }

    /// The transaction that registers a blob.
    async fn build_registration(
        &self,
        wallet: &Wallet,
        registration: &Registration,
        position: &Position,
        quote: &Quote,
    ) -> Result<Transaction, CallError> {
        let mut draft = Draft::new(self, wallet);
        let needed = quote.storage.checked_add(quote.write).ok_or(CallError::TooLarge)?;
        let payment = draft.purse(needed).await?;
        let start_epoch = position.epoch.0;
        let end_epoch = start_epoch.checked_add(registration.epochs).ok_or(CallError::TooLarge)?;
        let (size, max_total) = (quote.encoded_bytes, quote.storage);
        let reserve = ReserveSpace { size, start_epoch, end_epoch, max_total };
        let mut places = Places { payment: Some(payment), ..Places::default() };
        let bought = draft.call(&call::Function::RESERVE_SPACE, reserve.arguments(), &places)?;
        places.storage = Some(bought);
        let register = RegisterBlob {
            blob_id: *registration.blob_id.as_bytes(),
            root: registration.root,
            size: registration.length,
            encoding_type: ENCODING,
            deletable: registration.deletable,
            max_total: quote.write,
        };
        let blob = draft.call(&call::Function::REGISTER_BLOB, register.arguments(), &places)?;
        draft.keep(vec![blob]);
        draft.finish().await
    }

    /// The transaction that certifies a blob.
    async fn build_certification(
        &self,
        wallet: &Wallet,
        blob: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Transaction, CallError> {
        let mut draft = Draft::new(self, wallet);
        let places = draft.blob(blob).await?;
        let certify = CertifyBlob {
            signature: certificate.signature.to_bytes().to_vec(),
            signers: certificate.signers.clone(),
            message: certificate.message.clone(),
        };
        draft.call(&call::Function::CERTIFY_BLOB, certify.arguments(), &places)?;
        draft.finish().await
    }
}
