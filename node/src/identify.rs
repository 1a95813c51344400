//! A blob's identity without a network: blob id, content hash, and the id Walrus would give.
//!
//! Promises: memory is bounded by two segments for our own id. Does not: encode slivers to keep.

use std::sync::Arc;

use haulout_actors::session::upload::{self, Source};
use haulout_actors::session::{Observer, Progress};
use haulout_protocol::blob::{BlobHeader, BlobId};
use haulout_protocol::encoding::{self, Parameters, SEGMENT_BYTES, SHORT_BYTES};

use crate::error::{Error, Kind, Result};
use crate::input::Input;

/// Walrus's ids need the whole blob in memory.
const WALRUS_BYTES_MAX: u64 = 1 << 30;

/// The parameters of a network with this many shards, and with segments and short blobs of the usual size.
pub fn parameters(shards: u16) -> Result<Parameters> {
    let parameters = Parameters::new(shards, SEGMENT_BYTES);
    let parameters = parameters.and_then(|parameters| parameters.with_short_blobs(SHORT_BYTES));
    parameters.map_err(|error| {
        Error::new(Kind::Usage, format!("no network has {shards} shards"))
            .because(error)
            .hint("a network has 4 to 65535 shards; devnets have 100 unless told otherwise")
    })
}

/// Reads all of `source` and computes the header that names it; `progress` hears of bytes done.
pub async fn identify(
    parameters: Parameters,
    source: Source,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> Result<BlobHeader> {
    let observer: Observer = Arc::new(move |news| {
        if let Progress::Identified { bytes } = news {
            progress(bytes);
        }
    });
    Ok(upload::header(parameters, Arc::new(source), &observer).await?)
}

/// The id Walrus gives the same bytes on a network with this many shards. Blocks.
pub fn walrus(shards: u16, input: &Input) -> Result<String> {
    let too_large = || {
        let message = format!("{} is too large for a Walrus blob id", input.name());
        Error::new(Kind::Usage, message).hint(
            "Walrus's encoding limits a blob by the shards, and we keep all of it in memory: 1 GiB",
        )
    };
    let length = input.length();
    if length > WALRUS_BYTES_MAX {
        return Err(too_large());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_large())?];
    input.read_exact_at(&mut bytes, 0)?;
    let id =
        encoding::walrus::blob_id(shards, &bytes).map_err(|error| too_large().because(error))?;
    Ok(BlobId::from_bytes(id).to_string())
}

#[cfg(test)]
mod tests {
    use haulout_protocol::blob::Encoding;
    use haulout_protocol::encoding::header_of;

    use super::*;

    #[tokio::test]
    async fn short_blobs_and_longer_ones_get_the_ids_of_their_networks() {
        let parameters = Parameters::new(10, 1 << 20).unwrap().with_short_blobs(4096).unwrap();
        for (length, encoding) in
            [(0, Encoding::Short), (4096, Encoding::Short), (4097, Encoding::Segments)]
        {
            let bytes = vec![7; length];
            let source = Source::Memory(bytes.clone().into());
            let header = identify(parameters, source, |_| ()).await.unwrap();
            assert_eq!(header.encoding, encoding, "{length} bytes");
            assert_eq!(header.blob_id(), header_of(&parameters, &bytes).blob_id());
        }
    }
}
