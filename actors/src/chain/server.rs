//! One of the servers of a ledger, and the connection to it.
//!
//! Does not: ask it, or choose among several; `servers` does.

use sui_rpc::Client;

use super::error::CallError;
use super::options::ChainOptions;
use crate::limits;

/// One server, and the connection to it, which opens when it is used.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) client: Client,
}

/// The servers of a configuration.
pub(super) fn all_of(options: &ChainOptions) -> Result<Vec<Server>, CallError> {
    let servers = options.urls.iter().map(|url| {
        let unusable = |reason: String| CallError::InvalidUrl { url: url.clone(), reason };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(unusable("it must start with http:// or https://".to_owned()));
        }
        let client = Client::new(url.as_str());
        let client = client.map_err(|status| unusable(status.message().to_owned()))?;
        let client = client.with_response_headers_timeout(limits::CHAIN_ANSWER_TIMEOUT);
        Ok(Server { url: url.clone(), client })
    });
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    match servers.is_empty() {
        true => Err(CallError::InvalidUrl {
            url: String::new(),
            reason: "no server is configured".to_owned(),
        }),
        false => Ok(servers),
    }
}
