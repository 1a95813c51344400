//! The rules on values of their own. `t07_...` is test T07 of the design.

mod blobs;
mod certificates;
mod epochs;
mod lengths;
mod metadata;
mod properties;
mod space;
mod stake;

use crate::blob::{BlobId, Encoding};
use crate::chain::ObjectId;
use crate::chain::abort::Abort;
use crate::chain::call::{CertifyBlob, ExtendBlob, RegisterBlob, ReserveSpace};
use crate::chain::event::Event;
use crate::chain::object::staking::Asks;
use crate::chain::object::{
    Blob, BlsCommittee, BlsMember, Coin, Params, Storage, System, Table, Treasury,
};
use crate::crypto::{SecretKey, aggregate_signatures};
use crate::epoch::Epoch;
use crate::message::{NetworkId, Persistence, blob_certificate_message};

use super::staking::Opening;
use super::{Context, accounting, bls, encoding, params, system};

const MIB: u64 = 1 << 20;
/// The current epoch of the samples.
const EPOCH: u32 = 5;
/// How many epochs can be reserved in the samples.
const AHEAD: u32 = 4;
/// Shards of the members: ten in all.
const WEIGHTS: [u16; 4] = [3, 3, 2, 2];

fn key(member: usize) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(member).unwrap() + 1; 32])
}

fn member((index, weight): (usize, &u16)) -> BlsMember {
    let public_key = key(index).public_key().to_bytes().to_vec();
    BlsMember {
        public_key,
        weight: *weight,
        node_id: ObjectId::from_bytes([u8::try_from(index).unwrap(); 32]),
    }
}

fn sample_system() -> System {
    let members = WEIGHTS.iter().enumerate().map(member).collect();
    System {
        id: ObjectId::from_bytes([1; 32]),
        version: 1,
        network_id: ObjectId::from_bytes([2; 32]),
        committee: bls::new_committee(EPOCH, members).unwrap(),
        total_capacity: 10 * MIB,
        used_capacity: 0,
        storage_price: 3,
        write_price: 1,
        last_price_epoch: EPOCH,
        ring: accounting::new_ring(EPOCH, AHEAD),
        invalid: Table { id: ObjectId::from_bytes([3; 32]), size: 0 },
        deny: vec![],
        last_event_sequence: 0,
        protocol_version: 1,
    }
}

fn sample_params() -> Params {
    Params {
        id: ObjectId::from_bytes([5; 32]),
        version: 1,
        network_id: ObjectId::from_bytes([2; 32]),
        n_shards: 10,
        segment_bytes: 1 << 20,
        short_bytes_max: 0,
        header_replicas: 5,
        max_epochs_ahead: AHEAD,
        values: params::defaults(10),
    }
}

fn sample_treasury(total_supply: u64) -> Treasury {
    Treasury {
        id: ObjectId::from_bytes([6; 32]),
        cap_id: ObjectId::from_bytes([7; 32]),
        total_supply,
    }
}

/// An epoch that begins with a committee, room for ten units and prices of 100 and 20.
fn opening(committee: BlsCommittee, burned: u64) -> Opening {
    let prices = Asks { storage: 100, write: 20 };
    Opening { burned, treasury: 0, dust: 0, committee, capacity: 10 * MIB, prices }
}

fn coin(balance: u64) -> Coin {
    Coin { id: ObjectId::from_bytes([4; 32]), balance }
}

fn storage(start_epoch: u32, end_epoch: u32, storage_size: u64) -> Storage {
    Storage { id: ObjectId::from_bytes([8; 32]), start_epoch, end_epoch, storage_size }
}

fn reserve(size: u64, start_epoch: u32, end_epoch: u32) -> ReserveSpace {
    ReserveSpace { size, start_epoch, end_epoch, max_total: u64::MAX }
}

/// What a blob of 1000 bytes needs.
fn needed() -> u64 {
    encoding::encoded_length(&sample_params(), Encoding::Segments.number(), 1000).unwrap()
}

fn sample_blob(deletable: bool) -> RegisterBlob {
    let (root, size) = ([9; 32], 1000);
    RegisterBlob {
        blob_id: *BlobId::derive(Encoding::Segments, size, &root).as_bytes(),
        root,
        size,
        encoding_type: Encoding::Segments.number(),
        deletable,
        max_total: u64::MAX,
    }
}

