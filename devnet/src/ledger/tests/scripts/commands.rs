//! The commands of scripts: what each is called, which function it calls, and where its arguments
//! go. `devnet/scripts/README.md` explains them to people; a test compares the two.
//!
//! Does not: make bytes of them; that is `compile`.

use haulout_protocol::chain::call::Function;

/// One argument of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The shared `System`; whether it is changed.
    System(bool),
    /// The shared state of stake; whether it is changed.
    Stake(bool),
    /// The shared `Params`.
    Params,
    /// The shared `Treasury`.
    Treasury,
    /// Sui's clock.
    Clock,
    /// An object that is borrowed.
    Borrowed(&'static str),
    /// An object that is taken for good.
    Taken(&'static str),
    /// A number of 64 bits.
    U64(&'static str),
    /// A number of 32 bits.
    U32(&'static str),
    /// A number of 8 bits; 2 if it is not given.
    Encoding,
    /// A truth; false if it is not given.
    Flag(&'static str),
    /// The most the caller pays; anything if it is not given.
    Max,
    /// A text.
    Text(&'static str),
    /// The id of a node.
    Node,
    /// The id of a blob: of `id` if it is given, else of `blob`.
    BlobId,
    /// The root of `blob`.
    Root,
    /// Signature, bitmap and message of `cert`.
    Certificate,
    /// Everything else a registration says.
    Registration,
}

/// What a command makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Makes {
    /// Nothing.
    Nothing,
    /// A new object; the ids before it are of things inside others.
    New(u64),
    /// The storage of the blob it takes.
    ItsStorage,
}

/// A command.
#[derive(Debug)]
pub(super) struct Shape {
    /// What scripts call it.
    pub(super) name: &'static str,
    /// What it calls.
    pub(super) function: Function,
    /// With what.
    pub(super) slots: &'static [Slot],
    /// What comes of it.
    pub(super) makes: Makes,
}

const fn shape(
    name: &'static str,
    function: Function,
    slots: &'static [Slot],
    makes: Makes,
) -> Shape {
    Shape { name, function, slots, makes }
}

use Makes::{ItsStorage, New, Nothing};
use Slot::*;

/// The least a command makes.
const ONE: Makes = New(0);

/// Every command that is a call of the package.
pub(super) const COMMANDS: [Shape; 37] = [
    shape(
        "reserve",
        Function::RESERVE_SPACE,
        &[System(true), U64("size"), U32("start"), U32("end"), Borrowed("coin"), Max],
        ONE,
    ),
    shape("split_by_epoch", Function::SPLIT_BY_EPOCH, &[Borrowed("storage"), U32("epoch")], ONE),
    shape("split_by_size", Function::SPLIT_BY_SIZE, &[Borrowed("storage"), U64("size")], ONE),
    shape("fuse", Function::FUSE_STORAGE, &[Borrowed("storage"), Taken("other")], Nothing),
    shape("destroy", Function::DESTROY_STORAGE, &[Taken("storage")], Nothing),
    shape(
        "register",
        Function::REGISTER_BLOB,
        &[
            System(true),
            Params,
            Taken("storage"),
            BlobId,
            Root,
            U64("size"),
            Encoding,
            Flag("deletable"),
            Borrowed("coin"),
            Max,
        ],
        ONE,
    ),
    shape(
        "certify",
        Function::CERTIFY_BLOB,
        &[System(false), Borrowed("blob"), Certificate],
        Nothing,
    ),
    shape(
        "extend",
        Function::EXTEND_BLOB,
        &[System(true), Borrowed("blob"), U32("epochs"), Borrowed("coin"), Max],
        Nothing,
    ),
    shape(
        "extend_with",
        Function::EXTEND_BLOB_WITH_RESOURCE,
        &[System(false), Borrowed("blob"), Taken("storage")],
        Nothing,
    ),
    shape("delete", Function::DELETE_BLOB, &[System(false), Taken("blob")], ItsStorage),
    shape("burn", Function::BURN_BLOB, &[System(false), Taken("blob")], Nothing),
    shape("add_metadata", Function::ADD_METADATA, &[Borrowed("blob")], Nothing),
    shape(
        "set_metadata",
        Function::SET_METADATA_PAIR,
        &[Borrowed("blob"), Text("key"), Text("value")],
        Nothing,
    ),
    shape(
        "remove_metadata",
        Function::REMOVE_METADATA_PAIR,
        &[Borrowed("blob"), Text("key")],
        Nothing,
    ),
    shape("take_metadata", Function::TAKE_METADATA, &[Borrowed("blob")], Nothing),
    shape("invalidate", Function::INVALIDATE_BLOB_ID, &[System(true), Certificate], Nothing),
    shape(
        "set_protocol_version",
        Function::SET_PROTOCOL_VERSION,
        &[System(true), Certificate],
        Nothing,
    ),
    shape(
        "add_subsidy",
        Function::ADD_SUBSIDY,
        &[System(true), Taken("coin"), U32("epochs")],
        Nothing,
    ),
    shape("burn_wal", Function::BURN_WAL, &[Treasury, Taken("coin")], Nothing),
    shape(
        "register_node",
        Function::REGISTER_NODE,
        &[Stake(true), Params, Taken("bond"), Registration],
        New(1),
    ),
    shape("stake", Function::STAKE_WITH_POOL, &[Stake(true), Params, Taken("coin"), Node], ONE),
    shape(
        "request_withdraw",
        Function::REQUEST_WITHDRAW_STAKE,
        &[Stake(true), Borrowed("staked")],
        Nothing,
    ),
    shape("withdraw", Function::WITHDRAW_STAKE, &[Stake(true), Taken("staked")], ONE),
    shape(
        "split_staked",
        Function::SPLIT_STAKED,
        &[Borrowed("staked"), Params, U64("amount")],
        ONE,
    ),
    shape("join_staked", Function::JOIN_STAKED, &[Borrowed("staked"), Taken("other")], Nothing),
    shape(
        "vote_storage_price",
        Function::SET_STORAGE_PRICE_VOTE,
        &[Stake(true), Borrowed("cap"), U64("value")],
        Nothing,
    ),
    shape(
        "vote_write_price",
        Function::SET_WRITE_PRICE_VOTE,
        &[Stake(true), Borrowed("cap"), U64("value")],
        Nothing,
    ),
    shape(
        "vote_capacity",
        Function::SET_NODE_CAPACITY_VOTE,
        &[Stake(true), Borrowed("cap"), U64("value")],
        Nothing,
    ),
    shape(
        "voting_end",
        Function::VOTING_END,
        &[Stake(true), System(false), Params, Clock],
        Nothing,
    ),
    shape(
        "epoch_change",
        Function::EPOCH_CHANGE,
        &[Stake(true), System(true), Params, Treasury, Clock],
        Nothing,
    ),
    shape(
        "epoch_sync_done",
        Function::EPOCH_SYNC_DONE,
        &[Stake(true), Borrowed("cap"), U32("epoch"), Clock],
        Nothing,
    ),
    shape("force_sync_done", Function::FORCE_SYNC_DONE, &[Stake(true), Params, Clock], Nothing),
    shape("update_prices", Function::UPDATE_PRICES, &[Stake(false), System(true), Params], Nothing),
    shape("settle", Function::SETTLE, &[Stake(true), Node], Nothing),
    shape("collect_commission", Function::COLLECT_COMMISSION, &[Stake(true), Borrowed("cap")], ONE),
    shape("request_exit", Function::REQUEST_EXIT, &[Stake(true), Borrowed("cap")], Nothing),
    shape("withdraw_bond", Function::WITHDRAW_BOND, &[Stake(true), Borrowed("cap")], ONE),
];

impl Slot {
    /// The arguments of a command that this slot reads.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Slot::System(_) | Slot::Stake(_) | Slot::Params | Slot::Treasury | Slot::Clock => &[],
            Slot::Borrowed(key)
            | Slot::Taken(key)
            | Slot::U64(key)
            | Slot::U32(key)
            | Slot::Flag(key)
            | Slot::Text(key) => single(key),
            Slot::Encoding => &["encoding"],
            Slot::Max => &["max"],
            Slot::Node => &["node"],
            Slot::BlobId => &["blob", "id"],
            Slot::Root => &["blob"],
            Slot::Certificate => &["cert"],
            Slot::Registration => &[
                "node",
                "keys_of",
                "commission",
                "storage_ask",
                "write_ask",
                "capacity",
                "epoch",
                "tamper",
            ],
        }
    }
}

/// A list of one of the keys there are.
fn single(key: &'static str) -> &'static [&'static str] {
    const KEYS: [[&str; 1]; 18] = [
        ["size"],
        ["start"],
        ["end"],
        ["coin"],
        ["storage"],
        ["epoch"],
        ["other"],
        ["deletable"],
        ["blob"],
        ["epochs"],
        ["key"],
        ["value"],
        ["bond"],
        ["staked"],
        ["amount"],
        ["cap"],
        ["node"],
        ["from"],
    ];
    KEYS.iter().find(|known| known[0] == key).map_or(&[], |known| known.as_slice())
}
