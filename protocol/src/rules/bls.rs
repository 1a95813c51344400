//! Twin of `bls`: is this the signature of enough of the committee?
//!
//! Promises: bitmap first, then weight, then the one expensive check; a member counts once.

use crate::chain::abort::Abort;
use crate::chain::object::{BlsCommittee, BlsMember};
use crate::crypto::{PublicKey, Signature, aggregate_public_keys};

/// How much of the committee must stand behind a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threshold {
    /// More than two thirds of the shards.
    Quorum,
    /// More than a third of the shards: one of the signers is correct.
    OneCorrect,
}

impl Threshold {
    /// Whether signers with `weight` of `n_shards` shards are enough.
    pub(super) fn is_met(self, weight: u32, n_shards: u16) -> bool {
        let (weight, shards) = (u64::from(weight), u64::from(n_shards));
        match self {
            Threshold::Quorum => 3 * weight > 2 * shards,
            Threshold::OneCorrect => 3 * weight > shards,
        }
    }
}

/// The committee of an epoch, whose members all have shards.
pub fn new_committee(epoch: u32, members: Vec<BlsMember>) -> Result<BlsCommittee, Abort> {
    let mut n_shards = 0_u16;
    for member in &members {
        if member.weight == 0 {
            return Err(Abort::ZeroWeight);
        }
        n_shards = n_shards.checked_add(member.weight).ok_or(Abort::CommitteeOverflow)?;
    }
    Ok(BlsCommittee { members, n_shards, epoch })
}

/// Checks that members with enough shards signed the message.
pub(super) fn verify(
    committee: &BlsCommittee,
    threshold: Threshold,
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
    if !threshold.is_met(weight, committee.n_shards) {
        return Err(Abort::NotEnoughWeight);
    }
    // Each key was checked, and its possession proved, when its node was registered.
    let keys: Result<Vec<_>, _> = keys.into_iter().map(PublicKey::from_checked_bytes).collect();
    let key = keys.and_then(|keys| aggregate_public_keys(&keys));
    match (key, Signature::from_bytes(signature)) {
        (Ok(key), Ok(signature)) if signature.verify(&key, message) => Ok(()),
        _ => Err(Abort::BadSignature),
    }
}
