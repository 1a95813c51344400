//! What the tests of this workspace share: sample bytes, short verbs for clients, waiting for a
//! fact, and peers that lie.
//!
//! Promises: everything here is repeatable from a seed. Does not: hold tests; they are in `tidy/`
//! and `cluster/`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use haulout_actors::session::Observer;
use haulout_actors::session::download::Consistency;
use haulout_actors::session::upload::{PutOptions, PutReport, Source};
use haulout_node::LightClient;
use haulout_node::error::Result;
use haulout_protocol::blob::BlobId;

pub mod liar;
pub mod log;
pub mod lying_ledger;
pub mod spans;
pub mod writer;

/// A kibibyte.
pub const KIB: usize = 1024;

/// How long a fact may take to become true. It only decides how late a failure is told: machines are busy.
const FACT_PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at a fact.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Bytes that look random and are the same for the same seed and length.
pub fn sample_blob(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new_derive_key("haulout tests sample blob");
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Nobody watches a test.
pub fn quiet() -> Observer {
    Arc::new(|_| ())
}

/// Stores bytes for one epoch.
pub async fn put(client: &LightClient, bytes: &[u8]) -> Result<PutReport> {
    let options = PutOptions { epochs: 1, deletable: false, force: false };
    client.put(Source::Memory(bytes.to_vec().into()), options, &quiet()).await
}

/// Reads a whole blob into memory.
pub async fn get(client: &LightClient, id: &BlobId) -> Result<Vec<u8>> {
    get_with(client, id, Consistency::Default).await
}

/// Reads a whole blob into memory and checks this much.
pub async fn get_with(client: &LightClient, id: &BlobId, level: Consistency) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    client.get(id, level, &mut bytes, &quiet()).await?;
    Ok(bytes)
}

/// Waits until a fact is true, and fails with its name if it does not become so.
pub async fn eventually(fact: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + FACT_PATIENCE;
    while !is_true().await {
        assert!(Instant::now() < until, "{fact}: not true after {FACT_PATIENCE:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a fact is true, which must be within so much time. The time is counted in looks: whatever makes this process
/// wait for the machine makes its looks as late as the timers of what it looks at.
pub async fn in_time(fact: &str, time: Duration, mut is_true: impl AsyncFnMut() -> bool) {
    let looks = time.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if is_true().await {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("{fact}: not true within {time:?}");
}
