//! The nodes of a devnet, one by one: who they are, where they listen, and what their files say.
//!
//! Promises: nodes are in the order of their numbers; a configuration names only nodes that there are; keys that exist are
//! kept. Does not: start or stop anything, or know what the ledger says of a node.

use haulout_node::error::{Error, Kind, Result};
use haulout_protocol::chain::ObjectId;

use crate::files::{self, ChainPlace};
use crate::genesis::{self, Genesis, NodeGenesis, PeerPort};
use crate::processes::Process;
use crate::state::{Added, NodePorts, Settings, StateDirectory};

/// So many of the nodes before it a node of the first ones starts from: any one is enough, and some may be away.
const BOOTSTRAP_MAX: usize = 4;

/// One node and its process.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u16,
    pub(super) node: NodeGenesis,
    pub(super) ports: NodePorts,
    /// What the ledger calls it; nothing of one that was added and is not registered yet.
    pub(super) node_id: Option<ObjectId>,
    pub(super) process: Process,
}

impl Member {
    /// The name that people use for it.
    pub(super) fn name(&self) -> &str {
        &self.node.name
    }
}

/// All nodes that there are: those of genesis, with their names on the ledger, and those that came later. Their files are
/// written by [`write`].
pub(super) fn all(
    directory: &StateDirectory,
    settings: &Settings,
    genesis: Genesis,
    node_ids: &[ObjectId],
) -> Result<Vec<Member>> {
    let first = genesis.nodes.into_iter().zip(&settings.node_ports).zip(node_ids);
    let first =
        (1..).zip(first).map(|(number, ((node, ports), id))| (number, node, ports, Some(*id)));
    let added = settings.added.iter().map(|added| {
        let node = genesis::later_node(settings.seed, added.number, PeerPort(added.ports.peer));
        let id = added.node_id.as_ref().and_then(|id| id.parse().ok());
        (added.number, node, &added.ports, id)
    });
    let left = first.chain(added).filter(|(number, ..)| !settings.removed.contains(number));
    left.map(|(number, node, ports, node_id)| {
        let process = process(directory, &node.name)?;
        Ok(Member { number, node, ports: *ports, node_id, process })
    })
    .collect()
}

/// A node that comes now.
pub(super) fn later(directory: &StateDirectory, seed: u64, added: &Added) -> Result<Member> {
    let node = genesis::later_node(seed, added.number, PeerPort(added.ports.peer));
    let process = process(directory, &node.name)?;
    Ok(Member { number: added.number, node, ports: added.ports, node_id: None, process })
}

fn process(directory: &StateDirectory, name: &str) -> Result<Process> {
    let arguments = vec![
        "haulout".into(),
        "--json".into(),
        "--config".into(),
        files::node_config(&directory.join(name)).into(),
        "node".into(),
        "run".into(),
        "--exit-with-parent".into(),
    ];
    Process::new(name, arguments, directory.log(name))
}

/// From where a node finds the others: one of the first from some of those before it, one that came later from one alone.
pub(super) fn bootstrap(members: &[Member], place: usize, born_with: u16) -> Vec<String> {
    let address = |member: &Member| member.node.address();
    if members[place].number <= born_with {
        return members[..place].iter().take(BOOTSTRAP_MAX).map(address).collect();
    }
    let others = || members.iter().filter(|other| other.number != members[place].number);
    let running = others().find(|other| other.process.runs());
    running.or_else(|| others().next()).map(address).into_iter().collect()
}

/// Writes the folder of a node: its keys once, its configuration anew.
pub(super) fn write(
    directory: &StateDirectory,
    chain: &ChainPlace,
    member: &Member,
    bootstrap: Vec<String>,
) -> Result<()> {
    let folder = directory.join(member.name());
    let text = files::node_toml(chain, bootstrap, &member.node, &folder, Some(member.ports.http))?;
    files::write_node(&folder, &member.node, &text).map(drop)
}

/// Deletes what a node stored; its keys stay. Fine if it stored nothing.
pub(super) fn wipe(directory: &StateDirectory, name: &str) -> Result<()> {
    let store = directory.join(name).join("store");
    match std::fs::remove_dir_all(&store) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::from_io("remove", &store, error))
        }
        _ => Ok(()),
    }
}

/// The name on the ledger, as a verb says it.
pub(super) fn node_id(text: &str) -> Result<ObjectId> {
    text.parse().map_err(|_| Error::new(Kind::Internal, format!("{text:?} is no id of a node")))
}
