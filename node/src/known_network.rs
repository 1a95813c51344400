//! What a client remembers of the network between two runs, in its state folder.
//!
//! Promises: what is recalled is of the network the configuration names, and whole; what cannot be
//! read or written is as if it were not there, because the ledger says it again.
//! Does not: hold anything that the ledger does not say to everybody.

use std::path::PathBuf;

use haulout_actors::chain::NetworkObjects;
use haulout_protocol::message::NetworkId;

use crate::config::ClientConfig;
use crate::whole_file;

/// The largest file that is read: the objects of a network of a thousand nodes are some hundred KiB.
const BYTES_MAX: u64 = 16 << 20;

/// Where what is known of one network is.
#[derive(Clone, Debug)]
pub(crate) struct KnownNetwork {
    path: PathBuf,
    network: NetworkId,
}

impl KnownNetwork {
    /// That of a client.
    pub(crate) fn of(config: &ClientConfig) -> KnownNetwork {
        let network = config.network.id;
        let path = config.state_dir.join("networks").join(format!("{network}.known"));
        KnownNetwork { path, network }
    }

    /// The network as it was.
    pub(crate) fn recall(&self) -> Option<NetworkObjects> {
        let is_small = std::fs::metadata(&self.path).ok()?.len() <= BYTES_MAX;
        let bytes = is_small.then(|| std::fs::read(&self.path).ok())??;
        let sealed = bytes.split_at_checked(blake3::OUT_LEN);
        let (_, bytes) = sealed.filter(|(hash, bytes)| blake3::hash(bytes).as_bytes() == *hash)?;
        let known = NetworkObjects::from_bytes(bytes)?;
        (known.view().ok()?.network == self.network).then_some(known)
    }

    /// Remembers the network as it is, if that is news.
    pub(crate) fn keep(&self, now: &NetworkObjects, before: Option<&NetworkObjects>) {
        if before.is_some_and(|before| before.describes_as(now)) {
            return;
        }
        let bytes = now.to_bytes();
        let sealed = [blake3::hash(&bytes).as_bytes(), bytes.as_slice()].concat();
        // Without the folder, writing says what is wrong.
        drop(self.path.parent().map(std::fs::create_dir_all));
        if let Err(error) = whole_file::replace(&self.path, &sealed) {
            tracing::debug!(%error, "what is known of the network is not remembered");
        }
    }
}
