//! Lists that are read in pages, and what wallets ask before they show or send anything.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::call::{
    Argument as Slot, CertifyBlob, Function as Callee, InvalidateBlobId,
};
use haulout_protocol::chain::object::{Metadata, Treasury};
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{NetworkId, invalid_blob_message};
use sui_rpc::field::{FieldMask, FieldMaskUtil};
use sui_rpc::proto::sui::rpc::v2 as rpc;
use sui_sdk_types::{Address, Transaction, TypeTag};

use crate::steps::Step;
use crate::world::{Account, World, sign};

const SUI: &str = "0x0000000000000000000000000000000000000000000000000000000000000002::sui::SUI";

async fn fields(
    world: &World,
    request: rpc::ListDynamicFieldsRequest,
) -> Result<rpc::ListDynamicFieldsResponse, tonic::Status> {
    let answer = world.client.clone().state_client().list_dynamic_fields(request).await;
    answer.map(|answer| answer.into_inner())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_listed_in_pages_each_entry_once_also_after_a_restart() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let network = NetworkId::from_bytes((world.ledger.ids().network_id).into());
    for content in 1..=5 {
        let blob_id = BlobId::from_bytes([content; 32]);
        let message = invalid_blob_message(&network, Epoch(1), &blob_id);
        let CertifyBlob { signature, signers, message } = sign(&[0, 1, 2], message);
        let call = InvalidateBlobId { signature, signers, message };
        world.step(&alice, Step::new(Callee::INVALIDATE_BLOB_ID, call.arguments())).await;
    }
    let world = world.restart().await;
    let table = Address::new((world.system().await.invalid.id).into());
    let (mut token, mut seen) = (None, Vec::new());
    loop {
        let mut request = rpc::ListDynamicFieldsRequest::default()
            .with_parent(table)
            .with_page_size(2)
            .with_read_mask(FieldMask::from_str("field_id,name,value,value_type,kind"));
        request.page_token = token;
        let page = fields(&world, request).await.unwrap();
        assert!(page.dynamic_fields.len() <= 2);
        seen.extend(page.dynamic_fields);
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    let mut names = Vec::new();
    for field in &seen {
        let name: [u8; 32] = bcs::from_bytes(field.name().value()).unwrap();
        assert_eq!(field.kind(), rpc::dynamic_field::DynamicFieldKind::Field);
        assert_eq!((field.name().name(), field.value_type()), ("u256", "u32"));
        assert_eq!(bcs::from_bytes::<u32>(field.value().value()).unwrap(), 1);
        assert!(field.parent.is_none(), "what was not asked for is not shown");
        let id = table.derive_dynamic_child_id(&TypeTag::U256, &name);
        assert_eq!(field.field_id(), id.to_string());
        names.push(name[0]);
    }
    names.sort_unstable();
    assert_eq!(names, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_texts_of_a_blob_are_listed_while_they_are_there() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (blob, _) = world.register(&alice, 3, true).await;
    let add = || Step::new(Callee::ADD_METADATA, vec![Slot::Blob]);
    world.step(&alice, add().blob(&blob)).await;
    let all = rpc::ListDynamicFieldsRequest::default().with_parent(Address::new(blob.id.into()));
    let page = fields(&world, all.clone()).await.unwrap();
    let [field] = &page.dynamic_fields[..] else { panic!("one field") };
    assert_eq!(field.parent(), Address::new(blob.id.into()).to_string());
    assert!(field.name.is_none() && field.value.is_none(), "these are not shown unasked");
    let asked = all.clone().with_read_mask(FieldMask::from_str("value,field_object.object_type"));
    let page = fields(&world, asked).await.unwrap();
    let [field] = &page.dynamic_fields[..] else { panic!("one field") };
    let texts: Metadata = bcs::from_bytes(field.value().value()).unwrap();
    assert!(texts.pairs.is_empty() && field.value().name().ends_with("::Metadata"));
    assert!(field.field_object().object_type().contains("dynamic_field::Field<vector<u8>,"));
    world.step(&alice, Step::new(Callee::TAKE_METADATA, vec![Slot::Blob]).blob(&blob)).await;
    assert!(fields(&world, all.clone()).await.unwrap().dynamic_fields.is_empty());
    let wrong = rpc::ListDynamicFieldsRequest::default().with_parent("blob");
    assert_eq!(fields(&world, wrong).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    for length in [0, 31, 33, 1 << 20] {
        let mut wrong = all.clone();
        wrong.page_token = Some(vec![0; length].into());
        assert_eq!(fields(&world, wrong).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_are_listed_in_pages() {
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let (mut token, mut seen) = (None, Vec::new());
    loop {
        let mut request =
            rpc::ListBalancesRequest::default().with_owner(alice.address).with_page_size(1);
        request.page_token = token;
        let answer = world.client.clone().state_client().list_balances(request).await.unwrap();
        let page = answer.into_inner();
        assert_eq!(page.balances.len(), 1);
        seen.push(page.balances[0].coin_type().to_owned());
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    let mut both = [SUI.to_owned(), world.wal_type()];
    both.sort_unstable();
    assert_eq!(seen, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_have_names_and_wal_a_supply() {
    let world = World::start().await;
    let ask = |coin_type: String| {
        let mut client = world.client.clone();
        async move {
            let request = rpc::GetCoinInfoRequest::default().with_coin_type(coin_type);
            client.state_client().get_coin_info(request).await.map(|answer| answer.into_inner())
        }
    };
    let wal = ask(world.wal_type()).await.unwrap();
    assert_eq!((wal.metadata().symbol(), wal.metadata().decimals()), ("WAL", 9));
    let treasury: Treasury = world.object(&world.ledger.ids().treasury).await;
    assert_eq!(wal.treasury().total_supply(), treasury.total_supply);
    let sui = ask("0x2::sui::SUI".into()).await.unwrap();
    assert_eq!((sui.metadata().symbol(), sui.treasury.is_some()), ("SUI", false));
    assert_eq!(ask("0x2::sui::SUE".into()).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(ask("u64, or so".into()).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_nobody_pays_for_yet_is_completed_only_when_checks_are_off() {
    use rpc::simulate_transaction_request::TransactionChecks;
    let world = World::start().await;
    let alice = Account::ed25519(1);
    world.fund(&alice).await;
    let coin = world.wal_coin(&alice).await;
    let given = world.build(&alice, |builder| {
        let coin =
            builder.object(sui_transaction_builder::ObjectInput::new(Address::new(coin.into())));
        let to = builder.pure(&alice.address);
        builder.transfer_objects(vec![coin], to);
    });
    let mut sketch: rpc::Transaction = given.await.unwrap().into();
    (sketch.bcs, sketch.digest, sketch.gas_payment) = (None, None, None);
    sketch.sender = Some(Address::new([1; 32]).to_string());
    let ask = |checks: TransactionChecks| {
        let request = rpc::SimulateTransactionRequest::default()
            .with_transaction(sketch.clone())
            .with_checks(checks)
            .with_read_mask(FieldMask::from_str(
                "transaction.transaction,transaction.effects.status",
            ));
        let mut client = world.client.clone();
        async move { client.execution_client().simulate_transaction(request).await }
    };
    let refused = ask(TransactionChecks::Enabled).await.unwrap_err();
    assert!(refused.message().contains("ask the faucet"), "{refused}");
    let done = ask(TransactionChecks::Disabled).await.unwrap().into_inner();
    assert!(done.transaction().effects.is_none());
    let complete = Transaction::try_from(done.transaction().transaction()).unwrap();
    assert!(complete.gas_payment.objects.is_empty());
}
