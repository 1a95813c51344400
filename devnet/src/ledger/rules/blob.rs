//! Twin of `blob`: the life of a blob object.
//!
//! Promises: an id always follows from root, size and encoding; a certificate for one deletable
//! object never certifies another.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::RegisterBlob;
use haulout_protocol::chain::event::{BlobCertified, BlobRegistered, Event};
use haulout_protocol::chain::object::{Blob, Params, Storage};
use haulout_protocol::message::Persistence;

use super::{Context, encoding};

/// A registered blob and the encoded length its writer pays for.
pub(super) fn new(
    context: &mut Context,
    epoch: u32,
    params: &Params,
    storage: Storage,
    call: &RegisterBlob,
) -> Result<(Blob, u64), Abort> {
    if epoch < storage.start_epoch || epoch >= storage.end_epoch {
        return Err(Abort::ResourceBounds);
    }
    let encoded = encoding::encoded_length(params, call.encoding_type, call.size)?;
    if encoded > storage.storage_size {
        return Err(Abort::ResourceSize);
    }
    // The encoding was checked above, so the id is derived with ours.
    if *BlobId::derive(call.size, &call.root).as_bytes() != call.blob_id {
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
    context: &mut Context,
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
    context.events.push(Event::BlobCertified(BlobCertified {
        epoch,
        blob_id: blob.blob_id,
        end_epoch: blob.storage.end_epoch,
        deletable: blob.deletable,
        object_id: blob.id,
        is_extension: false,
    }));
    Ok(())
}
