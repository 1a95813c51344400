//! A member that lies, in four ways: it changes no result.

use haulout_devnet::Devnet;
use haulout_protocol::encoding::Parameters;
use haulout_tests::liar::{Liar, Lie};
use haulout_tests::{KIB, eventually, get, log, put, sample_blob};

#[tokio::test(flavor = "multi_thread")]
async fn a_lying_member_changes_no_result_and_is_named_in_the_log() {
    log::keep();
    let segment = 64 << 10;
    let devnet = Devnet::builder().nodes(4).shards(4).seed(41).segment_bytes(segment);
    let mut devnet = devnet.start().await.unwrap();
    let parameters = Parameters::new(4, segment).unwrap();
    let blob = sample_blob(41, 150 * KIB);
    let id = put(&devnet.client("alice").await.unwrap(), &blob).await.unwrap().blob_id;
    devnet.stop_node(0).await;

    let lies = [Lie::WrongBytes, Lie::WrongProofs, Lie::OversizedFrames, Lie::Silence];
    for (seed, lie) in (0..).zip(lies) {
        let liar = Liar::start(&devnet, 0, lie, parameters, &blob).await.unwrap();
        let client = devnet.client("bob").await.unwrap();
        let got = get(&client, &id).await.unwrap_or_else(|error| panic!("{lie:?}: {error}"));
        assert!(got == blob, "{lie:?}: wrong bytes reached the reader");
        assert!(liar.told() > 0, "{lie:?}: nobody asked the liar, so this proves nothing");
        let new = sample_blob(100 + seed, 70 * KIB);
        let report = put(&client, &new).await.unwrap_or_else(|error| panic!("{lie:?}: {error}"));
        assert_eq!(report.shards.0, 3, "{lie:?}: only the honest confirm");
        assert!(get(&client, &report.blob_id).await.unwrap() == new, "{lie:?}");
        if let Some(reason) = logged_reason(lie) {
            // An honest answer may come first, and then nobody looks at the liar's. A client remembers
            // who was slow, and may never ask the liar again: each look is a new client's.
            let named = async || {
                let reader = devnet.client("bob").await.unwrap();
                assert!(get(&reader, &id).await.unwrap() == blob, "{lie:?}");
                reader.close().await;
                log::has_line(&["peer blamed", &liar.peer_id().to_string(), reason])
            };
            eventually("the lie is named in the log", named).await;
        }
        client.close().await;
        liar.stop().await;
    }
    devnet.shutdown().await;
}

/// What the log says of a lie. Silence and having no time are no lies: the node may be down, or busy.
fn logged_reason(lie: Lie) -> Option<&'static str> {
    match lie {
        Lie::WrongBytes => Some("sent wrong bytes"),
        Lie::WrongProofs => Some("does not verify"),
        Lie::OversizedFrames => Some("oversized frame"),
        Lie::Silence | Lie::Busy => None,
    }
}
