//! Telling the ledger of a blob: its registration, more epochs, its certificate.
//!
//! Promises: space and registration come in one transaction or not at all, and so do all parts of
//! an extension; nothing is paid beyond the prices of the space that is named, and nothing at all
//! if the wallet's objects of the blob are not those that were planned with; certifying twice costs
//! nothing.
//! Does not: decide what a put pays for, encode or send the blob, or judge a certificate.

use std::sync::{Mutex, PoisonError};

use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{
    self, CertifyBlob, ExtendBlob, ExtendBlobWithResource, RegisterBlob,
};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::{ObjectId, object};
use haulout_protocol::crypto::Digest;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::{Space, Terms};

use super::draft::{Built, Draft, Places};
use super::memory::Since;
use super::read::decode;
use super::{CallError, Chain, Wallet};

/// A blob to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration<'a> {
    /// Its id.
    pub blob_id: BlobId,
    /// The root the id is derived from.
    pub root: Digest,
    /// The encoding that blobs of its length have.
    pub encoding: Encoding,
    /// Its length before encoding.
    pub length: u64,
    /// Whether its owner may delete it earlier.
    pub deletable: bool,
    /// The price of writing, and the most that may be paid for it.
    pub write: u64,
    /// The wallet's objects of the blob that were planned with: if it has others now, nothing is
    /// registered. Nothing if the blob is to be registered whatever the wallet has.
    pub beside: Option<&'a [object::Blob]>,
    /// A moment before these were read, by [`Chain::moment`].
    pub since: Since,
}

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of the storage token, in its smallest unit.
    pub wal: u64,
    /// Gas, in MIST; rebates can make it zero.
    pub gas: u64,
}

impl Cost {
    /// The cost of both.
    pub fn plus(self, other: Cost) -> Cost {
        Cost { wal: self.wal.saturating_add(other.wal), gas: self.gas.saturating_add(other.gas) }
    }
}

/// A blob registered by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The blob object, ours.
    pub object: ObjectId,
    /// The first epoch no longer paid for.
    pub end_epoch: Epoch,
    /// The space it got: as planned, unless the wallet's storage had changed.
    pub space: Space,
    /// The transaction.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost.
    pub cost: Cost,
}

