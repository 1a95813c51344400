//! The state root: one hash that stands for every object there is.
//!
//! ```text
//! root = blake2b-256( "haulout state root 1" | number of objects, u64 little endian
//!                     | for each live object in ascending order of ids: id, 32 bytes
//!                                                                       digest, 32 bytes )
//! ```
//! Promises: the digest is Sui's own, over type, version, contents, owner and the transaction that
//! wrote the object; so equal roots mean equal objects, owned by the same, with the same history of
//! versions, at the same time (the clock is an object too).
//! Does not: cover versions that are past or checkpoints; the last checkpoint's digest does.

use haulout_protocol::crypto::blake2b_256;

use super::objects::Objects;

/// What tells this hash from every other.
const DOMAIN: &[u8] = b"haulout state root 1";

/// The root of these objects.
pub(super) fn of(objects: &Objects) -> [u8; 32] {
    let (mut leaves, mut count) = (Vec::new(), 0_u64);
    for object in objects.live() {
        leaves.extend_from_slice(object.object_id().inner());
        leaves.extend_from_slice(object.digest().inner());
        count += 1;
    }
    blake2b_256(&[DOMAIN, &count.to_le_bytes(), &leaves])
}
