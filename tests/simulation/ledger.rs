//! The ledger: the rules of the protocol, one checkpoint for each transaction.
//!
//! Promises: what it accepts, refuses and says is what the rules of the contract say. Does not: choose committees, or cost
//! anything.

use std::collections::BTreeMap;

use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{CertifyBlob, ExtendBlob, RegisterBlob, ReserveSpace};
use haulout_protocol::chain::event::{EpochChangeStart, Event};
use haulout_protocol::chain::object::staking::Asks;
use haulout_protocol::chain::object::{
    Blob, BlsCommittee, BlsMember, Coin, Params, System, Table, Treasury,
};
use haulout_protocol::committee::Committee;
use haulout_protocol::crypto::blake2b_256;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::NetworkId;
use haulout_protocol::rules::staking::Opening;
use haulout_protocol::rules::{Context, accounting, bls, params, system};

/// Epochs that can be paid for at once.
pub(crate) const EPOCHS_AHEAD: u32 = 8;
/// The first epoch.
pub(crate) const FIRST_EPOCH: Epoch = Epoch(1);
/// Room for more than any of these networks stores.
const CAPACITY: u64 = 1 << 40;

/// The ledger and everything on it.
#[derive(Debug)]
pub(crate) struct Ledger {
    system: System,
    params: Params,
    /// The blob objects there are.
    pub(crate) blobs: BTreeMap<ObjectId, Blob>,
    /// What each checkpoint says, from 0 on.
    pub(crate) checkpoints: Vec<Vec<Event>>,
}

/// The members of a committee as the ledger knows them.
fn bls_members(committee: &Committee) -> Vec<BlsMember> {
    let member = |(index, member): (usize, &haulout_protocol::committee::Member)| BlsMember {
        public_key: member.public_key.to_bytes().to_vec(),
        weight: committee.weight(index),
        node_id: member.node_id.into(),
    };
    committee.members().iter().enumerate().map(member).collect()
}

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([number; 32])
}

impl Ledger {
    /// A ledger whose first committee is this one.
    pub(crate) fn new(network: NetworkId, parameters: &Parameters, committee: &Committee) -> Self {
        let members = bls_members(committee);
        let first = FIRST_EPOCH.0;
        let network_id = ObjectId::from_bytes(*network.as_bytes());
        let system = System {
            id: id(1),
            version: system::VERSION,
            network_id,
            committee: bls::new_committee(first, members.clone()).expect("sound members"),
            total_capacity: CAPACITY,
            used_capacity: 0,
            storage_price: 1,
            write_price: 1,
            last_price_epoch: first,
            ring: accounting::new_ring(first, EPOCHS_AHEAD),
            invalid: Table { id: id(3), size: 0 },
            deny: Vec::new(),
            last_event_sequence: 0,
            protocol_version: 1,
        };
        let params = Params {
            id: id(5),
            version: system::VERSION,
            network_id,
            n_shards: parameters.shards(),
            segment_bytes: parameters.segment_bytes(),
            short_bytes_max: parameters.short_bytes_max(),
            header_replicas: u16::try_from(members.len()).expect("few members"),
            max_epochs_ahead: EPOCHS_AHEAD,
            values: params::defaults(parameters.shards()),
        };
        // The first checkpoint says nothing: nodes begin there.
        let checkpoints = vec![Vec::new()];
        Ledger { system, params, blobs: BTreeMap::new(), checkpoints }
    }

