//! What committees sign in scripts: real certificates, and wrong ones of every kind.
//!
//! Promises: what is not tampered with is exactly what nodes of the network would sign.
//! Does not: check anything; the ledger does.

use haulout_protocol::blob::BlobId;
use haulout_protocol::chain::object::BlsCommittee;
use haulout_protocol::crypto::aggregate_signatures;
use haulout_protocol::epoch::Epoch;
use haulout_protocol::message::{
    NetworkId, Persistence, blob_certificate_message, invalid_blob_message,
    protocol_version_message,
};
use serde_json::{Map, Value};

use super::compile::{blob_id, integer};
use super::stage::{Stage, bls_key};
use crate::ledger::objects::Resource;

/// Signature, bitmap and message.
pub(super) type Certificate = (Vec<u8>, Vec<u8>, Vec<u8>);

/// Makes what `cert` describes.
pub(super) fn certificate(
    stage: &Stage,
    fields: &Map<String, Value>,
) -> Result<Certificate, String> {
    let system = stage.system();
    let tamper = fields.get("tamper").and_then(Value::as_str).unwrap_or_default();
    let epoch = match fields.get("epoch") {
        Some(value) => integer(stage, value)?,
        None => system.committee.epoch.into(),
    };
    let epoch = Epoch(u32::try_from(epoch).map_err(|_| "an epoch has 32 bits")?);
    let mut network = *system.network_id.as_bytes();
    if tamper == "network" {
        network[0] ^= 1;
    }
    let mut message = message(stage, fields, &NetworkId::from_bytes(network), epoch)?;
    match tamper {
        "type" => message[0] = 3,
        "version" => message[1] ^= 2,
        "app" => message[2] ^= 1,
        "trailing" => message.push(0),
        _ => {}
    }
    let signers = signers(stage, &system.committee, fields)?;
    let signatures: Vec<_> = signers.iter().map(|name| bls_key(name).sign(&message)).collect();
    let aggregated = aggregate_signatures(&signatures);
    // Without signers there is no sum; the bytes of no point stand for it.
    let mut signature = aggregated.map_or_else(|_| vec![0; 96], |sum| sum.to_bytes().to_vec());
    let mut bitmap = bitmap(stage, &system.committee, &signers);
    match tamper {
        "" | "network" | "type" | "version" | "app" | "trailing" => {}
        "signature" => signature[5] ^= 1,
        "message" => *message.last_mut().ok_or("no message is empty")? ^= 1,
        "long_bitmap" => bitmap.push(0),
        "padding" => set_bit(&mut bitmap, system.committee.members.len()),
        "extra_bit" => {
            let missing = |at: &usize| bitmap[at / 8] & (1 << (at % 8)) == 0;
            let free = (0..system.committee.members.len()).find(missing);
            set_bit(&mut bitmap, free.ok_or("everybody signed")?);
        }
        other => return Err(format!("certificates cannot be tampered with by {other:?}")),
    }
    Ok((signature, bitmap, message))
}

fn message(
    stage: &Stage,
    fields: &Map<String, Value>,
    network: &NetworkId,
    epoch: Epoch,
) -> Result<Vec<u8>, String> {
    let number = |key: &str| integer(stage, fields.get(key).ok_or(format!("cert lacks {key}"))?);
    match fields.get("type").and_then(Value::as_str) {
        Some("blob") => {
            let (id, persistence) = match fields.get("of").and_then(Value::as_str) {
                Some(handle) => of_object(stage, handle)?,
                None => (blob_id(stage, fields, "blob")?, Persistence::Permanent),
            };
            Ok(blob_certificate_message(network, epoch, &id, &persistence))
        }
        Some("invalid") => {
            Ok(invalid_blob_message(network, epoch, &blob_id(stage, fields, "blob")?))
        }
        Some("protocol_version") => {
            let start = u32::try_from(number("start")?).map_err(|_| "an epoch has 32 bits")?;
            Ok(protocol_version_message(network, epoch, Epoch(start), number("version")?))
        }
        other => Err(format!("there are no certificates of type {other:?}")),
    }
}

/// What must be signed to certify a blob object.
fn of_object(stage: &Stage, handle: &str) -> Result<(BlobId, Persistence), String> {
    let handle = handle.strip_prefix('@').ok_or("a handle is written \"@name\"")?;
    match stage.resource(handle)? {
        Resource::Blob(blob) => {
            let persistence = match blob.deletable {
                true => Persistence::Deletable(blob.id),
                false => Persistence::Permanent,
            };
            Ok((BlobId::from_bytes(blob.blob_id), persistence))
        }
        _ => Err(format!("@{handle} is no blob")),
    }
}

/// The names of those who sign: a list, `"all"`, or as many members from the first on as are
/// needed for a `"quorum"` or for one that is correct, `"third"`.
fn signers(
    stage: &Stage,
    committee: &BlsCommittee,
    fields: &Map<String, Value>,
) -> Result<Vec<String>, String> {
    let share = match fields.get("signers") {
        None => (2, 3),
        Some(Value::String(word)) => match word.as_str() {
            "quorum" => (2, 3),
            "third" => (1, 3),
            "all" => (u64::MAX, 1),
            other => return Err(format!("nobody is called {other:?}")),
        },
        Some(list) => return serde_json::from_value(list.clone()).map_err(|e| e.to_string()),
    };
    let name_of = |id| stage.nodes.iter().find(|(_, node)| *node == id).map(|(name, _)| name);
    let (mut names, mut weight) = (Vec::new(), 0_u64);
    for member in &committee.members {
        if share.1 * weight > u64::from(committee.n_shards).saturating_mul(share.0) {
            break;
        }
        names.push(name_of(&member.node_id).ok_or("a member has no name")?.clone());
        weight += u64::from(member.weight);
    }
    Ok(names)
}

/// The bits of those signers that are members; strangers have none.
fn bitmap(stage: &Stage, committee: &BlsCommittee, signers: &[String]) -> Vec<u8> {
    let mut bitmap = vec![0; committee.members.len().div_ceil(8)];
    for name in signers {
        let is_it = |id| stage.nodes.get(name) == Some(id);
        if let Some(at) = committee.members.iter().position(|member| is_it(&member.node_id)) {
            set_bit(&mut bitmap, at);
        }
    }
    bitmap
}

fn set_bit(bitmap: &mut Vec<u8>, at: usize) {
    if bitmap.len() <= at / 8 {
        bitmap.resize(at / 8 + 1, 0);
    }
    bitmap[at / 8] |= 1 << (at % 8);
}
