//! What the chain's events change about blobs.
//!
//! Promises: an effect is written whole, and twice is as once; what follows from it for content, expiry and what is missing
//! is in the same transaction. Does not: judge events, or know where the store stands in the chain.

use haulout_protocol::blob::{BlobId, Encoding};
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::Event;
use haulout_protocol::epoch::Epoch;
use redb::ReadableTable;

use crate::blobs::has_objects;
use crate::content;
use crate::due;
use crate::error::StoreError;
use crate::order;
use crate::tables::{self, EventKey, Tables};
use crate::wanting;

/// What one event of the chain changes about a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobEffect {
    /// Somebody paid for storing the blob.
    Registered {
        /// The blob.
        blob_id: BlobId,
        /// The new object that stands for it.
        object_id: ObjectId,
        /// Epoch of the registration.
        epoch: Epoch,
        /// First epoch in which this object no longer covers the blob.
        end_epoch: Epoch,
        /// Length of the blob in bytes.
        size: u64,
        /// Whether the owner may delete it before its end.
        deletable: bool,
    },
    /// A quorum holds the blob, or a certified object was extended.
    Certified {
        /// The blob.
        blob_id: BlobId,
        /// The object certified.
        object_id: ObjectId,
        /// Epoch of the (first) certification.
        epoch: Epoch,
        /// The object's end epoch after this event.
        end_epoch: Epoch,
    },
    /// The object is gone: deleted or burned by its owner.
    Deleted {
        /// The blob.
        blob_id: BlobId,
        /// The object that no longer exists.
        object_id: ObjectId,
    },
    /// The committee proved that the blob was encoded wrongly; final.
    Invalidated {
        /// The blob.
        blob_id: BlobId,
        /// Epoch of the verdict.
        epoch: Epoch,
    },
}

impl BlobEffect {
    /// What an event means for blobs; nothing if it is about something else, or about a blob that is encoded in a way we do
    /// not store.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::BlobRegistered(said) => {
                Encoding::from_number(said.encoding_type)?;
                Some(BlobEffect::Registered {
                    blob_id: BlobId::from_bytes(said.blob_id),
                    object_id: said.object_id,
                    epoch: Epoch(said.epoch),
                    end_epoch: Epoch(said.end_epoch),
                    size: said.size,
                    deletable: said.deletable,
                })
            }
            Event::BlobCertified(said) => Some(BlobEffect::Certified {
                blob_id: BlobId::from_bytes(said.blob_id),
                object_id: said.object_id,
                epoch: Epoch(said.epoch),
                end_epoch: Epoch(said.end_epoch),
            }),
            Event::BlobDeleted(said) => Some(BlobEffect::Deleted {
                blob_id: BlobId::from_bytes(said.blob_id),
                object_id: said.object_id,
            }),
            Event::InvalidBlobId(said) => Some(BlobEffect::Invalidated {
                blob_id: BlobId::from_bytes(said.blob_id),
                epoch: Epoch(said.epoch),
            }),
            // A burned blob stays until the end its owner paid for.
            Event::BlobBurned(_)
            | Event::StoragePurchased(_)
            | Event::StorageDestroyed(_)
            | Event::ProtocolVersionUpdated(_)
            | Event::PricesUpdated(_)
            | Event::Burned(_)
            | Event::ParamChanged(_)
            | Event::EpochChangeStart(_)
            | Event::Stake(_) => None,
        }
    }
}

/// Writes one effect, of the event that the key names. Writing it twice changes nothing.
pub(crate) fn apply(
    tables: &mut Tables<'_>,
    effect: &BlobEffect,
    event: &EventKey,
) -> Result<(), StoreError> {
    match effect {
        BlobEffect::Registered { blob_id, object_id, epoch, end_epoch, size, deletable } => {
            let key = tables::object_key(blob_id.as_bytes(), object_id.as_bytes());
            let row = (epoch.0, end_epoch.0, *size, *deletable, None);
            if tables.objects.insert(&key, row)?.is_some() {
                order::update(tables, blob_id.as_bytes(), event, None)?;
            }
            due::set_due(tables, blob_id.as_bytes(), *end_epoch)?;
            content::set_registered(tables, blob_id.as_bytes())
        }
        BlobEffect::Certified { blob_id, object_id, epoch, end_epoch } => {
            certify(tables, blob_id, object_id, *epoch, *end_epoch)?;
            order::update(tables, blob_id.as_bytes(), event, Some(*epoch))
        }
        BlobEffect::Deleted { blob_id, object_id } => {
            let key = tables::object_key(blob_id.as_bytes(), object_id.as_bytes());
            tables.objects.remove(&key)?;
            order::update(tables, blob_id.as_bytes(), event, None)?;
            if has_objects(tables, blob_id.as_bytes())? {
                // The others may have ended before this one would have.
                return due::set_due(tables, blob_id.as_bytes(), Epoch(0));
            }
            content::set_unregistered(tables, blob_id.as_bytes())
        }
        BlobEffect::Invalidated { blob_id, epoch } => {
            tables.invalid.insert(blob_id.as_bytes(), epoch.0)?;
            order::update(tables, blob_id.as_bytes(), event, None)
        }
    }
}

fn certify(
    tables: &mut Tables<'_>,
    blob_id: &BlobId,
    object_id: &ObjectId,
    epoch: Epoch,
    end_epoch: Epoch,
) -> Result<(), StoreError> {
    let key = tables::object_key(blob_id.as_bytes(), object_id.as_bytes());
    let Some(row) = tables.objects.get(&key)?.map(|row| row.value()) else {
        // Possible only if the chain was followed from a point after the registration.
        tracing::warn!(blob_id = %blob_id.short(), "certified a blob object whose registration was never seen");
        return Ok(());
    };
    let (registered, _, size, deletable, certified) = row;
    let certified = certified.map_or(epoch.0, |first| first.min(epoch.0));
    tables.objects.insert(&key, (registered, end_epoch.0, size, deletable, Some(certified)))?;
    // Whether all of it is here is for those to see who look.
    wanting::note(tables, blob_id.as_bytes())?;
    // What was due at the old end stays due then: expiry looks at the blob and finds the new end.
    due::set_due(tables, blob_id.as_bytes(), end_epoch)
}

#[cfg(test)]
mod tests;
