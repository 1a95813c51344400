//! What a devnet is to be: what was asked now, and what was settled when it was born.
//!
//! Promises: a devnet that exists is continued exactly as it was; asking for something else is an
//! error that names both values. Does not: start anything.

use std::time::Duration;

use haulout_node::error::{Error, Kind, Result};

use crate::genesis;
use crate::ports;
use crate::state::{Settings, StateDirectory};

/// The layout of `settings.json`.
const SCHEMA: u32 = 2;

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

/// The settings of this devnet: those it was born with, or new ones that are kept from now on.
pub(crate) fn settle(directory: &StateDirectory, wish: &Wish) -> Result<Settings> {
    if let Some(settings) = directory.settings()? {
        agree(directory.name(), &settings, wish)?;
        return Ok(settings);
    }
    let (nodes, shards) = (wish.nodes.unwrap_or(NODES), wish.shards.unwrap_or(SHARDS));
    genesis::check_size(usize::from(nodes), shards)?;
    let epoch_ms = genesis::check_epoch(wish.epoch.unwrap_or(EPOCH))?;
    let ports = ports::choose(wish.port_base.unwrap_or(ports::DEFAULT_BASE), nodes)?;
    for (busy, instead) in &ports.moved {
        tracing::warn!(busy, instead, "a port is taken, so another one is used");
    }
    let settings = Settings {
        schema: SCHEMA,
        seed: wish.seed.unwrap_or(SEED),
        nodes,
        shards,
        segment_bytes: haulout_protocol::encoding::SEGMENT_BYTES,
        epoch_ms,
        ledger_port: ports.ledger,
        faucet_port: ports.faucet,
        node_ports: ports.nodes,
    };
    directory.keep_settings(&settings)?;
    Ok(settings)
}

/// Refuses to continue a devnet as something it is not.
pub(crate) fn agree(name: &str, settings: &Settings, wish: &Wish) -> Result<()> {
    if settings.schema != SCHEMA {
        return Err(Error::new(
            Kind::Version,
            format!("devnet {name:?} was made by another version (schema {})", settings.schema),
        )
        .hint(format!("start over with `devnet up --fresh --name {name}`")));
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
        return Err(differs(name, "--epoch", &format!("{settled:?}"), &format!("{wanted:?}")));
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

/// The refusal that names both values.
fn differs(name: &str, flag: &str, settled: &str, wanted: &str) -> Error {
    let message = format!("devnet {name:?} exists with {flag} {settled}, not {wanted}");
    Error::new(Kind::Usage, message)
        .hint("add --fresh to start over without its data, or --name to run another one beside it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_settings() -> Settings {
        Settings {
            schema: SCHEMA,
            seed: SEED,
            nodes: NODES,
            shards: SHARDS,
            segment_bytes: 1 << 25,
            epoch_ms: 60_000,
            ledger_port: 1,
            faucet_port: 2,
            node_ports: vec![],
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
    fn another_schema_is_a_version_error() {
        let settings = Settings { schema: 9, ..sample_settings() };
        assert_eq!(agree("x", &settings, &Wish::default()).unwrap_err().kind(), Kind::Version);
    }
}
