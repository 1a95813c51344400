//! Telling the ledger that a blob was encoded wrongly: the signatures of members that saw the proof.
//!
//! Promises: a blob that is invalid already is left as it is, and costs nothing. Does not: judge signatures.

use haulout_protocol::certificate::Certificate;
use haulout_protocol::chain::abort::Abort;
use haulout_protocol::chain::call::{Function, InvalidateBlobId};

use super::error::CallError;
use super::handle::Chain;
use super::owned::Receipt;
use super::wallet::Wallet;

impl Chain {
    /// Has the ledger call a blob invalid; nothing if it does so already.
    ///
    /// # Errors
    /// The ledger cannot be reached, or does not take the certificate.
    pub async fn invalidate_blob(
        &self,
        wallet: &Wallet,
        certificate: &Certificate,
    ) -> Result<Option<Receipt>, CallError> {
        let call = InvalidateBlobId {
            signature: certificate.signature.to_bytes().to_vec(),
            signers: certificate.signers.clone(),
            message: certificate.message.clone(),
        };
        let sent =
            self.send_step(wallet, Function::INVALIDATE_BLOB_ID, call.arguments(), None).await;
        match sent {
            Err(error) if error.abort() == Some(Abort::AlreadyInvalid) => Ok(None),
            sent => sent.map(Some),
        }
    }
}
