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
    /// More would be burned than there is.
    TokenOverflow = 199 in "wal": "more would be burned than there is",
    /// The bitmap is longer than the committee or names a member that does not exist.
    InvalidBitmap = 201 in "bls": "the certificate's bitmap does not fit the committee",
    /// The signers hold too few shards.
    NotEnoughWeight = 202 in "bls": "the certificate's signers hold too few shards",
    /// The aggregated signature does not verify.
    BadSignature = 203 in "bls": "the certificate's signature does not verify",
    /// A member of a committee has no shards.
    ZeroWeight = 204 in "bls": "a member of the committee has no shards",
    /// The shards of a committee do not fit a number.
    CommitteeOverflow = 299 in "bls": "the committee has more shards than there can be",
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
    /// A split outside the epochs of the storage.
    BadSplitEpoch = 501 in "storage": "storage can only be split inside its epochs",
    /// The epochs neither equal nor follow each other.
    IncompatibleEpochs = 502 in "storage": "the storages cover epochs that do not fit together",
    /// The sizes differ, or more would be split off than there is.
    IncompatibleSize = 503 in "storage": "the sizes of the storages do not fit together",
    /// Storage of no bytes was asked for.
    ZeroSize = 504 in "storage": "storage must have a size",
    /// Sizes add up to more than a number holds.
    StorageOverflow = 599 in "storage": "the storage would be too large for the ledger's numbers",
    /// The blob has no certificate yet.
    NotCertified = 601 in "blob": "the blob is not certified",
    /// The blob is permanent.
    NotDeletable = 602 in "blob": "the blob is permanent until its storage ends",
    /// The storage does not cover the current epoch.
    ResourceBounds = 603 in "blob": "the storage does not cover the current epoch",
    /// The storage is smaller than the encoded blob.
    ResourceSize = 604 in "blob": "the storage is smaller than the encoded blob",
    /// The blob has been certified before.
    AlreadyCertified = 605 in "blob": "the blob is already certified",
    /// The id does not follow from root, size and encoding, or is another blob's.
    InvalidBlobId = 606 in "blob": "the blob id does not match",
    /// The blob has metadata already.
    DuplicateMetadata = 607 in "blob": "the blob has metadata already",
    /// The blob has no such metadata.
    MissingMetadata = 608 in "blob": "the blob has no such metadata",
    /// The certificate promises another kind of persistence.
    WrongPersistence = 609 in "blob": "the certificate promises another persistence",
    /// The certificate is for another object.
    WrongObject = 610 in "blob": "the certificate is for another blob object",
    /// A listing or rental holds the blob.
    Locked = 611 in "blob": "the blob is locked by a listing or a rental",
    /// A key, a value or the number of pairs is past its limit.
    MetadataTooLarge = 612 in "blob": "the metadata is larger than a blob may carry",
    /// An amount does not fit a number.
    AccountingOverflow = 999 in "accounting": "an amount is too large for the ledger's numbers",
    /// The system object follows the rules of another version.
    SystemVersion = 1001 in "system": "the system object is of another version of the contracts",
    /// The network has no room for it.
    StorageExceeded = 1002 in "system": "the network has no capacity left for it in those epochs",
    /// The epochs are empty, past or too far ahead.
    BadEpochs = 1003 in "system": "the epochs are empty, over, or too far ahead",
    /// The coin holds too little.
    InsufficientPayment = 1004 in "system": "the coin holds too little to pay for it",
    /// It costs more than the caller agreed to.
    PriceAboveLimit = 1005 in "system": "it costs more than the limit given with the call",
    /// Something is for another epoch than it must be.
    EpochMismatch = 1006 in "system": "that epoch is not the one it must be",
    /// The committee has said so before.
    AlreadyInvalid = 1010 in "system": "the blob id is known to be invalid",
    /// The committee found the blob's encoding wrong.
    BlobInvalid = 1011 in "system": "the blob id was declared invalid by the committee",
    /// A version that is not newer than the last.
    StaleVersion = 1013 in "system": "the protocol version is not newer than the current one",
    /// A price does not fit a number.
    SystemOverflow = 1099 in "system": "a price is too large for the ledger's numbers",
    /// There is no such parameter.
    UnknownKey = 3201 in "params": "there is no such parameter",
    /// The value is outside what the contracts allow.
    OutOfRails = 3202 in "params": "the value is outside the bounds of this parameter",
}
