//! Lies about transactions: what trying one gives, and what became of one.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::event::{self, BlobCertified};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{
    Address, Command, Digest, ExecutionStatus, GasCostSummary, Identifier, Input,
    ProgrammableTransaction, StructTag, Transaction, TransactionEffects, TransactionEffectsV2,
    TransactionEvents, TransactionKind,
};
use tonic::Status;

use super::{Lie, Service};

impl Service {
    /// What is made of a trial.
    pub(super) fn twist_trial(
        &self,
        mut answer: rpc::SimulateTransactionResponse,
    ) -> rpc::SimulateTransactionResponse {
        let tried = answer.transaction.as_mut().and_then(|tried| tried.transaction.as_mut());
        if let lie @ (Lie::OtherTransaction | Lie::DearGas) = self.lie()
            && let Some(tried) = tried
            && let Ok(mut other) = tried.bcs().deserialize::<Transaction>()
        {
            if lie == Lie::DearGas {
                other.gas_payment.price = 1_000_000;
            } else {
                let (inputs, commands) = (vec![], vec![]);
                other.kind = TransactionKind::ProgrammableTransaction(ProgrammableTransaction {
                    inputs,
                    commands,
                });
            }
            *tried = other.into();
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        if let Lie::Aborts { times: times @ 1.. } = self.lie() {
            let left = times - 1;
            self.tell(if left == 0 { Lie::None } else { Lie::Aborts { times: left } });
            let abort = rpc::MoveAbort::default().with_abort_code(1);
            let error = rpc::ExecutionError::default().with_abort(abort);
            let failed = rpc::ExecutionStatus::default().with_success(false).with_error(error);
            let tried = answer.transaction.get_or_insert_default();
            tried.effects.get_or_insert_default().status = Some(failed);
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Which transaction is looked for in place of another: one that never was.
    pub(super) fn twist_look_up(
        &self,
        mut request: rpc::GetTransactionRequest,
    ) -> rpc::GetTransactionRequest {
        if matches!(self.lie(), Lie::Refuses { .. }) {
            request.digest = Some(Digest::new([0xEE; 32]).to_string());
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        request
    }

    /// What is said of a transaction that was executed, if it is said to be refused.
    pub(super) fn refused(&self, sent: &rpc::Transaction) -> std::result::Result<(), Status> {
        let Lie::Refuses { as_before } = self.lie() else { return Ok(()) };
        self.told.fetch_add(1, Ordering::Relaxed);
        if as_before && let Ok(sent) = sent.bcs().deserialize::<Transaction>() {
            let inputs = match &sent.kind {
                TransactionKind::ProgrammableTransaction(script) => script.inputs.as_slice(),
                _ => &[],
            };
            let own = inputs.iter().filter_map(|input| match input {
                Input::ImmutableOrOwned(object) => Some(object),
                _ => None,
            });
            let own = own.chain(&sent.gas_payment.objects);
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.extend(own.map(|object| (*object.object_id(), object.version())));
        }
        Err(Status::invalid_argument("this server does not like it"))
    }

    /// What is said of a transaction that is to be executed, if it is kept from the ledger.
    pub(super) async fn invented(
        &self,
        request: &rpc::ExecuteTransactionRequest,
    ) -> std::result::Result<Option<rpc::ExecuteTransactionResponse>, Status> {
        let lie = self.lie();
        if let Lie::Rejects { then } = lie {
            self.told.fetch_add(1, Ordering::Relaxed);
            self.tell(*then);
            return Err(Status::invalid_argument("this server does not like it"));
        }
        let above = match lie {
            Lie::Certifies { above, .. } | Lie::SaysDone { above } => above,
            _ => return Ok(None),
        };
        let Ok(transaction) = request.transaction().bcs().deserialize::<Transaction>() else {
            return Ok(None);
        };
        let mut events = TransactionEvents(vec![]);
        if let Lie::Certifies { package, blob_id, times, .. } = lie {
            let Some(object_id) = certified_by(&transaction) else { return Ok(None) };
            let Some(times) = times.checked_sub(1) else { return Ok(None) };
            self.tell(Lie::Certifies { package, blob_id, times, above });
            events = certification(package, blob_id, object_id);
        }
        self.told.fetch_add(1, Ordering::Relaxed);
        let latest = rpc::GetCheckpointRequest::latest();
        let latest = self.truth().ledger_client().get_checkpoint(latest).await?.into_inner();
        let mut executed = rpc::ExecutedTransaction::default();
        executed.digest = Some(transaction.digest().to_string());
        executed.checkpoint = latest.checkpoint().sequence_number.map(|last| last + above);
        executed.effects = Some(effects_of(&events).into());
        executed.events = Some(events.into());
        let mut answer = rpc::ExecuteTransactionResponse::default();
        answer.transaction = Some(executed);
        Ok(Some(answer))
    }

    /// What is said of a transaction that was executed.
    pub(super) fn denied(
        &self,
        mut done: rpc::ExecuteTransactionResponse,
    ) -> rpc::ExecuteTransactionResponse {
        if self.lie() == Lie::Denies {
            let mut failed = rpc::ExecutionStatus::default();
            failed.success = Some(false);
            let executed = done.transaction.get_or_insert_default();
            executed.effects.get_or_insert_default().status = Some(failed);
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

/// The blob object that a transaction certifies.
fn certified_by(transaction: &Transaction) -> Option<ObjectId> {
    let TransactionKind::ProgrammableTransaction(script) = &transaction.kind else { return None };
    let is_it = |command: &Command| matches!(command, Command::MoveCall(call) if call.function.as_str() == "certify_blob");
    let object = script.inputs.iter().find_map(|input| match input {
        Input::ImmutableOrOwned(object) => Some(object),
        _ => None,
    });
    let is_certification = script.commands.iter().any(is_it);
    object.filter(|_| is_certification).map(|it| ObjectId::from_bytes(it.object_id().into_inner()))
}

/// The event of a certification that never was.
fn certification(package: ObjectId, blob_id: [u8; 32], object_id: ObjectId) -> TransactionEvents {
    let name = |text| Identifier::new(text).expect("a valid name");
    let package = Address::new(package.into());
    let (epoch, end_epoch, deletable, is_extension) = (1, 2, false, false);
    let said = BlobCertified { epoch, blob_id, end_epoch, deletable, object_id, is_extension };
    TransactionEvents(vec![sui_sdk_types::Event {
        package_id: package,
        module: name("blob"),
        sender: Address::ZERO,
        type_: StructTag::new(package, name(event::MODULE), name("BlobCertified"), vec![]),
        contents: bcs::to_bytes(&said).expect("plain values serialise"),
    }])
}

/// Effects as a transaction that said this might have.
pub(super) fn effects_of(events: &TransactionEvents) -> TransactionEffects {
    TransactionEffects::V2(Box::new(TransactionEffectsV2 {
        status: ExecutionStatus::Success,
        epoch: 0,
        gas_used: GasCostSummary::default(),
        transaction_digest: Digest::new([1; 32]),
        gas_object_index: None,
        events_digest: Some(events.digest()),
        dependencies: vec![],
        lamport_version: 1,
        changed_objects: vec![],
        unchanged_consensus_objects: vec![],
        auxiliary_data_digest: None,
    }))
}
