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
    /// Old and new committee do not share the same shards.
    InvalidShardAssignment = 1101 in "committee": "the new committee has another number of shards",
    /// There are fewer places for shards than shards.
    NoRoomForShards = 1201 in "apportion": "the nodes may not hold all shards between them",
    /// An amount does not fit a number.
    ApportionOverflow = 1299 in "apportion": "an amount is too large for apportioning",
    /// The sum of stakes does not fit a number.
    ActiveSetOverflow = 1399 in "active_set": "the stakes together are too large",
    /// The pool entered this epoch before.
    PoolAlreadyUpdated = 1401 in "staking_pool": "the pool has entered this epoch already",
    /// A reward for a pool without stake.
    IncorrectEpochAdvance = 1403 in "staking_pool": "a pool without stake cannot be rewarded",
    /// Nothing was staked.
    ZeroStake = 1408 in "staking_pool": "there is nothing to stake",
    /// The receipt belongs to another pool.
    IncorrectPoolId = 1410 in "staking_pool": "the receipt is of another node's pool",
    /// More than all of the rewards.
    IncorrectCommissionRate = 1415 in "staking_pool": "a commission is at most 10000",
    /// Somebody else may do that.
    AuthorizationFailure = 1416 in "staking_pool": "this is for the pool's authority to do",
    /// An amount does not fit a number.
    PoolOverflow = 1499 in "staking_pool": "an amount is too large for the pool",
    /// Less stake than a receipt must hold.
    StakeBelowMinimum = 1501 in "staked": "a receipt holds less stake than allowed",
    /// The receipts differ in more than their amounts.
    StakeMismatch = 1502 in "staked": "the receipts differ in node, epochs or state",
    /// The part is not smaller than the whole.
    BadStakeAmount = 1503 in "staked": "a part must be smaller than the receipt",
    /// The stake was asked back before.
    NotStaked = 1504 in "staked": "the stake was asked back before",
    /// The stake was not asked back.
    NotWithdrawing = 1505 in "staked": "the stake must be asked back first",
    /// The epoch of the withdrawal has not come.
    WithdrawTooEarly = 1506 in "staked": "the stake is paid from a later epoch on",
    /// There is nothing to wait for.
    WithdrawDirectly = 1507 in "staked": "the stake can be withdrawn at once, without asking",
    /// The stake is worth no share.
    ZeroShares = 1508 in "staked": "the stake is worth less than one share",
    /// An amount does not fit a number.
    StakedOverflow = 1599 in "staked": "an amount is too large for a receipt",
    /// Not what an epoch in this state allows.
    StakingWrongState = 1601 in "staking": "the epoch is not in the state for this",
    /// The time has not come.
    StakingTooEarly = 1602 in "staking": "it is too early for this",
    /// A report about another epoch.
    StakingWrongEpoch = 1603 in "staking": "the report is about another epoch",
    /// The node reported before.
    DuplicateSync = 1604 in "staking": "the node has reported its shards already",
    /// The node is not in the committee.
    StakingNotMember = 1605 in "staking": "the node is not in the committee",
    /// No node has stake.
    NoStake = 1606 in "staking": "no node that may serve has stake",
    /// There is no such node.
    UnknownNode = 1607 in "staking": "there is no such node",
    /// The node takes no stake.
    NodeNotActive = 1608 in "staking": "the node is leaving or jailed",
    /// An amount does not fit a number.
    StakingOverflow = 1699 in "staking": "an amount is too large for the epoch's numbers",
    /// The bond is too small.
    BondTooSmall = 1701 in "node_registry": "the bond is smaller than required",
    /// The name is too long.
    NameTooLong = 1702 in "node_registry": "a node's name has at most 100 bytes",
    /// Too few or too many addresses, or one that is no multiaddr.
    BadMultiaddrs = 1703 in "node_registry": "a node has 1 to 8 binary multiaddrs without a peer id",
    /// The libp2p key did not sign the registration.
    BadPeerProof = 1704 in "node_registry": "the peer key's proof does not verify",
    /// The BLS key did not sign the registration.
    BadProofOfPossession = 1705 in "node_registry": "the BLS key's proof does not verify",
    /// Another node has the key.
    DuplicateKey = 1706 in "node_registry": "another node uses this key",
    /// More than all of the rewards.
    CommissionTooHigh = 1707 in "node_registry": "a commission is at most 10000",
    /// The bond may still be needed.
    StillBonded = 1708 in "node_registry": "the bond is not free yet",
    /// More pairs, longer texts, or a key twice.
    BadNodeMetadata = 1709 in "node_registry": "a node has at most 16 texts of 256 bytes under different keys of 64 bytes",
}
