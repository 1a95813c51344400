//! What the owner of blobs may do with them: decisions, made before anything is paid.
//!
//! Promises: pure; a plan holds only what the ledger would accept at the position it was made for,
//! and every object left out is named with its reason; a plan with nothing to do is an error.
//! Does not: read the ledger or change it, and does not replace its checks.

use haulout_actors::chain::{Extension, Found, Holder};
use haulout_actors::limits;
use haulout_actors::market::Quote;
use haulout_actors::position::Position;
use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::object::Blob;
use haulout_protocol::machine::put_plan;

use crate::error::{Error, Kind, Result};
use crate::words::wal;

pub mod storages;

/// How the user names what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All objects of the wallet for this blob.
    Blob(BlobId),
    /// One blob object.
    Object(ObjectId),
}

/// How far a blob object is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Paid for, but not certified.
    Registered,
    /// Durable until its end.
    Certified,
    /// Its end has come, certified or not.
    Expired,
}

/// Objects of the same blob that are left as they are, and why.
pub type Skipped = Vec<(ObjectId, Error)>;

/// What will be extended, and what that costs.
#[derive(Debug)]
pub struct ExtensionPlan {
    /// How many epochs more for each object.
    pub epochs: u32,
    /// The objects with their prices, at least one.
    pub objects: Vec<(Blob, u64)>,
    /// The sum of all prices, in FROST.
    pub total: u64,
    /// Objects of the same blob that are left as they are, and why.
    pub skipped: Skipped,
}

/// How a blob object ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The blob goes, its storage stays with the owner.
    Delete,
    /// The object goes with its storage, the data stays with the nodes until its end.
    Burn,
}

/// What will be removed.
#[derive(Debug)]
pub struct RemovalPlan {
    /// How.
    pub removal: Removal,
    /// The objects, at least one.
    pub objects: Vec<Blob>,
    /// Objects of the same blob that are left as they are, and why.
    pub skipped: Skipped,
}

impl State {
    /// The state of a blob object in an epoch.
    pub fn of(blob: &Blob, epoch: u32) -> State {
        match (epoch >= blob.storage.end_epoch, blob.certified_epoch) {
            (true, _) => State::Expired,
            (false, Some(_)) => State::Certified,
            (false, None) => State::Registered,
        }
    }

    /// The state as everybody calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Registered => "registered",
            State::Certified => "certified",
            State::Expired => "expired",
        }
    }
}

impl ExtensionPlan {
    /// Decides which of these objects of one blob are extended, and for how much.
    pub fn new(blobs: Vec<Blob>, epochs: u32, position: &Position) -> Result<Self> {
        let (fit, skipped) = sort_out(blobs, |blob| extendable(blob, epochs, position))?;
        let mut objects = Vec::with_capacity(fit.len());
        let mut total = 0u64;
        for blob in fit {
            let price = position.market.storage_price(blob.storage.storage_size, epochs);
            let sum = price.and_then(|price| Some((price, total.checked_add(price)?)));
            let (price, sum) = sum.ok_or_else(unpriced)?;
            total = sum;
            objects.push((blob, price));
        }
        Ok(ExtensionPlan { epochs, objects, total, skipped })
    }

    /// Refuses what the wallet cannot pay.
    pub fn affordable(&self, balance: u64) -> Result<()> {
        if balance >= self.total {
            return Ok(());
        }
        let message = format!("it costs {} and the wallet holds {}", wal(self.total), wal(balance));
        Err(Error::new(Kind::Funds, message)
            .detail("needed_frost", self.total)
            .detail("available_frost", balance))
    }

    /// What the ledger is told.
    pub fn calls(&self) -> Vec<Extension> {
        let call = |(blob, price): &(Blob, u64)| Extension {
            blob: blob.clone(),
            epochs: self.epochs,
            price: *price,
        };
        self.objects.iter().map(call).collect()
    }
}

impl RemovalPlan {
    /// Decides which of these objects of one blob are removed.
    pub fn new(blobs: Vec<Blob>, removal: Removal, epoch: u32) -> Result<Self> {
        let (objects, skipped) = sort_out(blobs, |blob| match removal {
            Removal::Delete => unlocked(blob).and_then(|()| deletable(blob, epoch)),
            Removal::Burn => unlocked(blob),
        })?;
        Ok(RemovalPlan { removal, objects, skipped })
    }
}

/// What storing so many bytes for `epochs` epochs, the current one included, costs.
pub fn quote(length: u64, epochs: u32, position: &Position) -> Result<Quote> {
    let terms = position.terms();
    put_plan::check_end(terms.epoch.saturating_add(epochs), &terms)?;
    let quote = position.quote(length, epochs);
    quote.filter(|quote| quote.storage.checked_add(quote.write).is_some()).ok_or_else(unpriced)
}

/// The objects an account has for a blob, of which there must be one.
pub fn of_blob(found: Vec<Blob>, blob_id: &BlobId, wallet: &ObjectId) -> Result<Vec<Blob>> {
    if !found.is_empty() {
        return Ok(found);
    }
    let wallet = wallet.to_string();
    let message = format!(
        "the wallet {wallet} has no object of the blob {blob_id}: it was deleted, or it never had one"
    );
    let hint = format!(
        "`haulout ls` lists what you own; `haulout status {blob_id}` says whether the network has it, \
         and then only its owner can change it"
    );
    Err(Error::new(Kind::NotFound, message).hint(hint).detail("wallet", wallet))
}

