//! A blob object on more than one server's word: as the ledger's validators signed it, or as most of its servers show it.
//!
//! Promises: what is given out was so in a checkpoint that is proven like any other, the owner included. Since only the owner
//! changes it, it is so still, unless the owner did something. Does not: say what the owner did since.

use haulout_protocol::chain::{ObjectId, TypeName, object};
use sui_sdk_types::{Object, Owner, StructTag};

use super::{CallError, Chain, FollowError, Holder};
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
            let found = self.object_with(&["bcs"], id, "blob object").await?;
            let state: Object = found.bcs().deserialize().map_err(CallError::unreadable)?;
            let wanted = TypeName::BLOB.qualified(&self.shared.options.package);
            let wanted: StructTag = wanted.parse().map_err(CallError::unreadable)?;
            let value = state.as_struct().filter(|value| *value.object_type() == wanted);
            let blob: object::Blob = value
                .and_then(|value| bcs::from_bytes(value.contents()).ok())
                .filter(|blob: &object::Blob| blob.id == *id)
                .ok_or_else(|| CallError::unreadable(format!("blob object {id}")))?;
            self.prove_written(id, &state).await?;
            let holder = match state.owner() {
                Owner::Address(account) => Holder::Account(account.into_inner().into()),
                _ => Holder::Other,
            };
            Ok((blob, holder))
        };
        // A server may claim a checkpoint that never comes.
        let proven = tokio::time::timeout(limits::CHAIN_ANSWER_TIMEOUT, proving).await;
        proven.unwrap_or_else(|_| Err(self.late("no answer in time").into()))
    }
}
