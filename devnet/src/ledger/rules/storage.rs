//! Twin of `storage`: reserved space.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::Storage;

use super::Context;

/// Space of a size for epochs `start..end`, which the caller has checked.
pub(super) fn create(
    context: &mut Context,
    start: u32,
    end: u32,
    size: u64,
) -> Result<Storage, Abort> {
    if size == 0 {
        return Err(Abort::ZeroSize);
    }
    Ok(Storage { id: context.fresh_id(), start_epoch: start, end_epoch: end, storage_size: size })
}