    /// The epoch.
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.system.committee.epoch)
    }

    /// The last checkpoint.
    pub(crate) fn last(&self) -> u64 {
        u64::try_from(self.checkpoints.len()).expect("few") - 1
    }

    /// The epoch after a checkpoint.
    pub(crate) fn epoch_after(&self, checkpoint: u64) -> Epoch {
        let until = usize::try_from(checkpoint).expect("few");
        let events = self.checkpoints.iter().take(until + 1).flatten();
        let begun = events.filter_map(|event| match event {
            Event::EpochChangeStart(said) => Some(Epoch(said.epoch)),
            _ => None,
        });
        begun.fold(FIRST_EPOCH, |_, epoch| epoch)
    }

    /// Objects that stand for a blob.
    pub(crate) fn objects_of(&self, blob_id: &BlobId) -> impl Iterator<Item = &Blob> {
        self.blobs.values().filter(|blob| blob.blob_id == *blob_id.as_bytes())
    }

    /// Whether a certified object covers the blob now.
    pub(crate) fn is_certified(&self, blob_id: &BlobId) -> bool {
        let epoch = self.epoch().0;
        let covers = |blob: &Blob| blob.certified_epoch.is_some() && epoch < blob.storage.end_epoch;
        self.objects_of(blob_id).any(covers)
    }

    fn execute<T>(
        &mut self,
        transaction: impl FnOnce(&mut Self, &mut Context<'static>, &mut Coin) -> Result<T, Abort>,
    ) -> Result<T, Abort> {
        let number = self.last() + 1;
        let mut context = Context::new(blake2b_256(&[b"transaction", &number.to_le_bytes()]));
        let mut coin = Coin { id: id(4), balance: u64::MAX / 4 };
        let done = transaction(self, &mut context, &mut coin)?;
        self.checkpoints.push(context.events);
        Ok(done)
    }

    /// Pays for a blob for so many epochs, this one included; gives the object.
    pub(crate) fn register(
        &mut self,
        header: &BlobHeader,
        deletable: bool,
        epochs: u32,
    ) -> Result<ObjectId, Abort> {
        let parameters = self.params.parameters().expect("those of the network");
        let size = parameters.encoded_bytes(header.length, self.params.header_replicas);
        let (start_epoch, size) = (self.epoch().0, size.expect("short blobs"));
        let reserve = ReserveSpace {
            size,
            start_epoch,
            end_epoch: start_epoch + epochs,
            max_total: u64::MAX,
        };
        let register = RegisterBlob {
            blob_id: *header.blob_id().as_bytes(),
            root: header.blob_root(),
            size: header.length,
            encoding_type: header.encoding.number(),
            deletable,
            max_total: u64::MAX,
        };
        self.execute(|ledger, context, coin| {
            let Ledger { system, params, blobs, .. } = ledger;
            let storage = system::reserve_space(context, system, &reserve, coin)?;
            let blob = system::register_blob(context, system, params, storage, &register, coin)?;
            let object = blob.id;
            blobs.insert(object, blob);
            Ok(object)
        })
    }

    /// Certifies a blob object.
    pub(crate) fn certify(
        &mut self,
        object: &ObjectId,
        certificate: &Certificate,
    ) -> Result<(), Abort> {
        let call = CertifyBlob {
            signature: certificate.signature.to_bytes().to_vec(),
            signers: certificate.signers.clone(),
            message: certificate.message.clone(),
        };
        let mut blob = self.blobs.get(object).cloned().ok_or(Abort::WrongObject)?;
        self.execute(|ledger, context, _| {
            system::certify_blob(context, &ledger.system, &mut blob, &call)?;
            ledger.blobs.insert(*object, blob);
            Ok(())
        })
    }

    /// Prolongs a blob object.
    pub(crate) fn extend(&mut self, object: &ObjectId, epochs: u32) -> Result<(), Abort> {
        let call = ExtendBlob { epochs, max_total: u64::MAX };
        let mut blob = self.blobs.get(object).cloned().ok_or(Abort::WrongObject)?;
        self.execute(|ledger, context, coin| {
            system::extend_blob(context, &mut ledger.system, &mut blob, &call, coin)?;
            ledger.blobs.insert(*object, blob);
            Ok(())
        })
    }

    /// Deletes a blob object.
    pub(crate) fn delete(&mut self, object: &ObjectId) -> Result<(), Abort> {
        let blob = self.blobs.get(object).cloned().ok_or(Abort::WrongObject)?;
        self.execute(|ledger, context, _| {
            system::delete_blob(context, &ledger.system, blob)?;
            ledger.blobs.remove(object);
            Ok(())
        })
    }

    /// Ends the epoch; the next one has this committee.
    pub(crate) fn next_epoch(&mut self, committee: &Committee) {
        let epoch = self.epoch().0 + 1;
        let committee: BlsCommittee =
            bls::new_committee(epoch, bls_members(committee)).expect("sound members");
        let prices = Asks { storage: 1, write: 1 };
        let opening =
            Opening { burned: 0, treasury: 0, dust: 0, committee, capacity: CAPACITY, prices };
        let mut treasury = Treasury { id: id(6), cap_id: id(7), total_supply: u64::MAX };
        let advanced = self.execute(|ledger, context, _| {
            system::advance(&mut ledger.system, &mut treasury, &opening)?;
            context.events.push(Event::EpochChangeStart(EpochChangeStart { epoch }));
            Ok(())
        });
        advanced.expect("nothing stands in the way of an epoch");
    }
}
