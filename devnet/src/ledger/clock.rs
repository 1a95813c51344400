//! Sui's clock: the shared object that tells a transaction what time it is.
//!
//! Promises: the time a transaction reads is the time of the checkpoint that holds it, and never
//! goes back; readers see the time of the last checkpoint.
//! Does not: store anything; the checkpoints say what time it was.

use haulout_protocol::chain::CLOCK;
use haulout_protocol::chain::object::Clock;
use sui_sdk_types::{
    Address, CheckpointSummary, Digest, MoveStruct, Object, ObjectData, Owner, StructTag,
};

use super::identifiers::identifier;

/// The clock has been shared since the beginning.
const SHARED_SINCE: u64 = 1;

/// The id under which everybody knows it.
pub(super) fn id() -> Address {
    Address::new(CLOCK.into())
}

/// The clock's type.
pub(super) fn tag() -> StructTag {
    StructTag::new(Address::TWO, identifier("clock"), identifier("Clock"), vec![])
}

/// The clock after a checkpoint.
pub(super) fn after(checkpoint: &CheckpointSummary) -> Object {
    // Each checkpoint moves the clock, so versions follow the checkpoints.
    at(checkpoint.sequence_number.saturating_add(SHARED_SINCE), checkpoint.timestamp_ms)
}

/// The clock of the checkpoint to come, at a moment of the machine's time.
pub(super) fn next(now: Option<&Object>, now_ms: u64) -> (Object, u64) {
    let (version, last_ms) = match now {
        Some(clock) => (clock.version(), read(clock).map_or(0, |clock| clock.timestamp_ms)),
        None => (0, 0),
    };
    let now_ms = now_ms.max(last_ms);
    (at(version.saturating_add(1), now_ms), now_ms)
}

/// What a clock object says.
fn read(object: &Object) -> Option<Clock> {
    bcs::from_bytes(object.as_struct()?.contents()).ok()
}

fn at(version: u64, timestamp_ms: u64) -> Object {
    let bytes = bcs::to_bytes(&Clock { id: CLOCK, timestamp_ms });
    let bytes = bytes.expect("an id and a number always serialise");
    let data = MoveStruct::new(tag(), false, version, bytes).expect("it starts with its id");
    Object::new(ObjectData::Struct(data), Owner::Shared(SHARED_SINCE), Digest::ZERO, 0)
}
