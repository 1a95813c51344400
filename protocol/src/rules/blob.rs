//! Twin of `blob`: the life of a blob object.
//!
//! Promises: an id always follows from root, size and encoding; a certificate for one deletable
//! object never certifies another; a blob that ends leaves no metadata behind.
//! Does not: take money or know the capacity of the network.

use crate::blob::{BlobId, Encoding};
use crate::chain::abort::Abort;
use crate::chain::call::RegisterBlob;
use crate::chain::event::{BlobBurned, BlobCertified, BlobDeleted, BlobRegistered, Event};
use crate::chain::object::{Blob, Entry, Metadata, Params, Storage};
use crate::message::Persistence;

use super::{Context, encoding, storage};

/// Bytes of a key of metadata.
const KEY_BYTES_MAX: usize = 64;
/// Bytes of a value of metadata.
const VALUE_BYTES_MAX: usize = 1024;
/// Pairs of one blob.
const PAIRS_MAX: usize = 64;

/// A registered blob and the encoded length its writer pays for.
pub(super) fn new(
    context: &mut Context<'_>,
    epoch: u32,
    params: &Params,
    storage: Storage,
    call: &RegisterBlob,
) -> Result<(Blob, u64), Abort> {
    if epoch < storage.start_epoch || epoch >= storage.end_epoch {
        return Err(Abort::ResourceBounds);
    }
    let encoding = Encoding::from_number(call.encoding_type).ok_or(Abort::UnknownEncoding)?;
    let encoded = encoding::encoded_length(params, call.encoding_type, call.size)?;
    if encoded > storage.storage_size {
        return Err(Abort::ResourceSize);
    }
    if *BlobId::derive(encoding, call.size, &call.root).as_bytes() != call.blob_id {
        return Err(Abort::InvalidBlobId);
    }
    let blob = Blob {
        id: context.fresh_id(),
        registered_epoch: epoch,
        blob_id: call.blob_id,
        size: call.size,
        encoding_type: call.encoding_type,
        certified_epoch: None,
        storage,
        deletable: call.deletable,
        locked_by: None,
    };
    context.events.push(Event::BlobRegistered(BlobRegistered {
        epoch,
        blob_id: blob.blob_id,
        size: blob.size,
        encoding_type: blob.encoding_type,
        end_epoch: blob.storage.end_epoch,
        deletable: blob.deletable,
        object_id: blob.id,
    }));
    Ok((blob, encoded))
}

/// Marks a blob as certified by what the committee signed.
pub(super) fn certify(
    context: &mut Context<'_>,
    epoch: u32,
    blob: &mut Blob,
    (blob_id, persistence): (BlobId, Persistence),
) -> Result<(), Abort> {
    if *blob_id.as_bytes() != blob.blob_id {
        return Err(Abort::InvalidBlobId);
    }
    if blob.certified_epoch.is_some() {
        return Err(Abort::AlreadyCertified);
    }
    if epoch >= blob.storage.end_epoch {
        return Err(Abort::ResourceBounds);
    }
    match (persistence, blob.deletable) {
        (Persistence::Permanent, false) => {}
        (Persistence::Deletable(object), true) if object == blob.id => {}
        (Persistence::Deletable(_), true) => return Err(Abort::WrongObject),
        (Persistence::Permanent, true) | (Persistence::Deletable(_), false) => {
            return Err(Abort::WrongPersistence);
        }
    }
    blob.certified_epoch = Some(epoch);
    say_certified(context, epoch, blob, false);
    Ok(())
}

/// Checks that a blob has something to extend: a certificate that still holds.
pub(super) fn check_extendable(epoch: u32, blob: &Blob) -> Result<u32, Abort> {
    let certified = blob.certified_epoch.ok_or(Abort::NotCertified)?;
    match epoch < blob.storage.end_epoch {
        true => Ok(certified),
        false => Err(Abort::ResourceBounds),
    }
}

/// Prolongs a blob with storage of the same size that begins where the blob's ends.
pub(super) fn extend_with(
    context: &mut Context<'_>,
    epoch: u32,
    blob: &mut Blob,
    extension: Storage,
) -> Result<(), Abort> {
    let certified = check_extendable(epoch, blob)?;
    if extension.end_epoch <= blob.storage.end_epoch {
        return Err(Abort::ResourceBounds);
    }
    storage::fuse_periods(context, &mut blob.storage, extension)?;
    say_certified(context, certified, blob, true);
    Ok(())
}

