//! Bytes that came before their blob's registration was seen.
//!
//! Promises: no peer, no host, and not all together, can make us keep more than their bound; a claim is worth the bytes
//! that came, grows before they are read, and ends with its session unless they are durable.
//! Does not: survive a restart; what is on disk then belongs to nobody until the sweep. Hold up whoever registered:
//! registered bytes need no claim.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use haulout_protocol::blob::BlobId;
use haulout_protocol::crypto::PeerId;
use haulout_protocol::machine::guests::Guest;

use crate::limits;

/// How much may be pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) per_peer: u64,
    pub(crate) per_host: u64,
    pub(crate) total: u64,
    /// How many blobs, of all together.
    pub(crate) blobs: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            per_peer: limits::PENDING_BYTES_PER_PEER_MAX,
            per_host: limits::PENDING_BYTES_PER_HOST_MAX,
            total: limits::PENDING_BYTES_MAX,
            blobs: limits::PENDING_BLOBS_MAX,
        }
    }
}

/// Who has how much pending; a cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    bounds: Bounds,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// Bytes of sessions that run, by claim.
    arriving: BTreeMap<u64, (Owner, u64)>,
    /// Bytes on disk, and since when.
    durable: BTreeMap<Owner, (u64, u64)>,
    /// On disk since before our start.
    unowned: u64,
    next: u64,
}

/// What some owners have pending.
#[derive(Clone, Copy, Debug)]
struct Sum {
    bytes: u64,
    /// Blobs, or sessions that bring one.
    blobs: usize,
}

impl Sum {
    /// One blob of so many bytes.
    fn of(bytes: u64) -> Sum {
        Sum { bytes, blobs: 1 }
    }

    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.blobs = self.blobs.saturating_add(1);
    }
}

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    peer: PeerId,
    host: Option<IpAddr>,
    blob_id: BlobId,
}

impl Table {
    fn bytes(&self) -> impl Iterator<Item = (Owner, u64)> {
        let durable = self.durable.iter().map(|(owner, (bytes, _))| (*owner, *bytes));
        self.arriving.values().copied().chain(durable)
    }

    fn owned(&self) -> u64 {
        self.bytes().map(|(_, bytes)| bytes).sum()
    }

    /// Whether so many more of this owner pass no bound. Goes through all that is pending, which is bounded in number, too.
    fn has_room(&self, bounds: &Bounds, owner: &Owner, bytes: u64) -> bool {
        let (mut of_peer, mut of_host) = (Sum::of(bytes), Sum::of(bytes));
        let mut all = Sum::of(bytes.saturating_add(self.unowned));
        for (other, bytes) in self.bytes().filter(|(other, _)| other != owner) {
            all.add(bytes);
            if other.peer == owner.peer {
                of_peer.add(bytes);
            }
            if other.host == owner.host {
                of_host.add(bytes);
            }
        }
        let own: u64 = self.bytes().filter(|(other, _)| other == owner).map(|(_, own)| own).sum();
        let fits = |sum: Sum, bytes_max: u64, share: usize| {
            sum.bytes.saturating_add(own) <= bytes_max && sum.blobs <= bounds.blobs / share
        };
        fits(of_peer, bounds.per_peer, limits::PENDING_SHARES_OF_PEERS)
            && fits(of_host, bounds.per_host, limits::PENDING_SHARES_OF_HOSTS)
            && fits(all, bounds.total, 1)
    }
}

/// The bytes of one session that are not durable yet; they count no more when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    pending: Pending,
    owner: Owner,
    id: u64,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.pending.table().arriving.remove(&self.id);
    }
}

impl Claim {
    /// Claims room for `bytes` more; `false` if a bound is reached.
    pub(super) fn grow(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut table = self.pending.table();
        if !table.has_room(&self.pending.bounds, &self.owner, bytes) {
            return false;
        }
        let (_, claimed) = table.arriving.entry(self.id).or_insert((self.owner, 0));
        *claimed = claimed.saturating_add(bytes);
        true
    }

    /// The bytes are durable: they count until their blob is registered, or forgotten.
    pub(super) fn keep(self, now_ms: u64) {
        let mut table = self.pending.table();
        let Some((_, bytes)) = table.arriving.remove(&self.id) else { return };
        let (kept, _) = table.durable.entry(self.owner).or_insert((0, now_ms));
        *kept = kept.saturating_add(bytes);
    }
}

impl Pending {
    /// Starts with what the disk holds already.
    pub(super) fn new(bounds: Bounds, unowned: u64) -> Pending {
        let table = Table { unowned, ..Table::default() };
        Pending { bounds, table: Arc::new(Mutex::new(table)) }
    }

    /// A claim that is worth nothing yet.
    pub(super) fn claim(&self, guest: &Guest, blob_id: BlobId) -> Claim {
        let mut table = self.table();
        let id = table.next;
        table.next = table.next.saturating_add(1);
        let owner = Owner { peer: guest.peer, host: guest.host(), blob_id };
        Claim { pending: self.clone(), owner, id }
    }

    /// Whether there is room for so many bytes now: to be asked before memory is taken for them.
    pub(super) fn has_room(&self, guest: &Guest, blob_id: BlobId, bytes: usize) -> bool {
        let owner = Owner { peer: guest.peer, host: guest.host(), blob_id };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.table().has_room(&self.bounds, &owner, bytes)
    }

    /// A writer came back for the blob: what is durable of it is pending from now on.
    pub(super) fn renew(&self, blob_id: &BlobId, now_ms: u64) {
        let mut table = self.table();
        let of_blob = table.durable.iter_mut().filter(|(owner, _)| owner.blob_id == *blob_id);
        of_blob.for_each(|(_, (_, since_ms))| *since_ms = now_ms.max(*since_ms));
    }

