//! Why the ledger refuses a call: every abort code of the rules, with its meaning.
//!
//! Promises: a code is `module number * 100 + n`, so the number alone names module and cause;
//! codes never change their meaning.
//! Does not: carry details; a Move abort is one number.

macro_rules! aborts {
    ($($(#[$doc:meta])* $name:ident = $code:literal in $module:literal: $text:literal,)*) => {
        /// Why a call was refused; displays as a sentence for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Abort {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl Abort {
            /// Every abort there is.
            pub const ALL: &[Self] = &[$(Abort::$name,)*];

            /// The number a failed transaction carries.
            pub fn code(self) -> u64 {
                match self { $(Abort::$name => $code,)* }
            }

            /// The Move module that aborts with it.
            pub fn module(self) -> &'static str {
                match self { $(Abort::$name => $module,)* }
            }

            /// The abort with this number, if it is one of ours.
            pub fn from_code(code: u64) -> Option<Self> {
                match code { $($code => Some(Abort::$name),)* _ => None }
            }
        }
    };
}

aborts! {
    /// The bitmap is longer than the committee or names a member that does not exist.
    InvalidBitmap = 201 in "bls": "the certificate's bitmap does not fit the committee",
    /// The signers hold too few shards.
    NotEnoughWeight = 202 in "bls": "the certificate's signers are not a quorum",
    /// The aggregated signature does not verify.
    BadSignature = 203 in "bls": "the certificate's signature does not verify",
    /// The message is for another application.
    WrongApp = 301 in "messages": "the signed message is for another application",
    /// The message has another version.
    WrongVersion = 302 in "messages": "the signed message has another version",
    /// The message is for another network.
    WrongNetwork = 303 in "messages": "the signed message is for another network",
    /// The message was signed in another epoch.
    WrongEpoch = 304 in "messages": "the signed message is of another epoch",
    /// The message says something else.
    WrongType = 305 in "messages": "the signed message is of another kind",
    /// The message has missing or extra bytes.
    Malformed = 306 in "messages": "the signed message has missing or extra bytes",
    /// The encoding is not accepted.
    UnknownEncoding = 401 in "encoding": "the network does not accept this encoding",
    /// The encoded length does not fit a number.
    BlobTooLarge = 402 in "encoding": "the blob is too large to be encoded",
    /// Storage of no bytes was asked for.
    ZeroSize = 504 in "storage": "storage must have a size",
    /// The storage does not cover the current epoch.
    ResourceBounds = 603 in "blob": "the storage does not cover the current epoch",
    /// The storage is smaller than the encoded blob.
    ResourceSize = 604 in "blob": "the storage is smaller than the encoded blob",
    /// The blob has been certified before.
    AlreadyCertified = 605 in "blob": "the blob is already certified",
    /// The id does not follow from root, size and encoding, or is another blob's.
    InvalidBlobId = 606 in "blob": "the blob id does not match",
    /// The certificate promises another kind of persistence.
    WrongPersistence = 609 in "blob": "the certificate promises another persistence",
    /// The certificate is for another object.
    WrongObject = 610 in "blob": "the certificate is for another blob object",
    /// An amount does not fit a number.
    AccountingOverflow = 999 in "accounting": "an amount is too large for the ledger's numbers",
    /// The network has no room for it.
    StorageExceeded = 1002 in "system": "the network has no capacity left for it in those epochs",
    /// The epochs are empty, past or too far ahead.
    BadEpochs = 1003 in "system": "the epochs are empty, over, or too far ahead",
    /// The coin holds too little.
    InsufficientPayment = 1004 in "system": "the coin holds too little to pay for it",
    /// It costs more than the caller agreed to.
    PriceAboveLimit = 1005 in "system": "it costs more than the limit given with the call",
}