/// Says that a blob is certified, or until when now; `epoch` is that of the certificate.
pub(super) fn say_certified(
    context: &mut Context<'_>,
    epoch: u32,
    blob: &Blob,
    is_extension: bool,
) {
    context.events.push(Event::BlobCertified(BlobCertified {
        epoch,
        blob_id: blob.blob_id,
        end_epoch: blob.storage.end_epoch,
        deletable: blob.deletable,
        object_id: blob.id,
        is_extension,
    }));
}

/// Deletes a blob and its metadata; its storage can be used again.
pub(super) fn delete(context: &mut Context<'_>, epoch: u32, blob: Blob) -> Result<Storage, Abort> {
    if !blob.deletable {
        return Err(Abort::NotDeletable);
    }
    if epoch >= blob.storage.end_epoch {
        return Err(Abort::ResourceBounds);
    }
    destroy(context, &blob)?;
    context.events.push(Event::BlobDeleted(BlobDeleted {
        epoch,
        blob_id: blob.blob_id,
        end_epoch: blob.storage.end_epoch,
        object_id: blob.id,
        was_certified: blob.certified_epoch.is_some(),
    }));
    Ok(blob.storage)
}

/// Destroys a blob with metadata and storage, deletable or not; nodes keep the data to its end.
pub(super) fn burn(context: &mut Context<'_>, epoch: u32, blob: Blob) -> Result<(), Abort> {
    destroy(context, &blob)?;
    context.deleted.insert(blob.storage.id);
    let Blob { id: object_id, blob_id, .. } = blob;
    context.events.push(Event::BlobBurned(BlobBurned { epoch, blob_id, object_id }));
    Ok(())
}

/// Ends a blob object that nobody has locked, and what hangs on it.
fn destroy(context: &mut Context<'_>, blob: &Blob) -> Result<(), Abort> {
    if blob.locked_by.is_some() {
        return Err(Abort::Locked);
    }
    if context.fields.metadata(&blob.id).is_some() {
        context.fields.set_metadata(&blob.id, None);
    }
    context.deleted.insert(blob.id);
    Ok(())
}

/// Attaches an empty map of texts.
pub fn add_metadata(context: &mut Context<'_>, blob: &Blob) -> Result<(), Abort> {
    if context.fields.metadata(&blob.id).is_some() {
        return Err(Abort::DuplicateMetadata);
    }
    context.fields.set_metadata(&blob.id, Some(Metadata::default()));
    Ok(())
}

/// Sets a text, which becomes the last one; attaches a map if there is none.
pub fn insert_or_update_metadata_pair(
    context: &mut Context<'_>,
    blob: &Blob,
    key: String,
    value: String,
) -> Result<(), Abort> {
    if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
        return Err(Abort::MetadataTooLarge);
    }
    let mut metadata = context.fields.metadata(&blob.id).unwrap_or_default();
    metadata.pairs.retain(|pair| pair.key != key);
    if metadata.pairs.len() >= PAIRS_MAX {
        return Err(Abort::MetadataTooLarge);
    }
    metadata.pairs.push(Entry { key, value });
    context.fields.set_metadata(&blob.id, Some(metadata));
    Ok(())
}

/// Removes a text that is there.
pub fn remove_metadata_pair(
    context: &mut Context<'_>,
    blob: &Blob,
    key: &str,
) -> Result<(), Abort> {
    let mut metadata = context.fields.metadata(&blob.id).ok_or(Abort::MissingMetadata)?;
    let place = metadata.pairs.iter().position(|pair| pair.key == key);
    metadata.pairs.remove(place.ok_or(Abort::MissingMetadata)?);
    context.fields.set_metadata(&blob.id, Some(metadata));
    Ok(())
}

/// Removes the map with all its texts.
pub fn take_metadata(context: &mut Context<'_>, blob: &Blob) -> Result<(), Abort> {
    context.fields.metadata(&blob.id).ok_or(Abort::MissingMetadata)?;
    context.fields.set_metadata(&blob.id, None);
    Ok(())
}
