//! Whether reads can do without a node that goes at once.
//!
//! Promises: only who says that nothing is missing at it counts, with the shards that it says it has. Does not: ask.

use haulout_node::error::{Error, Kind, Result};

use crate::probe::{self, Health};

/// Shards of a node in which everything is that belongs there of what the ledger had at a checkpoint, as it says; none of one
/// that says nothing, that lacks something of them, or that looked before that.
pub(super) fn held(health: Option<&Health>, checkpoint: u64) -> u64 {
    let full = health.filter(|health| probe::has_everything(health, checkpoint));
    full.and_then(|health| health.number("shards")).unwrap_or(0)
}

/// Refuses to end a node without which the others hold too little.
pub(super) fn check(name: &str, held: u64, needed: usize) -> Result<()> {
    if u64::try_from(needed).is_ok_and(|needed| held >= needed) {
        return Ok(());
    }
    let message = format!(
        "without {name} the nodes that have everything hold {}, and reads need {needed}",
        crate::typed::counted(held, "shard")
    );
    Err(Error::new(Kind::Permission, message).hint(format!(
        "`devnet status` says who is away or repairs, `devnet wait repaired` returns when all have everything; `devnet remove \
         {name} --graceful` lets others have its shards first; `devnet remove {name} --force` does it all the same, and what was \
         stored may be lost"
    )))
}

#[cfg(test)]
mod tests {
    use haulout_protocol::machine::conditions::Name;
    use serde_json::{Value, json};

    use super::*;

    fn told(shards_missing: u64, complete_at: Value, conditions: Value) -> Health {
        Health::from(json!({
            "shards": 20, "shards_missing": shards_missing, "repairs": { "complete_at": complete_at },
            "conditions": conditions,
        }))
    }

    #[test]
    fn a_node_that_lacks_blobs_or_shards_or_has_not_looked_counts_for_nothing() {
        let lacks = json!([{ "name": Name::BlobsIncomplete.as_str() }]);
        for (health, expected) in [
            (Some(told(0, 7.into(), json!([]))), 20),
            (Some(told(0, 7.into(), lacks)), 0),
            (Some(told(3, 7.into(), json!([]))), 0),
            (Some(told(0, Value::Null, json!([]))), 0),
            (Some(told(0, 6.into(), json!([]))), 0),
            (None, 0),
        ] {
            assert_eq!(held(health.as_ref(), 7), expected, "{health:?}");
        }
    }

    #[test]
    fn a_node_may_go_while_the_others_hold_what_reads_need_and_not_with_one_shard_less() {
        assert!(check("n2", 34, 34).is_ok());
        let refused = check("n2", 33, 34).unwrap_err();
        assert_eq!(refused.kind(), Kind::Permission);
        assert!(refused.message().contains("hold 33 shards, and reads need 34"), "{refused:?}");
    }
}
