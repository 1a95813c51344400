//! Lies about the ledger's history: what checkpoints say, and how many there are.

use std::sync::atomic::Ordering;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{self, BlobDeleted};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Identifier, StructTag, TransactionEvents};

use super::transactions::effects_of;
use super::{Lie, Service};

impl Service {
    /// What is asked of the truth in place of what was asked.
    pub(super) fn twist_request(
        &self,
        mut request: rpc::GetCheckpointRequest,
    ) -> rpc::GetCheckpointRequest {
        use rpc::get_checkpoint_request::CheckpointId;
        let Lie::Stale { last } = self.lie() else { return request };
        self.told.fetch_add(1, Ordering::Relaxed);
        let wanted = match request.checkpoint_id {
            Some(CheckpointId::SequenceNumber(wanted)) if wanted > last => u64::MAX,
            Some(CheckpointId::SequenceNumber(wanted)) => wanted,
            _ => last,
        };
        request.checkpoint_id = Some(CheckpointId::SequenceNumber(wanted));
        request
    }

    /// What is made of a checkpoint.
    pub(super) fn twist(&self, checkpoint: &mut rpc::Checkpoint) {
        match self.lie() {
            Lie::None
            | Lie::LateEpoch { .. }
            | Lie::StorageOver { .. }
            | Lie::Swapped { .. }
            | Lie::SaysDone { .. }
            | Lie::OtherTransaction
            | Lie::DearGas
            | Lie::Owns { .. }
            | Lie::Certifies { .. }
            | Lie::Denies
            | Lie::Refuses { .. }
            | Lie::Rejects { .. }
            | Lie::Aborts { .. }
            | Lie::Lacks { .. }
            | Lie::Cut
            | Lie::Renamed { .. }
            | Lie::SharedLater
            | Lie::Stale { .. }
            | Lie::Hangs => return,
            Lie::Unsigned => checkpoint.signature = None,
            Lie::Deleted { package, blob_id, object_id } => {
                let events = deletion(package, blob_id, object_id);
                let mut transaction = rpc::ExecutedTransaction::default();
                transaction.effects = Some(effects_of(&events).into());
                transaction.events = Some(events.into());
                checkpoint.transactions = vec![transaction];
            }
        }
        self.told.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn twist_answer(
        &self,
        mut answer: rpc::GetCheckpointResponse,
    ) -> rpc::GetCheckpointResponse {
        answer.checkpoint.iter_mut().for_each(|checkpoint| self.twist(checkpoint));
        answer
    }
}

/// The event of a deletion that never was.
fn deletion(package: ObjectId, blob_id: [u8; 32], object_id: ObjectId) -> TransactionEvents {
    let name = |text| Identifier::new(text).expect("a valid name");
    let package = Address::new(package.into());
    let said = BlobDeleted { epoch: 1, blob_id, end_epoch: 2, object_id, was_certified: true };
    TransactionEvents(vec![sui_sdk_types::Event {
        package_id: package,
        module: name("blob"),
        sender: Address::ZERO,
        type_: StructTag::new(package, name(event::MODULE), name("BlobDeleted"), vec![]),
        contents: bcs::to_bytes(&said).expect("plain values serialise"),
    }])
}
