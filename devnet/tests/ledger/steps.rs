//! One call per transaction, with objects by id.

use haulout_protocol::chain::ObjectId;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{Argument as Slot, Function as Callee};
use haulout_protocol::chain::event::Event;
use haulout_protocol::chain::object::{Blob, Storage};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::Address;
use sui_transaction_builder::{Argument, ObjectInput, TransactionBuilder};

use crate::world::{Account, Fill, World};

/// A call and the objects it works on.
#[derive(Clone)]
pub(crate) struct Step {
    callee: Callee,
    slots: Vec<Slot>,
    payment: Option<ObjectId>,
    storage: Option<ObjectId>,
    other_storage: Option<ObjectId>,
    blob: Option<ObjectId>,
}

impl Step {
    pub(crate) fn new(callee: Callee, slots: Vec<Slot>) -> Self {
        let (payment, storage, other_storage, blob) = (None, None, None, None);
        Step { callee, slots, payment, storage, other_storage, blob }
    }

    pub(crate) fn payment(self, coin: ObjectId) -> Self {
        Step { payment: Some(coin), ..self }
    }

    pub(crate) fn storage(self, storage: &Storage) -> Self {
        Step { storage: Some(storage.id), ..self }
    }

    pub(crate) fn other_storage(self, storage: &Storage) -> Self {
        Step { other_storage: Some(storage.id), ..self }
    }

    pub(crate) fn blob(self, blob: &Blob) -> Self {
        Step { blob: Some(blob.id), ..self }
    }

    /// Whether the call gives something back that must be kept.
    fn returns(&self) -> bool {
        [
            Callee::RESERVE_SPACE,
            Callee::SPLIT_BY_EPOCH,
            Callee::SPLIT_BY_SIZE,
            Callee::REGISTER_BLOB,
            Callee::DELETE_BLOB,
        ]
        .contains(&self.callee)
    }
}

impl World {
    fn sketch(
        &self,
        account: &Account,
        step: &Step,
        builder: &mut TransactionBuilder,
        mut input: impl FnMut(&mut TransactionBuilder, ObjectId) -> Argument,
    ) {
        let mut fill = |id: Option<ObjectId>| id.map(|id| input(builder, id));
        let fill = Fill {
            payment: fill(step.payment),
            storage: fill(step.storage),
            other_storage: fill(step.other_storage),
            blob: fill(step.blob),
        };
        let result = self.call(builder, step.callee, step.slots.clone(), &fill);
        if step.returns() {
            let to = builder.pure(&account.address);
            builder.transfer_objects(vec![result], to);
        }
    }

    /// Makes the call; it must succeed.
    pub(crate) async fn step(&self, account: &Account, step: Step) -> rpc::ExecutedTransaction {
        self.run(account, |builder| {
            self.sketch(account, &step, builder, |builder, id| {
                builder.object(ObjectInput::new(Address::new(id.into())))
            });
        })
        .await
    }

    /// Makes a call that must be refused, and says why it was.
    pub(crate) async fn step_refused(&self, account: &Account, step: Step) -> Abort {
        let mut inputs = Vec::new();
        let objects = [step.payment, step.storage, step.other_storage, step.blob];
        for id in objects.into_iter().flatten() {
            inputs.push((id, self.owned(&id).await));
        }
        let before = self.system().await;
        let (done, abort) = self
            .run_refused(account, |builder| {
                self.sketch(account, &step, builder, |builder, id| {
                    let input = inputs.iter().find(|(known, _)| *known == id).unwrap();
                    builder.object(input.1.clone())
                });
            })
            .await;
        assert!(done.events().events().is_empty());
        assert_eq!(self.system().await, before);
        abort.expect("the call aborts with a code of the package")
    }

    /// Buys space for some epochs from now on.
    pub(crate) async fn buy(&self, account: &Account, size: u64, end: u32) -> Storage {
        let mut reserve = self.sample_space(1000);
        (reserve.size, reserve.end_epoch) = (size, end);
        let coin = self.wal_coin(account).await;
        let step = Step::new(Callee::RESERVE_SPACE, reserve.arguments()).payment(coin);
        let done = self.step(account, step).await;
        let [Event::StoragePurchased(bought)] = &self.events(&done)[..] else {
            panic!("one purchase");
        };
        self.object(&bought.object_id).await
    }

    /// A certified blob.
    pub(crate) async fn certified(&self, account: &Account, content: u8, deletable: bool) -> Blob {
        let (blob, _) = self.register(account, content, deletable).await;
        let certificate = self.certificate(&blob, &[0, 1, 2]);
        self.certify(account, &blob, &certificate).await;
        self.object(&blob.id).await
    }
}

/// What a transaction did to an object: `created`, `deleted`, `changed`, or nothing.
pub(crate) fn fate(done: &rpc::ExecutedTransaction, id: &ObjectId) -> Option<&'static str> {
    use rpc::changed_object::{IdOperation, OutputObjectState};
    let id = Address::new((*id).into()).to_string();
    let changed = done.effects().changed_objects().iter().find(|it| it.object_id() == id)?;
    Some(match (changed.id_operation(), changed.output_state()) {
        (IdOperation::Created, _) => "created",
        (IdOperation::Deleted, _) => "deleted",
        (_, OutputObjectState::DoesNotExist) => "wrapped",
        _ => "changed",
    })
}

/// The one object a transaction created.
pub(crate) fn created(done: &rpc::ExecutedTransaction) -> ObjectId {
    use rpc::changed_object::IdOperation;
    let changed = done.effects().changed_objects().iter();
    let mut created = changed.filter(|it| it.id_operation() == IdOperation::Created);
    let id: Address = created.next().unwrap().object_id().parse().unwrap();
    assert!(created.next().is_none());
    ObjectId::from_bytes(*id.inner())
}
