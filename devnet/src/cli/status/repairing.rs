//! What nodes have to repair still, how long that takes, and which blobs it brings back never.
//!
//! Promises: one line for each node, and the next step once for all; a repair that cannot end says which blobs and why, and no
//! time. Does not: ask anybody.

use std::time::Duration;

use haulout_node::probe::{self, Health};
use haulout_protocol::machine::conditions::Name;

use crate::typed::{counted, typed};

/// Whether a condition says no more than that something is missing that may be repaired.
pub(super) fn is_of(condition: &str) -> bool {
    [Name::BlobsIncomplete, Name::ShardsMissing].iter().any(|name| name.as_str() == condition)
}

/// Whether a node says that it has something to repair.
pub(super) fn repairs(health: &Health) -> bool {
    line(health).is_some()
}

/// What there is to say of these nodes; nothing if nobody repairs.
pub(super) fn lines<'a>(nodes: impl Iterator<Item = (&'a str, &'a Health)>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut named: Vec<String> = Vec::new();
    for (name, health) in nodes {
        let Some(line) = line(health) else { continue };
        lines.push(format!(" {name}  repairing: {line}"));
        for blob in probe::stuck(health) {
            if !named.contains(&blob) {
                named.push(blob);
            }
        }
    }
    let step = match (lines.is_empty(), named.is_empty()) {
        (true, _) => return lines,
        (false, true) => {
            "next: `devnet wait repaired` returns when nothing is missing anywhere".to_owned()
        }
        (false, false) => format!("{}, and `devnet status` names who is away", probe::STUCK_STEP),
    };
    lines.extend(named.into_iter().map(|blob| format!("   {blob}")));
    lines.push(format!("   {step}"));
    lines
}

fn line(health: &Health) -> Option<String> {
    let repairs = &health.json()["repairs"];
    let number = |name: &str| repairs[name].as_u64();
    let blobs = number("missing_blobs").filter(|blobs| *blobs > 0)?;
    let pairs = number("missing_pairs")?;
    let left = match (number("stuck_blobs").unwrap_or(0), number("seconds_left")) {
        (stuck @ 1.., _) => format!("{stuck} of them cannot be repaired now"),
        (0, Some(seconds)) => format!("about {} left", typed(Duration::from_secs(seconds))),
        (0, None) => "how long that takes is not known yet".to_owned(),
    };
    Some(format!(
        "{} to go, of which {} missing here; {left}",
        counted(blobs, "blob"),
        match pairs {
            1 => "1 part is".to_owned(),
            pairs => format!("{pairs} parts are"),
        }
    ))
}
