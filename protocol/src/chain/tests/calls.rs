//! Golden arguments of every call.

use super::run;
use crate::chain::ObjectId;
use crate::chain::call::{
    AddMetadata, AddSubsidy, Argument, BurnBlob, BurnWal, CertifyBlob, CollectCommissionAsSender,
    DeleteBlob, DestroyStorage, ExtendBlob, ExtendBlobWithResource, FuseStorage, InvalidateBlobId,
    NodeSetting, RegisterBlob, RemoveMetadataPair, ReserveSpace, SetCommissionReceiverAsSender,
    SetMetadataPair, SetProtocolVersion, SplitByEpoch, SplitBySize, TakeMetadata,
};
use crate::chain::object::Entry;
use crate::chain::object::staking::Authority;

#[test]
fn arguments_follow_the_order_of_the_contracts() {
    let pure = |text: &str| Argument::Pure(hex::decode(text).unwrap());
    let reserve = ReserveSpace { size: 5, start_epoch: 1, end_epoch: 3, max_total: 9 };
    let expected = vec![
        Argument::System { mutable: true },
        pure("0500000000000000"),
        pure("01000000"),
        pure("03000000"),
        Argument::Payment,
        pure("0900000000000000"),
    ];
    assert_eq!(reserve.arguments(), expected);

    let register = RegisterBlob {
        blob_id: [1; 32],
        root: [2; 32],
        size: 3,
        encoding_type: 2,
        deletable: true,
        max_total: 4,
    };
    let expected = vec![
        Argument::System { mutable: true },
        Argument::Params,
        Argument::Storage,
        pure(&run(1, 32)),
        pure(&run(2, 32)),
        pure("0300000000000000"),
        pure("02"),
        pure("01"),
        Argument::Payment,
        pure("0400000000000000"),
    ];
    assert_eq!(register.arguments(), expected);

    let certify = CertifyBlob { signature: vec![1; 96], signers: vec![7], message: vec![2; 130] };
    let expected = vec![
        Argument::System { mutable: false },
        Argument::Blob,
        pure(&["60", &run(1, 96)].concat()),
        pure("0107"),
        pure(&["8201", &run(2, 130)].concat()),
    ];
    assert_eq!(certify.arguments(), expected);
}

#[test]
fn arguments_of_storage_blobs_and_metadata_follow_the_order_of_the_contracts() {
    let pure = |text: &str| Argument::Pure(hex::decode(text).unwrap());
    let reads = Argument::System { mutable: false };
    let cases = [
        (SplitByEpoch { epoch: 3 }.arguments(), vec![Argument::Storage, pure("03000000")]),
        (SplitBySize { size: 3 }.arguments(), vec![Argument::Storage, pure("0300000000000000")]),
        (FuseStorage.arguments(), vec![Argument::Storage, Argument::OtherStorage]),
        (DestroyStorage.arguments(), vec![Argument::Storage]),
        (
            ExtendBlob { epochs: 2, max_total: 9 }.arguments(),
            vec![
                Argument::System { mutable: true },
                Argument::Blob,
                pure("02000000"),
                Argument::Payment,
                pure("0900000000000000"),
            ],
        ),
        (
            ExtendBlobWithResource.arguments(),
            vec![reads.clone(), Argument::Blob, Argument::Storage],
        ),
        (DeleteBlob.arguments(), vec![reads.clone(), Argument::Blob]),
        (BurnBlob.arguments(), vec![reads, Argument::Blob]),
        (AddMetadata.arguments(), vec![Argument::Blob]),
        (
            SetMetadataPair { key: "k".into(), value: "vw".into() }.arguments(),
            vec![Argument::Blob, pure("016b"), pure("027677")],
        ),
        (RemoveMetadataPair { key: "k".into() }.arguments(), vec![Argument::Blob, pure("016b")]),
        (TakeMetadata.arguments(), vec![Argument::Blob]),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn arguments_of_verdicts_and_gifts_follow_the_order_of_the_contracts() {
    let pure = |text: &str| Argument::Pure(hex::decode(text).unwrap());
    let signed = vec![
        Argument::System { mutable: true },
        pure(&["60", &run(1, 96)].concat()),
        pure("0107"),
        pure(&["8201", &run(2, 130)].concat()),
    ];
    let (signature, signers, message) = (vec![1; 96], vec![7], vec![2; 130]);
    let version = SetProtocolVersion {
        signature: signature.clone(),
        signers: signers.clone(),
        message: message.clone(),
    };
    assert_eq!(version.arguments(), signed);
    assert_eq!(InvalidateBlobId { signature, signers, message }.arguments(), signed);
    let system = Argument::System { mutable: true };
    let expected = vec![system, Argument::Payment, pure("03000000")];
    assert_eq!(AddSubsidy { epochs: 3 }.arguments(), expected);
    assert_eq!(BurnWal.arguments(), vec![Argument::Treasury, Argument::Payment]);
}

#[test]
fn what_an_operator_changes_is_one_value_after_the_cap_or_after_the_node() {
    let pure = |text: &str| Argument::Pure(hex::decode(text).unwrap());
    let id = "07".repeat(32);
    let state = Argument::Staking { mutable: true };
    let pair = Entry { key: "a".to_owned(), value: "b".to_owned() };
    for (setting, name, values) in [
        (NodeSetting::Name("ab".to_owned()), "set_name", vec!["026162"]),
        (NodeSetting::Multiaddrs(vec![vec![4, 5]]), "set_multiaddrs", vec!["01020405"]),
        (NodeSetting::Metadata(vec![pair]), "set_node_metadata", vec!["0101610162"]),
        (NodeSetting::NextCommission(750), "set_next_commission", vec!["ee02"]),
        (
            NodeSetting::CommissionReceiver(Authority::Object(ObjectId::from_bytes([7; 32]))),
            "set_commission_receiver",
            vec!["01", &id],
        ),
    ] {
        assert_eq!(setting.function().name, name);
        let values = values.into_iter().map(pure);
        let expected: Vec<_> =
            [state.clone(), Argument::NodeCap].into_iter().chain(values).collect();
        assert_eq!(setting.arguments(), expected, "{name}");
    }
    let collect = CollectCommissionAsSender { node_id: ObjectId::from_bytes([7; 32]) };
    assert_eq!(collect.arguments(), [state.clone(), pure(&id)]);
    let receiver = Authority::Account(ObjectId::from_bytes([8; 32]));
    let hand_on =
        SetCommissionReceiverAsSender { node_id: ObjectId::from_bytes([7; 32]), receiver };
    let expected = [state, pure(&id), pure("00"), pure(&"08".repeat(32))];
    assert_eq!(hand_on.arguments(), expected);
}
