//! `haulout blob-id`: what a file's id would be, computed offline.

use std::path::PathBuf;

use clap::Args;
use haulout_protocol::blob::BlobHeader;
use haulout_protocol::encoding::Parameters;
use serde_json::json;

use super::Cli;
use super::output::{Output, size};
use crate::error::Result;
use crate::identify;
use crate::input::Input;
use crate::known_network::KnownNetwork;

/// Shards of a devnet, unless it was started with another number.
const SHARDS: u16 = 100;
/// Shards of Walrus's public networks.
const WALRUS_SHARDS: u16 = 1000;

/// Compute a file's blob id and content hash, offline
#[derive(Debug, Args)]
pub(super) struct BlobId {
    /// The file; `-` reads stdin
    file: PathBuf,
    /// Shards of the network [default: as the context's network has, if this machine was ever on it; else 100; 1000 with
    /// --walrus]
    #[arg(long, value_name = "N")]
    shards: Option<u16>,
    /// Compute the id that Walrus gives the same bytes, too
    #[arg(long)]
    walrus: bool,
}

impl BlobId {
    pub(super) fn run(&self, cli: &Cli, output: &Output) -> Result<u8> {
        let parameters = match (self.shards, self.walrus) {
            (Some(shards), _) => identify::parameters(shards)?,
            (None, true) => identify::parameters(WALRUS_SHARDS)?,
            (None, false) => known(cli).map_or_else(|| identify::parameters(SHARDS), Ok)?,
        };
        let shards = parameters.shards();
        let input = Input::named(&self.file, || cli.state_dir())?;
        let walrus = self.walrus.then(|| identify::walrus(shards, &input)).transpose()?;
        let bar = crate::progress::bytes(output.bars(), "identify", input.length());
        let moving = bar.clone();
        let progress = move |bytes| moving.set_position(bytes);
        let header = super::runtime()?.block_on(identify::identify(
            parameters,
            input.into_source(),
            progress,
        ))?;
        bar.finish_and_clear();
        let content = hex::encode(header.content_hash(&parameters));
        report(output, shards, &header, &content, walrus.as_deref());
        Ok(0)
    }
}

/// How blobs are encoded on the network of the context, as this machine remembers it. Without a configuration, or
/// with a wrong one, there is no network to remember: an id needs none.
fn known(cli: &Cli) -> Option<Parameters> {
    let objects = KnownNetwork::of(&cli.reader().ok()?).recall()?;
    Some(objects.view().ok()?.position.parameters)
}

fn report(output: &Output, shards: u16, header: &BlobHeader, content: &str, walrus: Option<&str>) {
    let blob_id = header.blob_id().to_string();
    let length = header.length;
    let mut json = json!({
        "blob_id": blob_id,
        "content_hash": content,
        "size": length,
        "shards": shards,
        "segments": header.segments.len(),
        "encoding": header.encoding.number(),
    });
    let mut people = format!(
        "blob     {blob_id}\ncontent  {content}  (BLAKE3)\nsize     {length} bytes ({})\nshards   {shards}\n",
        size(length)
    );
    if let Some(walrus) = walrus {
        json["walrus_blob_id"] = walrus.into();
        people.push_str(&format!("walrus   {walrus}\n"));
    }
    output.result(&json, walrus.unwrap_or(&blob_id), &people);
}
