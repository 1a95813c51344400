//! Bytes that were stored before their blob's registration was seen.
//!
//! Promises: no peer, and not all peers together, can make us keep more than their bound; a claim
//! is refused before the bytes are read.
//! Does not: survive a restart; what is on disk then belongs to nobody until the sweep.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::PeerId;

use crate::limits;

/// How much may be pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) per_peer: u64,
    pub(crate) total: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { per_peer: limits::PENDING_BYTES_PER_PEER_MAX, total: limits::PENDING_BYTES_MAX }
    }
}

/// Who has how much pending.
#[derive(Debug)]
pub(super) struct Pending {
    bounds: Bounds,
    claims: Mutex<Claims>,
}

#[derive(Debug, Default)]
struct Claims {
    by_peer: BTreeMap<PeerId, BTreeMap<BlobId, Claim>>,
    /// On disk since before our start.
    unowned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    bytes: u64,
    since_ms: u64,
}

impl Claims {
    fn of_peer(&self, peer: &PeerId) -> u64 {
        let claims = self.by_peer.get(peer).into_iter().flat_map(BTreeMap::values);
        claims.map(|claim| claim.bytes).sum()
    }

    fn owned(&self) -> u64 {
        self.by_peer.values().flat_map(BTreeMap::values).map(|claim| claim.bytes).sum()
    }
}

impl Pending {
    /// Starts with what the disk holds already.
    pub(super) fn new(bounds: Bounds, unowned: u64) -> Pending {
        let claims = Claims { unowned, ..Claims::default() };
        Pending { bounds, claims: Mutex::new(claims) }
    }

    /// Claims room for `bytes` more of a blob; `false` if a bound is reached.
    pub(super) fn claim(&self, peer: PeerId, blob_id: BlobId, bytes: u64, now_ms: u64) -> bool {
        let mut claims = self.claims();
        let of_peer = claims.of_peer(&peer).saturating_add(bytes);
        let total = claims.owned().saturating_add(claims.unowned).saturating_add(bytes);
        if of_peer > self.bounds.per_peer || total > self.bounds.total {
            return false;
        }
        let claim = Claim { bytes: 0, since_ms: now_ms };
        let blobs = claims.by_peer.entry(peer).or_default();
        let claim = blobs.entry(blob_id).or_insert(claim);
        claim.bytes = claim.bytes.saturating_add(bytes);
        true
    }

    /// The blob was registered: its bytes are pending no longer, whoever sent them.
    pub(super) fn settle(&self, blob_id: &BlobId) {
        let mut claims = self.claims();
        for blobs in claims.by_peer.values_mut() {
            blobs.remove(blob_id);
        }
        claims.by_peer.retain(|_, blobs| !blobs.is_empty());
    }

    /// Forgets claims made before `before_ms`; `on_disk` is what the store still has pending.
    /// Returns how much is pending now.
    pub(super) fn sweep(&self, before_ms: u64, on_disk: u64) -> u64 {
        let mut claims = self.claims();
        for blobs in claims.by_peer.values_mut() {
            blobs.retain(|_, claim| claim.since_ms >= before_ms);
        }
        claims.by_peer.retain(|_, blobs| !blobs.is_empty());
        claims.unowned = on_disk.saturating_sub(claims.owned());
        claims.owned().saturating_add(claims.unowned)
    }

    /// The blobs somebody has a claim on.
    pub(super) fn blobs(&self) -> Vec<BlobId> {
        let claims = self.claims();
        let mut blobs: Vec<_> = claims.by_peer.values().flat_map(BTreeMap::keys).copied().collect();
        blobs.sort_unstable();
        blobs.dedup();
        blobs
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOB: BlobId = BlobId::from_bytes([1; 32]);
    const OTHER: BlobId = BlobId::from_bytes([2; 32]);

    fn peer(byte: u8) -> PeerId {
        PeerId::from_key([byte; 32])
    }

    #[test]
    fn neither_one_peer_nor_all_together_pass_their_bound() {
        let pending = Pending::new(Bounds { per_peer: 100, total: 150 }, 20);
        assert!(pending.claim(peer(1), BLOB, 60, 0));
        assert!(!pending.claim(peer(1), OTHER, 41, 0), "the peer's bound");
        assert!(pending.claim(peer(1), OTHER, 40, 0));
        assert!(!pending.claim(peer(2), BLOB, 31, 0), "the bound of all, what was there included");
        assert!(pending.claim(peer(2), BLOB, 30, 0));
    }

    #[test]
    fn a_registration_frees_what_everybody_claimed_for_the_blob() {
        let pending = Pending::new(Bounds { per_peer: 100, total: 200 }, 0);
        assert!(pending.claim(peer(1), BLOB, 100, 0));
        assert!(pending.claim(peer(2), BLOB, 100, 0));
        assert!(!pending.claim(peer(3), OTHER, 1, 0));
        pending.settle(&BLOB);
        assert!(pending.claim(peer(1), OTHER, 100, 0));
        assert_eq!(pending.blobs(), [OTHER]);
    }

    #[test]
    fn claims_end_with_their_time_and_the_disk_has_the_last_word() {
        let pending = Pending::new(Bounds { per_peer: 100, total: 200 }, 0);
        assert!(pending.claim(peer(1), BLOB, 100, 5));
        assert!(pending.claim(peer(2), OTHER, 50, 20));
        assert_eq!(pending.sweep(10, 70), 70, "20 bytes on disk have no owner any more");
        assert_eq!(pending.sweep(30, 0), 0);
    }
}
