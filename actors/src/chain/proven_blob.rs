//! A blob object on more than one server's word: as the ledger's validators signed it, or as most of its servers show it.
//!
//! Promises: what is given out was so in a checkpoint that is proven like any other, the owner included. Since only the owner
//! changes it, it is so still, unless the owner did something. Does not: say what the owner did since.

use haulout_protocol::chain::{ObjectId, object};

use super::error::{CallError, FollowError};
use super::handle::Chain;
use super::holder::Holder;
use super::holder::holder_of;
use crate::limits;

impl Chain {
    /// Whether there is anything to believe beside the word of one server.
    pub fn can_prove(&self) -> bool {
        self.shared.options.trusted.is_some() || self.has_choice()
    }

    /// A blob object as a proven checkpoint has it, and whose it is. Worth something only if this chain
    /// [can prove](Chain::can_prove) anything.
    pub async fn proven_blob(&self, id: &ObjectId) -> Result<(object::Blob, Holder), FollowError> {
        let proving = async {
            let found = self.exact(&[*id], "blob object").await?;
            let unreadable = || CallError::unreadable(format!("blob object {id}"));
            let state = found.first().ok_or_else(unreadable)?;
            let blob = self.value_of::<object::Blob>(state)?.ok_or_else(unreadable)?;
            self.prove_written(id, state).await?;
            Ok((blob, holder_of(state)))
        };
        // A server may claim a checkpoint that never comes.
        let proven = tokio::time::timeout(limits::CHAIN_ANSWER_TIMEOUT, proving).await;
        proven.unwrap_or_else(|_| Err(self.late("no answer in time").into()))
    }
}