    /// The blob was registered: its bytes are pending no longer, whoever sent them.
    pub(super) fn settle(&self, blob_id: &BlobId) {
        let mut table = self.table();
        table.durable.retain(|owner, _| owner.blob_id != *blob_id);
        table.arriving.retain(|_, (owner, _)| owner.blob_id != *blob_id);
    }

    /// Forgets bytes that are durable since before `before_ms`; `on_disk` is what the store still has pending.
    /// Returns how much is pending now.
    pub(super) fn sweep(&self, before_ms: u64, on_disk: u64) -> u64 {
        let mut table = self.table();
        table.durable.retain(|_, (_, since_ms)| *since_ms >= before_ms);
        let durable: u64 = table.durable.values().map(|(bytes, _)| bytes).sum();
        table.unowned = on_disk.saturating_sub(durable);
        table.owned().saturating_add(table.unowned)
    }

    /// The blobs of which something is pending.
    pub(super) fn blobs(&self) -> Vec<BlobId> {
        let table = self.table();
        let mut blobs: Vec<_> = table.bytes().map(|(owner, _)| owner.blob_id).collect();
        blobs.sort_unstable();
        blobs.dedup();
        blobs
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use haulout_protocol::machine::guests::Class;

    use super::*;

    const BLOB: BlobId = BlobId::from_bytes([1; 32]);
    const OTHER: BlobId = BlobId::from_bytes([2; 32]);
    const BOUNDS: Bounds = Bounds { per_peer: 100, per_host: 120, total: 150, blobs: 64 };

    fn guest(peer: u8, host: u8) -> Guest {
        let address = Some(IpAddr::from([10, 0, 0, host]));
        Guest { peer: PeerId::from_key([peer; 32]), address, class: Class::Stranger }
    }

    #[test]
    fn neither_a_peer_nor_a_host_nor_all_together_pass_their_bound() {
        let pending = Pending::new(BOUNDS, 20);
        let first = pending.claim(&guest(1, 1), BLOB);
        assert!(first.grow(60));
        let other = pending.claim(&guest(1, 1), OTHER);
        assert!(!other.grow(41), "the peer's bound");
        assert!(other.grow(40));
        let neighbour = pending.claim(&guest(2, 1), BLOB);
        assert!(!neighbour.grow(21), "the host's bound");
        assert!(neighbour.grow(20));
        let stranger = pending.claim(&guest(3, 2), BLOB);
        assert!(!stranger.grow(11), "the bound of all, what was there included");
        assert!(stranger.grow(10));
    }

    #[test]
    fn blobs_of_few_bytes_are_bounded_by_their_number() {
        let pending = Pending::new(Bounds { blobs: 64, ..Bounds::default() }, 0);
        let of_peer = 64 / limits::PENDING_SHARES_OF_PEERS;
        let claim = |peer: u8, number: u8| {
            let claim = pending.claim(&guest(peer, peer), BlobId::from_bytes([number; 32]));
            claim.grow(1).then_some(claim)
        };
        let mut kept: Vec<_> = (0..of_peer).map(|at| claim(1, at.to_le_bytes()[0])).collect();
        assert!(kept.iter().all(Option::is_some));
        assert!(claim(1, 200).is_none(), "the peer has enough");
        assert!(kept[0].as_ref().is_some_and(|claim| claim.grow(1)), "but may go on with those");
        kept.push(claim(2, 200));
        assert!(kept[of_peer].is_some());
    }

    #[test]
    fn a_claim_is_worth_nothing_before_its_bytes_and_ends_with_its_session() {
        let pending = Pending::new(BOUNDS, 0);
        let idle: Vec<_> = (0..50).map(|peer| pending.claim(&guest(peer, peer), BLOB)).collect();
        let busy = pending.claim(&guest(60, 1), OTHER);
        assert!(busy.grow(100), "fifty idle sessions claim nothing");
        assert!(!pending.has_room(&guest(61, 2), OTHER, 51));
        drop(busy);
        assert!(pending.has_room(&guest(61, 2), OTHER, 100));
        let kept = pending.claim(&guest(62, 3), OTHER);
        assert!(kept.grow(100));
        kept.keep(0);
        assert!(!pending.has_room(&guest(61, 2), OTHER, 51), "durable bytes stay claimed");
        drop(idle);
    }

    #[test]
    fn a_registration_frees_what_everybody_claimed_for_the_blob() {
        let pending = Pending::new(BOUNDS, 0);
        let (durable, arriving) =
            (pending.claim(&guest(1, 1), BLOB), pending.claim(&guest(2, 2), BLOB));
        assert!(durable.grow(70) && arriving.grow(70));
        durable.keep(0);
        let other = pending.claim(&guest(3, 3), OTHER);
        assert!(!other.grow(100));
        pending.settle(&BLOB);
        assert!(other.grow(100));
        assert_eq!(pending.blobs(), [OTHER]);
    }

    #[test]
    fn durable_bytes_are_forgotten_in_time_and_the_disk_has_the_last_word() {
        let pending = Pending::new(BOUNDS, 0);
        for (peer, blob_id, bytes, since_ms) in [(1, BLOB, 90, 5), (2, OTHER, 50, 20)] {
            let claim = pending.claim(&guest(peer, peer), blob_id);
            assert!(claim.grow(bytes));
            claim.keep(since_ms);
        }
        assert_eq!(pending.sweep(10, 70), 70, "20 bytes on disk have no owner any more");
        pending.renew(&OTHER, 30);
        assert_eq!(pending.sweep(30, 50), 50, "its writer came back");
        assert!(!pending.has_room(&guest(2, 2), BLOB, 51), "they are still its");
        assert_eq!(pending.sweep(31, 0), 0);
    }
}
