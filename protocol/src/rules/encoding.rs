//! Twin of `encoding`: how many bytes a blob occupies.

use crate::blob::Encoding;
use crate::chain::abort::Abort;
use crate::chain::object::Params;

/// Bytes of a blob once encoded for this network. Each length has one encoding, and others are refused.
pub(super) fn encoded_length(params: &Params, encoding: u8, size: u64) -> Result<u64, Abort> {
    let parameters = params.parameters().map_err(|_| Abort::UnknownEncoding)?;
    if Encoding::from_number(encoding) != Some(parameters.encoding_of(size)) {
        return Err(Abort::UnknownEncoding);
    }
    parameters.encoded_bytes(size, params.header_replicas).ok_or(Abort::BlobTooLarge)
}
