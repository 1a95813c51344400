//! What a lying server says that is not so.

use haulout_protocol::chain::ObjectId;

/// How it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not.
    None,
    /// Every checkpoint says that this object of this blob was deleted.
    Deleted {
        /// The package whose event it invents.
        package: ObjectId,
        /// The blob.
        blob_id: [u8; 32],
        /// The object.
        object_id: ObjectId,
    },
    /// No checkpoint has a signature.
    Unsigned,
    /// The objects that tell the epoch are of a far one.
    LateEpoch {
        /// The system object.
        system: ObjectId,
        /// The staking object.
        staking: ObjectId,
        /// How many epochs too late it is.
        by: u32,
    },
    /// The time of this storage object is over.
    StorageOver {
        /// The object.
        object: ObjectId,
        /// Whether not only lists say so, but also what it claims to be the object itself, under the true digest.
        in_itself: bool,
    },
    /// Each of these two objects of one kind is the other.
    Swapped {
        /// One.
        one: ObjectId,
        /// The other.
        other: ObjectId,
        /// Whether not only lists say so: who asks for one is shown the other.
        in_itself: bool,
    },
    /// Whatever transaction is to be executed was, in a checkpoint of this number above the last; the ledger never sees it.
    SaysDone {
        /// How far above.
        above: u64,
    },
    /// Whatever transaction is tried, another one is handed out to be signed, which does nothing.
    OtherTransaction,
    /// The gas of whatever transaction is tried costs so much that all of it is burnt.
    DearGas,
    /// Every blob object that an account owns is one of this blob, and certified.
    Owns {
        /// The blob.
        blob_id: [u8; 32],
    },
    /// This blob is certified, as soon as somebody asks for it; the transaction is kept from the ledger.
    Certifies {
        /// The package whose event it invents.
        package: ObjectId,
        /// The blob.
        blob_id: [u8; 32],
        /// How many certifications it invents before it tells the truth again.
        times: usize,
        /// How far above the last checkpoint that one is in which it was certified.
        above: u64,
    },
    /// Every transaction is executed, and said to have failed.
    Denies,
    /// Every transaction is executed, said to be refused, and not known when somebody asks for it.
    Refuses {
        /// Whether what it spent is shown as it was before.
        as_before: bool,
    },
    /// One transaction is refused, and the ledger never sees it; then it lies so.
    Rejects {
        /// How.
        then: Box<Lie>,
    },
    /// So many transactions that are tried are said to abort.
    Aborts {
        /// How many.
        times: usize,
    },
    /// There is no such object.
    Lacks {
        /// Its id.
        object: ObjectId,
    },
    /// The bytes of objects are cut short.
    Cut,
    /// Of these two nodes each has the other's name in the state of stake.
    Renamed {
        /// One.
        one: ObjectId,
        /// The other.
        other: ObjectId,
    },
    /// Shared objects have been so only since a later version.
    SharedLater,
    /// There is nothing after this checkpoint.
    Stale {
        /// Its number.
        last: u64,
    },
    /// It takes every question and answers none.
    Hangs,
}
