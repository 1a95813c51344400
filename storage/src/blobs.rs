//! What the chain says about blobs: one row per on-chain object, joined per blob id.
//!
//! Promises: several objects may stand for one blob id, and each is kept apart; a blob counts as registered or
//! certified as long as one of its objects is. Does not: know the current epoch, so callers pass the one they decide by;
//! or forget objects whose time is over, which is `expiry.rs`.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::machine::confirmation::Registration;
use haulout_protocol::message::Persistence;
use redb::{ReadTransaction, ReadableTable};

use crate::error::StoreError;
use crate::tables::{self, BlobKey, INVALID, OBJECTS, ObjectKey, ObjectRow, Tables};

/// One on-chain object that stands for a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobObject {
    /// The object's id.
    pub object_id: ObjectId,
    /// Epoch in which it was registered.
    pub registered_epoch: Epoch,
    /// First epoch in which it no longer covers the blob.
    pub end_epoch: Epoch,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Whether its owner may delete it before its end.
    pub deletable: bool,
    /// Epoch in which it was first certified.
    pub certified_epoch: Option<Epoch>,
}

impl BlobObject {
    /// Whether the object still covers the blob in that epoch.
    pub fn is_live(&self, epoch: Epoch) -> bool {
        epoch < self.end_epoch
    }
}

/// Everything the chain has said about one blob id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobRecord {
    /// The objects that stand for it, by id.
    pub objects: Vec<BlobObject>,
    /// When it was found to be encoded wrongly.
    pub invalid: Option<Epoch>,
}

impl BlobRecord {
    /// Whether an object covers the blob in that epoch, so that its bytes may be stored.
    pub fn is_registered(&self, epoch: Epoch) -> bool {
        self.invalid.is_none() && self.objects.iter().any(|object| object.is_live(epoch))
    }

    /// Whether a certified object covers the blob in that epoch, so that the network answers for it.
    pub fn is_certified(&self, epoch: Epoch) -> bool {
        let certified =
            |object: &BlobObject| object.is_live(epoch) && object.certified_epoch.is_some();
        self.invalid.is_none() && self.objects.iter().any(certified)
    }

    /// What the chain says of the blob in that epoch: of any object, or as a confirmation of this persistence names it, that
    /// is of a permanent object or of this deletable one.
    pub fn registration(&self, persistence: Option<Persistence>, epoch: Epoch) -> Registration {
        if self.invalid.is_some() {
            return Registration::Invalid;
        }
        let is_seen = match persistence {
            None => self.is_registered(epoch),
            Some(Persistence::Permanent) => self.permanent(epoch).is_some(),
            Some(Persistence::Deletable(object)) => {
                self.object(&object).is_some_and(|object| object.deletable && object.is_live(epoch))
            }
        };
        if is_seen { Registration::Seen } else { Registration::Unseen }
    }

    /// The object with that id.
    pub fn object(&self, object_id: &ObjectId) -> Option<&BlobObject> {
        self.objects.iter().find(|object| object.object_id == *object_id)
    }

    /// The longest-lived object that covers the blob in that epoch and cannot be deleted.
    pub fn permanent(&self, epoch: Epoch) -> Option<&BlobObject> {
        let permanent = |object: &&BlobObject| !object.deletable && object.is_live(epoch);
        self.objects.iter().filter(permanent).max_by_key(|object| object.end_epoch)
    }

    /// The first epoch in which no object covers the blob; none when no object is left.
    pub fn end_epoch(&self) -> Option<Epoch> {
        self.objects.iter().map(|object| object.end_epoch).max()
    }

    /// The epoch in which the blob was first certified, among the objects that remain.
    pub fn certified_epoch(&self) -> Option<Epoch> {
        self.objects.iter().filter_map(|object| object.certified_epoch).min()
    }

    /// The blob's length in bytes, as registered.
    pub fn size(&self) -> Option<u64> {
        self.objects.first().map(|object| object.size)
    }
}

/// Reads a blob's record; none if the chain never mentioned it, or every object of it is gone.
pub(crate) fn read(
    view: &ReadTransaction,
    blob_id: &BlobId,
) -> Result<Option<BlobRecord>, StoreError> {
    let blob = blob_id.as_bytes();
    let mut objects = Vec::new();
    for row in
        view.open_table(OBJECTS)?.range::<&ObjectKey>(tables::keys(&tables::objects_of(blob)))?
    {
        let (key, row) = row?;
        let (_, object_id) = key.value().split_at(32);
        let bytes: [u8; 32] = object_id.try_into().expect("an object key is two ids of 32 bytes");
        objects.push(object_of(bytes.into(), row.value()));
    }
    let invalid = view.open_table(INVALID)?.get(blob)?.map(|epoch| Epoch(epoch.value()));
    let known = !objects.is_empty() || invalid.is_some();
    Ok(known.then_some(BlobRecord { objects, invalid }))
}

fn object_of(object_id: ObjectId, row: ObjectRow) -> BlobObject {
    let (registered, end, size, deletable, certified) = row;
    BlobObject {
        object_id,
        registered_epoch: Epoch(registered),
        end_epoch: Epoch(end),
        size,
        deletable,
        certified_epoch: certified.map(Epoch),
    }
}

/// Whether some object stands for the blob, live or expired.
pub(crate) fn has_objects(tables: &Tables<'_>, blob: &BlobKey) -> Result<bool, StoreError> {
    Ok(tables
        .objects
        .range::<&ObjectKey>(tables::keys(&tables::objects_of(blob)))?
        .next()
        .transpose()?
        .is_some())
}

/// How many objects stand for the blob, and the first epoch in which none of them covers it.
pub(crate) fn count_and_end(
    tables: &Tables<'_>,
    blob: &BlobKey,
) -> Result<(usize, Option<u32>), StoreError> {
    let (mut count, mut last) = (0_usize, None);
    for row in tables.objects.range::<&ObjectKey>(tables::keys(&tables::objects_of(blob)))? {
        let (_, end, _, _, _) = row?.1.value();
        count = count.saturating_add(1);
        last = last.max(Some(end));
    }
    Ok((count, last))
}
