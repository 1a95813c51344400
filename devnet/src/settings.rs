//! What a devnet is to be: what was asked now, and what was settled when it was born.
//!
//! Promises: a devnet that exists is continued exactly as it was; asking for something else is an
//! error that names both values. Whoever starts a supervisor hears first, from the same functions,
//! whether it would refuse. Does not: start anything.

use std::time::Duration;

use haulout_node::error::{Error, Kind, Result};

use crate::genesis;
use crate::ports;
use crate::schema::SCHEMA;
use crate::state::{Settings, StateDirectory};
use crate::typed::typed;

/// What `devnet up` without arguments is.
pub(crate) const NODES: u16 = 5;
pub(crate) const SHARDS: u16 = 100;
pub(crate) const SEED: u64 = 1;
/// A day: what is stored while playing does not expire, and `devnet epoch next` does not wait.
pub(crate) const EPOCH: Duration = Duration::from_secs(24 * 60 * 60);

/// What was asked for; nothing means the default, or what was settled before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) seed: Option<u64>,
    pub(crate) nodes: Option<u16>,
    pub(crate) shards: Option<u16>,
    pub(crate) port_base: Option<u16>,
    pub(crate) epoch: Option<Duration>,
}

/// A wish with its defaults, of which everything is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    seed: u64,
    nodes: u16,
    shards: u16,
    port_base: u16,
    epoch_ms: u64,
}

/// What a new devnet would be, or why there can be none like that.
fn plan(wish: &Wish) -> Result<Plan> {
    let (nodes, shards) = (wish.nodes.unwrap_or(NODES), wish.shards.unwrap_or(SHARDS));
    genesis::check_size(usize::from(nodes), shards)?;
    let epoch_ms = genesis::check_epoch(wish.epoch.unwrap_or(EPOCH))?;
    let port_base = wish.port_base.unwrap_or(ports::DEFAULT_BASE);
    ports::check_base(port_base, nodes)?;
    Ok(Plan { seed: wish.seed.unwrap_or(SEED), nodes, shards, port_base, epoch_ms })
}

/// The names of the devnet's nodes, if it can be started, or continued, as asked; the supervisor refuses the same.
pub(crate) fn check(directory: &StateDirectory, wish: &Wish, fresh: bool) -> Result<Vec<String>> {
    match if fresh { None } else { directory.settings()? } {
        Some(settings) => agree(directory.name(), &settings, wish).map(|()| settings.names()),
        None => plan(wish).map(|plan| (1..=plan.nodes).map(genesis::node_name).collect()),
    }
}

/// Refuses names that none of these nodes has.
pub(crate) fn check_nodes(known: &[String], names: &[String]) -> Result<()> {
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(no_process(unknown, known.iter().map(String::as_str))),
        None => Ok(()),
    }
}

/// The refusal of a process that does not exist, with those that do.
pub(crate) fn no_process<'a>(target: &str, known: impl Iterator<Item = &'a str>) -> Error {
    Error::new(Kind::Usage, format!("there is no process {target:?}"))
        .hint(format!("there are {}", known.collect::<Vec<_>>().join(", ")))
}

/// The settings of this devnet: those it was born with, or new ones that are kept from now on.
pub(crate) fn settle(directory: &StateDirectory, wish: &Wish) -> Result<Settings> {
    if let Some(settings) = directory.settings()? {
        agree(directory.name(), &settings, wish)?;
        return Ok(settings);
    }
    let plan = plan(wish)?;
    let ports = ports::choose(plan.port_base, plan.nodes)?;
    for (busy, instead) in &ports.moved {
        tracing::warn!(busy, instead, "a port is taken, so another one is used");
    }
    let settings = Settings {
        schema: SCHEMA,
        seed: plan.seed,
        nodes: plan.nodes,
        shards: plan.shards,
        segment_bytes: haulout_protocol::encoding::SEGMENT_BYTES,
        short_bytes_max: haulout_protocol::encoding::SHORT_BYTES,
        epoch_ms: plan.epoch_ms,
        stake_per_shard: genesis::STAKE_PER_SHARD,
        ledger_port: ports.ledger,
        faucet_port: ports.faucet,
        node_ports: ports.nodes,
        added: Vec::new(),
        leaving: Vec::new(),
        removed: Vec::new(),
    };
    directory.keep_settings(&settings)?;
    Ok(settings)
}

/// Refuses to continue a devnet as something it is not.
fn agree(name: &str, settings: &Settings, wish: &Wish) -> Result<()> {
    if let Some(base) = wish.port_base.filter(|base| *base != 0 && !follows(settings, *base)) {
        let settled = settings.ledger_port.to_string();
        return Err(differs(name, "--port-base", &settled, &base.to_string()));
    }
    let asked = [
        ("--seed", wish.seed, settings.seed),
        ("--nodes", wish.nodes.map(u64::from), u64::from(settings.nodes)),
        ("--shards", wish.shards.map(u64::from), u64::from(settings.shards)),
    ];
    if let Some(wanted) = wish.epoch
        && wanted != Duration::from_millis(settings.epoch_ms)
    {
        let settled = Duration::from_millis(settings.epoch_ms);
        return Err(differs(name, "--epoch", &typed(settled), &typed(wanted)));
    }
    for (flag, wanted, settled) in asked {
        if let Some(wanted) = wanted
            && wanted != settled
        {
            return Err(differs(name, flag, &settled.to_string(), &wanted.to_string()));
        }
    }
    Ok(())
}

