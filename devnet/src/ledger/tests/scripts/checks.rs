//! Lines with numbers that must hold: `{"t": 0, "check": {"epoch": 1, "ring": [600, 500]}}`.

use haulout_protocol::chain::object::staking::Pool;
use serde_json::{Map, Value, json};

use super::runner::Stop;
use super::stage::{Stage, account};
use super::view::View;

/// Compares every number of a check with the network.
pub(super) fn check(stage: &Stage, view: &View, wanted: &Map<String, Value>) -> Result<(), Stop> {
    for (key, wanted) in wanted {
        let found = match key.as_str() {
            "epoch" => json!(view.system().committee.epoch),
            "supply" => json!(view.supply()),
            "used" => json!(view.system().used_capacity),
            "capacity" => json!(view.system().total_capacity),
            "protocol_version" => json!(view.system().protocol_version),
            "prices" => json!([view.system().storage_price, view.system().write_price]),
            "ring" => first_rewards(view, wanted),
            "wal" => by_name(wanted, |name| Some(json!(balance(view, name)))),
            "shards" => by_name(wanted, |name| {
                let id = stage.nodes.get(name)?;
                let member = view.staking().committee.iter().find(|member| member.key == *id);
                Some(json!(member.map_or(0, |member| member.value.len())))
            }),
            "active" => of_pools(stage, view, wanted, |pool| pool.active),
            "commission" => of_pools(stage, view, wanted, |pool| pool.commission),
            "pending" => of_pools(stage, view, wanted, |pool| pool.pending),
            "unbonded" => of_pools(stage, view, wanted, |pool| pool.unbonded),
            "bond" => of_pools(stage, view, wanted, |pool| pool.bond),
            other => return Err(Stop::Script(format!("{other:?} cannot be checked"))),
        };
        if found != *wanted {
            return Err(Stop::Unexpected(format!("{key} is {found}, not {wanted}")));
        }
    }
    Ok(())
}

/// As many rewards of the ring as are wanted.
fn first_rewards(view: &View, wanted: &Value) -> Value {
    let count = wanted.as_array().map_or(0, Vec::len);
    let rewards = view.ring().into_iter().map(|(_, _, rewards)| rewards);
    json!(rewards.take(count).collect::<Vec<_>>())
}

fn balance(view: &View, actor: &str) -> u64 {
    let owner = account(actor);
    let coins = view.coins.values().filter(|coin| coin.owner == owner);
    coins.map(|coin| coin.value).sum()
}

fn by_name(wanted: &Value, of: impl Fn(&str) -> Option<Value>) -> Value {
    let names = wanted.as_object().into_iter().flatten().map(|(name, _)| name);
    names.map(|name| (name.clone(), of(name).unwrap_or(Value::Null))).collect::<Map<_, _>>().into()
}

fn of_pools(stage: &Stage, view: &View, wanted: &Value, of: fn(&Pool) -> u64) -> Value {
    by_name(wanted, |name| {
        let pool = view.staking().pools.get(stage.nodes.get(name)?)?;
        Some(json!(of(pool)))
    })
}
