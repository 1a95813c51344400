//! Golden arguments of every call.

use super::run;
use crate::chain::call::{
    AddMetadata, AddSubsidy, Argument, BurnBlob, BurnWal, CertifyBlob, DeleteBlob, DestroyStorage,
    ExtendBlob, ExtendBlobWithResource, FuseStorage, InvalidateBlobId, RegisterBlob,
    RemoveMetadataPair, ReserveSpace, SetMetadataPair, SetProtocolVersion, SplitByEpoch,
    SplitBySize, TakeMetadata,
};

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
