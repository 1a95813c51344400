//! A file that is written to while it is stored has no content that could be certified.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haulout_actors::session::upload::{PutOptions, Source, SourceFile};
use haulout_actors::session::{Observer, Progress};
use haulout_devnet::Devnet;
use haulout_node::error::Kind;
use haulout_node::identify;
use haulout_protocol::encoding::Parameters;
use haulout_protocol::wire::blob::State;
use haulout_tests::{KIB, quiet, sample_blob};

/// Small, so that small blobs have many segments.
const SEGMENT: usize = 16 * KIB;
const SHARDS: u16 = 10;
const OPTIONS: PutOptions = PutOptions { epochs: 1, deletable: true, force: false };

fn source(path: &Path) -> Source {
    Source::File(SourceFile::new(File::open(path).unwrap(), "the-file").unwrap())
}

/// Writes to the file when its blob is registered: paid, but not certified yet.
fn meddler(path: &Path, bytes: Vec<u8>) -> Observer {
    let path = path.to_owned();
    Arc::new(move |progress| {
        if let Progress::Registered(_) = progress {
            fs::write(&path, &bytes).unwrap();
            // A clock that ticks coarsely shall not hide it.
            let later = SystemTime::now() + Duration::from_secs(5);
            File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_put_is_named_and_nothing_is_certified() {
    let builder = Devnet::builder().nodes(4).shards(SHARDS).seed(41);
    let devnet = builder.segment_bytes(16 << 10).start().await.unwrap();
    let client = devnet.client("alice").await.unwrap();
    let path = devnet.folder().join("the-file");
    let parameters = Parameters::new(SHARDS, 16 << 10).unwrap();
    let parameters = parameters.with_short_blobs(16 << 10).unwrap();
    // One segment is read once, many are read twice.
    for (seed, length) in [(1, 100), (2, 5 * SEGMENT)] {
        let blob = sample_blob(seed, length);
        let memory = Source::Memory(blob.clone().into());
        let header = identify::identify(parameters, memory, |_| ()).await.unwrap();
        let (mut grown, mut other) = (blob.clone(), blob.clone());
        grown.extend(b"more");
        other[length - 1] ^= 1;
        for (changed, told) in
            [(grown, "grew from"), (blob[..length / 2].to_vec(), "became shorter"), (other, "")]
        {
            fs::write(&path, &blob).unwrap();
            let put = client.put(source(&path), OPTIONS, &meddler(&path, changed)).await;
            let error = put.expect_err("the file was written to");
            assert_eq!(error.kind(), Kind::File, "{error}");
            assert!(error.message().starts_with("the-file ") && error.message().contains(told));
            assert!(error.message().contains("nothing was certified"), "{error}");
            let state = client.status(&header.blob_id()).await.state;
            assert!(!matches!(state, Some(State::Certified { .. })), "{state:?}");
        }
        // At rest, it is stored, and what was paid counts.
        fs::write(&path, &blob).unwrap();
        let stored = client.put(source(&path), OPTIONS, &quiet()).await.unwrap();
        assert_eq!(stored.blob_id, header.blob_id());
    }
    devnet.shutdown().await;
}