fn network() -> NetworkId {
    NetworkId::from_bytes([2; 32])
}

/// A signature by some members, with their bitmap.
fn sign(signers: &[usize], message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let signatures: Vec<_> = signers.iter().map(|member| key(*member).sign(message)).collect();
    let bitmap = signers.iter().fold(0, |bits, member| bits | 1 << member);
    (aggregate_signatures(&signatures).unwrap().to_bytes().to_vec(), vec![bitmap])
}

fn certificate(signers: &[usize], message: Vec<u8>) -> CertifyBlob {
    let (signature, signers) = sign(signers, &message);
    CertifyBlob { signature, signers, message }
}

/// The certificate a quorum gives a blob in an epoch.
fn certificate_of(blob: &Blob, epoch: u32) -> CertifyBlob {
    let persistence = match blob.deletable {
        true => Persistence::Deletable(blob.id),
        false => Persistence::Permanent,
    };
    let id = BlobId::from_bytes(blob.blob_id);
    certificate(&[0, 1, 2], blob_certificate_message(&network(), Epoch(epoch), &id, &persistence))
}

/// Everything one user needs: a system, its parameters, money and a running transaction.
struct Desk {
    context: Context<'static>,
    system: System,
    params: Params,
    coin: Coin,
}

impl Desk {
    fn new() -> Self {
        let context = Context::new([0; 32]);
        Desk { context, system: sample_system(), params: sample_params(), coin: coin(1_000_000) }
    }

    /// Runs one call; what a refused one did is undone.
    fn attempt<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T, Abort>) -> Result<T, Abort> {
        let (system, coin) = (self.system.clone(), self.coin.clone());
        let done = call(self);
        if done.is_err() {
            (self.system, self.coin) = (system, coin);
        }
        done
    }

    fn reserve(&mut self, call: &ReserveSpace) -> Result<Storage, Abort> {
        self.attempt(|desk| {
            system::reserve_space(&mut desk.context, &mut desk.system, call, &mut desk.coin)
        })
    }

    fn register_in(&mut self, storage: Storage, call: &RegisterBlob) -> Result<Blob, Abort> {
        self.attempt(|desk| {
            let Desk { context, system, params, coin } = desk;
            system::register_blob(context, system, params, storage, call, coin)
        })
    }

    /// A blob in space for two epochs.
    fn register(&mut self, deletable: bool) -> Blob {
        let space = self.reserve(&reserve(needed(), EPOCH, EPOCH + 2)).unwrap();
        self.register_in(space, &sample_blob(deletable)).unwrap()
    }

    fn certify(&mut self, blob: &mut Blob, call: &CertifyBlob) -> Result<(), Abort> {
        system::certify_blob(&mut self.context, &self.system, blob, call)
    }

    fn certified(&mut self, deletable: bool) -> Blob {
        let mut blob = self.register(deletable);
        let certificate = certificate_of(&blob, EPOCH);
        self.certify(&mut blob, &certificate).unwrap();
        blob
    }

    fn extend(&mut self, blob: &mut Blob, epochs: u32) -> Result<(), Abort> {
        let call = ExtendBlob { epochs, max_total: u64::MAX };
        self.attempt(|desk| {
            let Desk { context, system, coin, .. } = desk;
            system::extend_blob(context, system, blob, &call, coin)
        })
    }

    /// Lets epochs pass without settling them.
    fn pass_epochs(&mut self, epochs: u32) {
        let mut treasury = sample_treasury(u64::MAX);
        for _ in 0..epochs {
            let mut committee = self.system.committee.clone();
            committee.epoch += 1;
            let opening = opening(committee, 0);
            system::advance(&mut self.system, &mut treasury, &opening).unwrap();
        }
    }

    fn last_event(&self) -> &Event {
        self.context.events.last().unwrap()
    }

    /// Usage and rewards from the current epoch on.
    fn ring(&mut self) -> Vec<(u64, u64)> {
        let entry = |ahead| {
            let entry = accounting::lookup(&mut self.system.ring, ahead).unwrap();
            (entry.used_capacity, entry.rewards)
        };
        (0..AHEAD).map(entry).collect()
    }
}