/// Whether a port is where this base puts it; others may have moved, because theirs were taken.
fn follows(settings: &Settings, base: u16) -> bool {
    let at = |port: u16, offset: u32| u32::from(port) == u32::from(base) + offset;
    let mut nodes = (1..).zip(&settings.node_ports);
    at(settings.ledger_port, 0)
        || at(settings.faucet_port, 1)
        || nodes.any(|(node, ports)| at(ports.peer, 10 * node) || at(ports.http, 10 * node + 1))
}

/// The refusal that names both values.
fn differs(name: &str, flag: &str, settled: &str, wanted: &str) -> Error {
    let message = format!("devnet {name:?} exists with {flag} {settled}, not {wanted}");
    Error::new(Kind::Usage, message)
        .hint("`devnet up` continues it as it is; add --fresh to start over without its data, or --name NAME to run another one \
               beside it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::NodePorts;

    fn sample_settings() -> Settings {
        Settings {
            schema: SCHEMA,
            seed: SEED,
            nodes: NODES,
            shards: SHARDS,
            segment_bytes: 1 << 25,
            short_bytes_max: haulout_protocol::encoding::SHORT_BYTES,
            epoch_ms: 60_000,
            stake_per_shard: genesis::STAKE_PER_SHARD,
            ledger_port: 1,
            faucet_port: 2,
            node_ports: vec![],
            added: vec![],
            leaving: vec![],
            removed: vec![],
        }
    }

    #[test]
    fn a_wish_for_what_is_already_there_is_granted() {
        let wish = Wish { nodes: Some(NODES), ..Wish::default() };
        agree("x", &sample_settings(), &wish).unwrap();
        agree("x", &sample_settings(), &Wish::default()).unwrap();
    }

    #[test]
    fn a_wish_for_something_else_names_both_values_and_the_way_out() {
        let wish = Wish { shards: Some(7), ..Wish::default() };
        let refused = agree("x", &sample_settings(), &wish).unwrap_err();
        assert_eq!(refused.kind(), Kind::Usage);
        assert!(refused.message().contains("--shards 100, not 7"), "{refused}");
        assert!(refused.next_step().contains("--fresh"));
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_chosen() {
        let wish = Wish::default();
        let second = Duration::from_secs(1);
        for (wrong, named) in [
            (Wish { nodes: Some(0), ..wish.clone() }, "0 nodes"),
            (Wish { nodes: Some(101), ..wish.clone() }, "101 nodes"),
            (Wish { nodes: Some(4), shards: Some(3), ..wish.clone() }, "3 shards"),
            (Wish { shards: Some(1001), ..wish.clone() }, "1001 shards"),
            (Wish { epoch: Some(8 * second), ..wish.clone() }, "8s"),
            (Wish { epoch: Some(61 * 86_400 * second), ..wish.clone() }, "60 days"),
            (Wish { port_base: Some(65_500), ..wish.clone() }, "--port-base 65500"),
        ] {
            let refused = plan(&wrong).unwrap_err();
            assert_eq!(refused.kind(), Kind::Usage, "{wrong:?}");
            assert!(refused.message().contains(named), "{refused}");
        }
        for right in [
            wish.clone(),
            Wish { nodes: Some(4), shards: Some(4), epoch: Some(10 * second), ..wish.clone() },
            Wish { nodes: Some(1000), shards: Some(1000), port_base: Some(0), ..wish.clone() },
            Wish { nodes: Some(5), port_base: Some(65_484), ..wish },
        ] {
            plan(&right).unwrap();
        }
    }

    #[test]
    fn lengths_are_said_as_they_are_typed() {
        for (milliseconds, text) in
            [(86_400_000, "24h"), (300_000, "5m"), (90_000, "90s"), (10_500, "10500ms"), (0, "0s")]
        {
            assert_eq!(typed(Duration::from_millis(milliseconds)), text);
        }
        let wish = Wish { epoch: Some(Duration::from_secs(90)), ..Wish::default() };
        let refused = agree("x", &sample_settings(), &wish).unwrap_err();
        assert!(refused.message().contains("--epoch 1m, not 90s"), "{refused}");
    }

    #[test]
    fn a_node_that_does_not_exist_is_refused_with_those_that_do() {
        let known: Vec<String> = (1..=3).map(genesis::node_name).collect();
        check_nodes(&known, &["n1".into(), "n3".into()]).unwrap();
        for wrong in ["n4", "n0", "ledger", "n01", ""] {
            let refused = check_nodes(&known, &["n1".into(), wrong.into()]).unwrap_err();
            assert_eq!(
                (refused.kind(), refused.next_step()),
                (Kind::Usage, "there are n1, n2, n3")
            );
        }
    }

    #[test]
    fn a_port_base_that_no_port_follows_is_refused_and_one_that_a_port_follows_is_not() {
        let settings = Settings {
            ledger_port: 32_000,
            faucet_port: 11_111,
            node_ports: vec![NodePorts { peer: 22_222, http: 22_223 }],
            ..sample_settings()
        };
        let asked =
            |base| agree("x", &settings, &Wish { port_base: Some(base), ..Wish::default() });
        asked(32_000).unwrap();
        asked(22_212).unwrap();
        asked(0).unwrap();
        assert!(asked(33_000).unwrap_err().message().contains("--port-base 32000, not 33000"));
    }
}
