//! Telling the ledger of a blob: its registration, and more epochs.
//!
//! Promises: space and registration come in one transaction or not at all, and so do all parts of
//! an extension; nothing is paid beyond the prices of the space that is named, and nothing at all
//! if the wallet's objects of the blob are not those that were planned with.
//! Does not: decide what a put pays for, or encode or send the blob.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use futures::future::BoxFuture;
use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::call::{self, ExtendBlob, ExtendBlobWithResource, RegisterBlob};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::{ObjectId, object};
use haulout_protocol::crypto::Digest;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::space::{Space, Terms};

use super::draft::{Built, Draft, Places};
use super::error::CallError;
use super::handle::Chain;
use super::memory::Since;
use super::orders::{Cost, NewBlob, Registered};
use super::queues::{Queues, Together};
use super::submit::Executed;
use super::together::Order;
use super::waiting::shares;
use super::wallet::Wallet;

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

impl Chain {
    /// Registers a blob in space that is bought, reused, or both, in one transaction. What only buys goes together with others
    /// of the wallet that wait; a share of the gas is each one's cost then.
    pub async fn register_blob(
        &self,
        wallet: &Wallet,
        registration: &Registration<'_>,
        (terms, space): (&Terms, &Space),
    ) -> Result<Registered, CallError> {
        let planned = NewBlob::new(registration, space);
        if space.reused.is_none() {
            return self.together(wallet, planned).await;
        }
        let used = Mutex::new(Arc::new(planned.clone()));
        let (attempted, planned) = (&used, &planned);
        let build = |chain: Chain| async move {
            let mut now = planned.clone();
            chain.check_beside(wallet, planned).await?;
            now.space = chain.space_now(wallet, terms, &planned.space).await?;
            let now = Arc::new(now);
            set(attempted, &now);
            chain.build_registration(wallet, &[now]).await
        };
        let executed = self.run(wallet, build).await?;
        let used = used.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut registered = NewBlob::read(&executed, &[used]);
        registered.pop().unwrap_or_else(|| Err(nothing_registered()))
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
    async fn check_beside(&self, wallet: &Wallet, planned: &NewBlob) -> Result<(), CallError> {
        let is_outdated = self.outdated(wallet, &[planned]).await?.pop().unwrap_or_default();
        if is_outdated { Err(changed()) } else { Ok(()) }
    }

    /// Of which of these the wallet's objects are not those that were planned with. Called by whoever has its turn.
    async fn outdated(
        &self,
        wallet: &Wallet,
        planned: &[&NewBlob],
    ) -> Result<Vec<bool>, CallError> {
        let mut outdated = vec![false; planned.len()];
        if planned.iter().all(|one| one.beside.is_none()) {
            return Ok(outdated);
        }
        let (chain, account) = (self.impatient(), wallet.address()); // others wait meanwhile
        chain.up_to_date(&account).await?;
        chain.purse_now(&account).await?;
        let known = self.shared.turns.account(&account);
        let unsure: BTreeSet<_> = planned
            .iter()
            .filter(|one| known.memory().may_have_registered(&one.blob_id, one.since))
            .map(|one| *one.blob_id.as_bytes())
            .collect();
        if unsure.is_empty() {
            return Ok(outdated);
        }
        let of_these = |blob: &object::Blob| ready(unsure.contains(&blob.blob_id));
        let now: Vec<_> = chain.blobs(&account).try_filter(of_these).try_collect().await?;
        for (one, is_outdated) in planned.iter().zip(&mut outdated) {
            let id = one.blob_id.as_bytes();
            if let Some(beside) = one.beside.as_ref().filter(|_| unsure.contains(id)) {
                let mut now = now.iter().filter(|blob| blob.blob_id == *id);
                let is_same =
                    now.clone().count() == beside.len() && now.all(|blob| beside.contains(blob));
                *is_outdated = !is_same;
            }
        }
        Ok(outdated)
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

    /// The transaction that registers blobs; one purse pays for all of them.
    async fn build_registration(
        &self,
        wallet: &Wallet,
        blobs: &[Arc<NewBlob>],
    ) -> Result<Built, CallError> {
        let mut draft = Draft::new(self, wallet);
        let needed = blobs.iter().try_fold(0u64, |sum, blob| {
            sum.checked_add(blob.space.price())?.checked_add(blob.write)
        });
        let payment = Some(draft.purse(needed.ok_or(CallError::TooLarge)?).await?);
        let mut made = Vec::with_capacity(blobs.len());
        for blob in blobs {
            let storage = Some(draft.space(&blob.space, payment).await?);
            let places = Places { payment, storage, ..Places::default() };
            let register = RegisterBlob {
                blob_id: *blob.blob_id.as_bytes(),
                root: blob.root,
                size: blob.length,
                encoding_type: blob.encoding.number(),
                deletable: blob.deletable,
                max_total: blob.write,
            };
            let arguments = register.arguments();
            made.push(draft.call(&call::Function::REGISTER_BLOB, arguments, &places)?);
        }
        draft.keep(made);
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
}

impl NewBlob {
    fn new(registration: &Registration<'_>, space: &Space) -> NewBlob {
        let Registration { blob_id, root, encoding, length, deletable, write, beside, since } =
            *registration;
        let (beside, space) = (beside.map(<[_]>::to_vec), space.clone());
        NewBlob { blob_id, root, encoding, length, deletable, write, beside, since, space }
    }
}

impl Order for NewBlob {
    type Done = Registered;

    /// Each is paid.
    const MAY_REPEAT: bool = false;

    /// A second registration of a blob is planned with the first, or refused by it.
    fn key(&self) -> [u8; 32] {
        *self.blob_id.as_bytes()
    }

    fn queues(together: &Together<Chain>) -> &Queues<Chain, NewBlob, Registered> {
        &together.registering
    }

    fn outdated<'a>(
        chain: &'a Chain,
        wallet: &'a Wallet,
        orders: &'a [Arc<NewBlob>],
    ) -> BoxFuture<'a, Result<Vec<(usize, CallError)>, CallError>> {
        Box::pin(async move {
            let planned: Vec<_> = orders.iter().map(Arc::as_ref).collect();
            let outdated = chain.outdated(wallet, &planned).await?;
            let places = (0..).zip(outdated).filter(|(_, is_outdated)| *is_outdated);
            Ok(places.map(|(place, _)| (place, changed())).collect())
        })
    }

    fn build<'a>(
        chain: &'a Chain,
        wallet: &'a Wallet,
        orders: &'a [Arc<NewBlob>],
    ) -> BoxFuture<'a, Result<Built, CallError>> {
        Box::pin(chain.build_registration(wallet, orders))
    }

    /// Each cost what its own events say; a purchase comes before the registration that it is for.
    fn read(executed: &Executed, orders: &[Arc<NewBlob>]) -> Vec<Result<Registered, CallError>> {
        let (mut paid, mut found) = (0u64, BTreeMap::new());
        for event in &executed.events {
            match event {
                Event::StoragePurchased(bought) => paid = paid.saturating_add(bought.paid),
                Event::BlobRegistered(event) => {
                    found.entry(event.blob_id).or_insert((event, std::mem::take(&mut paid)));
                }
                _ => {}
            }
        }
        let shares = shares(executed.gas, orders.len());
        let done = orders.iter().zip(shares).map(|(order, gas)| {
            let (event, paid) = found.remove(&order.key()).ok_or_else(nothing_registered)?;
            Ok(Registered {
                object: event.object_id,
                end_epoch: Epoch(event.end_epoch),
                space: order.space.clone(),
                digest: executed.digest.clone(),
                checkpoint: executed.checkpoint,
                cost: Cost { wal: paid.saturating_add(order.write), gas },
            })
        });
        done.collect()
    }
}

/// The wallet's objects of a blob are others than planned with.
fn changed() -> CallError {
    CallError::Outdated { what: "what the wallet owns of the blob".into() }
}

fn nothing_registered() -> CallError {
    CallError::unreadable("a registration that registered nothing")
}

/// Remembers the last attempt.
fn set<T: Clone>(used: &Mutex<T>, attempt: &T) {
    *used.lock().unwrap_or_else(PoisonError::into_inner) = attempt.clone();
}