/// The blob object that was named, if it is the account's.
pub fn of_object(found: Option<Found>, id: &ObjectId, wallet: &ObjectId) -> Result<Vec<Blob>> {
    let name = id.to_string();
    match found {
        None => Err(Error::new(Kind::NotFound, format!("the ledger has no object {name}"))
            .hint("it may have been deleted; `haulout ls` lists what you own")),
        Some(Found::Other(kind)) => {
            Err(Error::new(Kind::Usage, format!("the object {name} is no blob but {kind}"))
                .hint("`haulout ls` lists the blob objects you own"))
        }
        Some(Found::Blob(blob, Holder::Account(owner))) if owner == *wallet => Ok(vec![*blob]),
        Some(Found::Blob(_, holder)) => {
            let owner = match holder {
                Holder::Account(owner) => owner.to_string(),
                Holder::Other => "no single account".to_owned(),
            };
            let wallet = wallet.to_string();
            let message =
                format!("the blob object {name} belongs to {owner}, not to the wallet {wallet}");
            Err(Error::new(Kind::Permission, message)
                .hint("use the owner's wallet (wallet.key_file), or another context")
                .detail("owner", owner))
        }
    }
}

/// Separates what passes from what does not. If nothing passes, the object that lasts longest says
/// why not.
fn sort_out(
    mut blobs: Vec<Blob>,
    check: impl Fn(&Blob) -> Result<()>,
) -> Result<(Vec<Blob>, Skipped)> {
    blobs.sort_by_key(|blob| std::cmp::Reverse(blob.storage.end_epoch));
    let (mut fit, mut skipped) = (Vec::new(), Vec::new());
    for blob in blobs {
        match check(&blob) {
            Ok(()) => fit.push(blob),
            Err(reason) => skipped.push((blob.id, reason)),
        }
    }
    if fit.len() > limits::CHAIN_BLOBS_PER_CALL_MAX {
        let message = format!("{} objects are too many for one transaction", fit.len());
        return Err(Error::new(Kind::Usage, message).hint("name one of them with --object"));
    }
    match (fit.is_empty(), skipped.is_empty()) {
        (true, false) => Err(skipped.swap_remove(0).1),
        (true, true) => Err(Error::new(Kind::Internal, "a plan for no object")),
        (false, _) => Ok((fit, skipped)),
    }
}

/// Whether the ledger would extend a blob.
fn extendable(blob: &Blob, epochs: u32, position: &Position) -> Result<()> {
    let (name, epoch, end) = (blob.id.to_string(), position.epoch.0, blob.storage.end_epoch);
    match State::of(blob, epoch) {
        State::Expired => return Err(expired(blob, epoch)),
        State::Registered => {
            let message =
                format!("the blob object {name} has no certificate, so nothing to extend");
            return Err(Error::new(Kind::NotFound, message)
                .hint("put the file again: it goes on where the interrupted put stopped"));
        }
        State::Certified => {}
    }
    let most = position.market.epochs_ahead_max.saturating_sub(end - epoch);
    if epochs <= most {
        return Ok(());
    }
    let ahead = position.market.epochs_ahead_max;
    let message = format!(
        "the blob object {name} ends in epoch {end}, and storage can be bought {ahead} epochs \
         ahead of epoch {epoch}: at most {most} more, not {epochs}"
    );
    let hint = match most {
        0 => "extend it in a later epoch".to_owned(),
        _ => format!("use --epochs {most}, and extend it again in a later epoch"),
    };
    Err(Error::new(Kind::Usage, message).hint(hint).detail("epochs_max", most))
}

/// Whether the ledger would delete a blob.
fn deletable(blob: &Blob, epoch: u32) -> Result<()> {
    if State::of(blob, epoch) == State::Expired {
        return Err(expired(blob, epoch).hint(format!(
            "nothing is left to delete; `haulout rm --burn {}` destroys the object",
            blob.id
        )));
    }
    if blob.deletable {
        return Ok(());
    }
    let (name, end) = (blob.id.to_string(), blob.storage.end_epoch);
    let message = format!(
        "the blob object {name} is permanent: it was stored with the promise that nobody, not \
         even its owner, deletes it before epoch {end}"
    );
    Err(Error::new(Kind::Permission, message).hint(format!(
        "`haulout rm --burn {name}` destroys your object and its storage, but the data stays readable \
         until epoch {end}"
    )))
}

/// Whether no listing or rental holds a blob.
fn unlocked(blob: &Blob) -> Result<()> {
    let Some(holder) = &blob.locked_by else { return Ok(()) };
    let (name, holder) = (blob.id.to_string(), holder.to_string());
    let message = format!("the blob object {name} is locked by the listing or rental {holder}");
    Err(Error::new(Kind::Permission, message).hint("end the listing or the rental first"))
}

fn expired(blob: &Blob, epoch: u32) -> Error {
    let (name, end) = (blob.id.to_string(), blob.storage.end_epoch);
    let message =
        format!("the blob object {name} expired in epoch {end}, and now is epoch {epoch}");
    Error::new(Kind::Expired, message).detail("end_epoch", end)
}

/// The error for amounts that fit no number.
fn unpriced() -> Error {
    Error::new(Kind::Usage, "this much storage for this long has no price")
        .hint("ask for fewer epochs")
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use samples::{sample, sample_position};
