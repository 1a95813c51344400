//! Twin of `bls`: is this the signature of a quorum?
//!
//! Promises: bitmap first, then weight, then the one expensive check.

use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::object::BlsCommittee;
use haulout_protocol::crypto::{PublicKey, Signature, aggregate_public_keys};

/// Checks that members with a quorum of shards signed the message.
pub(super) fn verify_quorum(
    committee: &BlsCommittee,
    signature: &[u8],
    signers: &[u8],
    message: &[u8],
) -> Result<(), Abort> {
    let members = &committee.members;
    if signers.len() > members.len().div_ceil(8) {
        return Err(Abort::InvalidBitmap);
    }
    let (mut keys, mut weight) = (Vec::new(), 0_u32);
    for (at, byte) in signers.iter().enumerate() {
        for bit in (0..8).filter(|bit| byte & (1 << bit) != 0) {
            let member = members.get(at * 8 + bit).ok_or(Abort::InvalidBitmap)?;
            weight += u32::from(member.weight);
            keys.push(member.public_key.as_slice());
        }
    }
    if 3 * weight < 2 * u32::from(committee.n_shards) + 1 {
        return Err(Abort::NotEnoughWeight);
    }
    let keys: Result<Vec<_>, _> = keys.into_iter().map(PublicKey::from_bytes).collect();
    let key = keys.and_then(|keys| aggregate_public_keys(&keys));
    match (key, Signature::from_bytes(signature)) {
        (Ok(key), Ok(signature)) if signature.verify(&key, message) => Ok(()),
        _ => Err(Abort::BadSignature),
    }
}
