//! Whether the signatures under a transaction authorise it.
//!
//! Promises: exactly the sender, and a sponsor where there is one, have signed these very bytes.

use std::collections::BTreeSet;

use sui_crypto::{SuiVerifier, UserSignatureVerifier};
use sui_sdk_types::{Address, SimpleSignature, Transaction, UserSignature};

use super::Refused;

/// Checks every signature and that the signers are those the transaction needs.
pub(in crate::ledger) fn authorise(
    transaction: &Transaction,
    signatures: &[UserSignature],
) -> Result<(), Refused> {
    let needed = BTreeSet::from([transaction.sender, transaction.gas_payment.owner]);
    if signatures.len() != needed.len() {
        let text = format!("expected {} signatures, found {}", needed.len(), signatures.len());
        return Err(Refused::Signature(text));
    }
    let mut signers = BTreeSet::new();
    for signature in signatures {
        signers.insert(signer(signature)?);
        UserSignatureVerifier::new()
            .verify_transaction(transaction, signature)
            .map_err(|error| Refused::Signature(format!("a signature does not verify: {error}")))?;
    }
    if signers != needed {
        return Err(Refused::Signature("the signer is not the sender or its sponsor".to_owned()));
    }
    Ok(())
}

fn signer(signature: &UserSignature) -> Result<Address, Refused> {
    match signature {
        UserSignature::Simple(SimpleSignature::Ed25519 { public_key, .. }) => {
            Ok(public_key.derive_address())
        }
        UserSignature::Simple(SimpleSignature::Secp256k1 { public_key, .. }) => {
            Ok(public_key.derive_address())
        }
        _ => Err(Refused::Unsupported("signatures other than ed25519 and secp256k1")),
    }
}
