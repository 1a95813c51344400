//! The proof that a devnet works: a blob goes in, is certified, and comes out of another client.
//!
//! Promises: the blob is new each time, so it is really written, and the reader starts with
//! nothing but the network's configuration; a failure says that it is one of the self-test. Does not:
//! measure.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haulout_actors::session::Observer;
use haulout_actors::session::download::Consistency;
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_node::LightClient;
use haulout_node::config::{ClientConfig, Config};
use haulout_node::error::{Error, Kind, Result};

/// How much goes in and out.
const BLOB_BYTES: usize = 1 << 20;

/// Puts, certifies and gets a blob, in at most this time; says so in one line.
pub(crate) async fn run(text: &str, patience: Duration) -> Result<String> {
    match tokio::time::timeout(patience, put_and_get(text)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            let message = format!("the self-test failed: {}", error.message());
            Err(Error::new(error.kind(), message).hint(
                "see `devnet logs`; `devnet up` tries again, and `devnet up --fresh` starts over without its data",
            ))
        }
        Err(_) => {
            let message = format!("the self-test took longer than {} s", patience.as_secs());
            Err(Error::new(Kind::Timeout, message)
                .hint("see `devnet logs`; `devnet up --timeout 5m` gives it longer"))
        }
    }
}

async fn put_and_get(text: &str) -> Result<String> {
    let blob = noise()?;
    let writer = LightClient::connect(config(text)?).await?;
    let options = PutOptions { epochs: 1, deletable: false, force: false };
    let put = writer.put(Source::Memory(blob.clone().into()), options, &quiet()).await;
    writer.close().await;
    let id = put?.blob_id;
    let reader = LightClient::connect(config(text)?).await?;
    let mut got = Vec::with_capacity(BLOB_BYTES);
    let read = reader.get(&id, Consistency::Default, &mut got, &quiet()).await;
    reader.close().await;
    read?;
    if got != blob {
        return Err(Error::new(Kind::Verification, "the self-test got other bytes than it put"));
    }
    Ok("put → certify → get 1 MiB, bytes identical".to_owned())
}

/// Nobody watches a self-test.
fn quiet() -> Observer {
    Arc::new(|_| ())
}

fn config(text: &str) -> Result<ClientConfig> {
    Config::from_toml(text, Path::new("self-test"))?.client()
}

/// Bytes that were never stored before.
fn noise() -> Result<Vec<u8>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| {
        Error::new(Kind::Internal, "the operating system gives no entropy")
            .because(std::io::Error::other(error.to_string()))
    })?;
    let mut blob = vec![0; BLOB_BYTES];
    blake3::Hasher::new_keyed(&seed).finalize_xof().fill(&mut blob);
    Ok(blob)
}