/// A blob that got more epochs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// Where they came from: as planned, unless the wallet's storage had changed.
    pub space: Space,
    /// The transaction.
    pub digest: String,
    /// The checkpoint that contains it, if it was seen.
    pub checkpoint: Option<u64>,
    /// What it cost, at most.
    pub cost: Cost,
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
    /// Registers a blob in space that is bought, reused, or both, in one transaction.
    pub async fn register_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration<'_>,
        (terms, space): (&Terms, &Space),
    ) -> Result<Registered, CallError> {
        let used = Mutex::new(space.clone());
        let attempted = &used;
        let build = |chain: Chain| async move {
            chain.check_beside(wallet, registration).await?;
            let space = chain.space_now(wallet, terms, space).await?;
            set(attempted, &space);
            chain.build_registration(wallet, registration, &space).await
        };
        let executed = self.run(wallet, build).await?;
        let mut cost = Cost { wal: registration.write, gas: executed.gas };
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
            space: used.into_inner().unwrap_or_else(PoisonError::into_inner),
            digest: executed.digest,
            checkpoint: executed.checkpoint,
            cost,
        })
    }

    /// A moment in what is known of a wallet: read before its blobs are, it spares a registration that
    /// was planned with these a second look at all of them.
    pub async fn moment(&self, account: &ObjectId) -> Result<Since, CallError> {
        let known = self.shared.turns.account(account);
        let is_first = !known.memory().knows_coins();
        if is_first {
            let purse = self.purse(account).await?;
            known.memory().read(&purse, false);
        }
        Ok(known.memory().now())
    }

    /// Prolongs a certified blob of the wallet with space that is bought, reused, or both, in one
    /// transaction; refuses if the blob does not end any more where the space begins.
    pub async fn prolong_blob(
        &self,
        wallet: &Wallet,
        blob: (&BlobId, &ObjectId),
        (terms, space): (&Terms, &Space),
    ) -> Result<Extended, CallError> {
        let used = Mutex::new(space.clone());
        let attempted = &used;
        let build = |chain: Chain| async move {
            let space = chain.space_now(wallet, terms, space).await?;
            set(attempted, &space);
            chain.build_prolongation(wallet, blob, &space).await
        };
        let executed = self.run(wallet, build).await?;
        let space = used.into_inner().unwrap_or_else(PoisonError::into_inner);
        let cost = Cost { wal: space.price(), gas: executed.gas };
        let (digest, checkpoint) = (executed.digest, executed.checkpoint);
        Ok(Extended { space, digest, checkpoint, cost })
    }

    /// Refuses if the wallet's objects of the blob are not those that were planned with: others who
    /// spend the same wallet may have registered it since. Called by whoever has the turn of the
    /// wallet.
    async fn check_beside(
        &self,
        wallet: &Wallet,
        registration: &Registration<'_>,
    ) -> Result<(), CallError> {
        let Some(planned) = registration.beside else { return Ok(()) };
        let (chain, account) = (self.impatient(), wallet.address()); // others wait meanwhile
        chain.up_to_date(&account).await?;
        chain.purse_now(&account).await?;
        let known = self.shared.turns.account(&account);
        let (id, since) = (&registration.blob_id, registration.since);
        if !known.memory().may_have_registered(id, since) {
            return Ok(());
        }
        let now = chain.blobs_of(&account, id).await?;
        let is_same = now.len() == planned.len() && now.iter().all(|blob| planned.contains(blob));
        let changed = || CallError::Outdated { what: "what the wallet owns of the blob".into() };
        is_same.then_some(()).ok_or_else(changed)
    }

    /// The space of a plan, chosen anew if it reuses storage: others who spend the same wallet may
    /// have used it since. Called by whoever has the turn of the wallet.
    async fn space_now(
        &self,
        wallet: &Wallet,
        terms: &Terms,
        space: &Space,
    ) -> Result<Space, CallError> {
        if space.reused.is_none() {
            return Ok(space.clone());
        }
        let (chain, account) = (self.impatient(), wallet.address()); // others wait meanwhile
        chain.up_to_date(&account).await?;
        let storages = chain.storages(&account).await?;
        Space::choose(terms, &storages, space.need).ok_or(CallError::TooLarge)
    }

    /// Puts a certificate on the ledger; succeeds also if the blob object has one already, or gets
    /// one from somebody else meanwhile.
    pub async fn certify_blob(
        &self,
        wallet: &Wallet,
        object: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Certified, CallError> {
        if let Some(certified) = self.certified(object).await? {
            return Ok(certified);
        }
        let build = |chain: Chain| async move {
            chain.build_certification(wallet, object, certificate).await
        };
        let executed = match self.run(wallet, build).await {
            Ok(executed) => executed,
            Err(error) if error.abort() == Some(Abort::AlreadyCertified) => {
                return self.certified(object).await?.ok_or(error);
            }
            Err(error) => return Err(error),
        };
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

    /// What there is to say of a blob object that is certified already.
    async fn certified(&self, object: &ObjectId) -> Result<Option<Certified>, CallError> {
        let blob: object::Blob = decode(&self.object(object, "blob object").await?)?;
        let (digest, checkpoint, cost) = (None, None, Cost::default());
        let found = |epoch| Certified { epoch: Epoch(epoch), digest, checkpoint, cost };
        Ok(blob.certified_epoch.map(found))
    }

    /// The transaction that registers a blob.
    async fn build_registration(
        &self,
        wallet: &Wallet,
        registration: &Registration<'_>,
        space: &Space,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let needed = space.price().checked_add(registration.write).ok_or(CallError::TooLarge)?;
        let payment = Some(draft.purse(needed).await?);
        let storage = Some(draft.space(space, payment).await?);
        let places = Places { payment, storage, ..Places::default() };
        let register = RegisterBlob {
            blob_id: *registration.blob_id.as_bytes(),
            root: registration.root,
            size: registration.length,
            encoding_type: registration.encoding.number(),
            deletable: registration.deletable,
            max_total: registration.write,
        };
        let blob = draft.call(&call::Function::REGISTER_BLOB, register.arguments(), &places)?;
        draft.keep(vec![blob]);
        draft.finish().await
    }

    /// The transaction that prolongs a blob: with storage of the wallet first, for money then.
    async fn build_prolongation(
        &self,
        wallet: &Wallet,
        (blob_id, object): (&BlobId, &ObjectId),
        space: &Space,
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        // Epochs are added to the end the blob has when the transaction runs. Its version, which the
        // transaction names, ends where the space begins, or nothing is paid.
        let (blob, now) = draft.blob_now(object).await?;
        if now.blob_id != *blob_id.as_bytes() {
            return Err(self.not_as_shown("blob object", object));
        }
        if now.storage.end_epoch != space.need.start_epoch {
            return Err(CallError::Outdated { what: format!("the end of blob object {object}") });
        }
        if let Some(cut) = &space.reused {
            let places = Places { storage: Some(draft.cut(cut).await?), ..blob };
            let function = call::Function::EXTEND_BLOB_WITH_RESOURCE;
            draft.call(&function, ExtendBlobWithResource.arguments(), &places)?;
        }
        if let Some(bought) = &space.bought {
            let places = Places { payment: Some(draft.purse(bought.price).await?), ..blob };
            let epochs = bought.end_epoch.saturating_sub(bought.start_epoch);
            let extend = ExtendBlob { epochs, max_total: bought.price };
            draft.call(&call::Function::EXTEND_BLOB, extend.arguments(), &places)?;
        }
        draft.finish().await
    }

    /// The transaction that certifies a blob.
    async fn build_certification(
        &self,
        wallet: &Wallet,
        blob: &ObjectId,
        certificate: &Certificate,
    ) -> Result<Built, CallError> {
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

/// Remembers the space of the last attempt.
fn set(used: &Mutex<Space>, space: &Space) {
    *used.lock().unwrap_or_else(PoisonError::into_inner) = space.clone();
}
