//! The proof that a devnet works: a blob goes in, is certified, and comes out of another client.
//!
//! Promises: the blob is new each time, so it is really written, and the reader starts with
//! nothing but the network's configuration. Does not: measure.

use std::path::Path;
use std::sync::Arc;

use haulout_actors::session::Observer;
use haulout_actors::session::download::Consistency;
use haulout_actors::session::upload::{PutOptions, Source};
use haulout_node::LightClient;
use haulout_node::config::{ClientConfig, Config};
use haulout_node::error::{Error, Kind, Result};

/// How much goes in and out.
const BLOB_BYTES: usize = 1 << 20;

/// Puts, certifies and gets a blob; says so in one line.
pub(crate) async fn run(text: &str) -> Result<String> {
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
