//! Which actors make a storage node or a client, and who restarts with whom.
//!
//! Promises: the tree of the crate's front page; whatever actor ends, the others that do not
//! depend on it go on; an exhausted restart budget ends the whole tree with an error.
//! Does not: read configuration, or end the process.

use std::time::Duration;

use crate::chain_sync::{self, ChainSyncActor, Follow};
use crate::context::Context;
use crate::epoch::{self, EpochActor};
use crate::gossip::{self, GossipActor};
use crate::network::Network;
use crate::reach::{self, ReachActor};
use crate::recovery::{self, RecoveryActor};
use crate::scrub::{self, ScrubActor};
use crate::serving::{self, Serving};
use crate::sliver_transfer::{self, Patience, SliverTransferActor};
use crate::supervisor::{
    Budget, Child, ChildState, Ended, Health, Plan, RestartHook, StartError, Strategy, Supervisor,
};
use crate::vitals::measuring::{self, VitalsActor};

/// What a process is to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stores slivers, signs for them and serves them.
    StorageNode,
    /// Reads and writes blobs; keeps nothing.
    Client,
}

impl Role {
    /// How much of the ledger this role follows.
    pub fn follow(self) -> Follow {
        match self {
            Role::StorageNode => Follow::Blobs,
            Role::Client => Follow::Committees,
        }
    }
}

/// The running actors of one node or client; a cheap handle.
#[derive(Clone, Debug)]
pub struct Tree {
    supervisor: Supervisor,
    network: Network,
}

/// Restarts of the whole process' parts: more mean that a restart does not help.
const ROOT_BUDGET: Budget = Budget { restarts: 5, window: Duration::from_secs(60) };
/// Restarts below a supervisor: twice the root's, so that one bad leaf costs the root one restart.
const BRANCH_BUDGET: Budget = Budget { restarts: 10, window: Duration::from_secs(60) };

impl Tree {
    /// Starts everything, eldest first.
    pub async fn start(context: Context, network: Network, role: Role) -> Result<Tree, StartError> {
        let limits = (serving::Limits::default(), Patience::default());
        Tree::start_with(context, network, role, limits).await
    }

    /// As [`Tree::start`], with bounds of what is served, and of sliver transfer, as given.
    pub(crate) async fn start_with(
        context: Context,
        network: Network,
        role: Role,
        (limits, patience): (serving::Limits, Patience),
    ) -> Result<Tree, StartError> {
        let metrics = context.metrics.clone();
        let hook: RestartHook = std::sync::Arc::new(move |name| metrics.actor_restarted(name));
        let plan = |name: &str, strategy, budget, children| Plan {
            name: name.to_owned(),
            strategy,
            budget,
            children,
            on_restart: Some(hook.clone()),
        };
        let mut children = vec![network.child()];
        let mut reach = None;
        if role == Role::StorageNode {
            let serving = Serving::new(&network, &context.metrics, limits);
            let shards = vec![
                sliver_transfer_child(&context, &network, &serving, patience),
                recovery_child(&context, &network, &serving),
            ];
            let shards = plan("shards", Strategy::RestForOne, BRANCH_BUDGET, shards);
            children.push(Child::supervisor(shards));
            reach = Some(reach_child(&context, &network, &serving));
        }
        let mut services = services(&context, &network, role);
        services.extend(reach);
        let services = plan("services", Strategy::OneForOne, BRANCH_BUDGET, services);
        children.push(Child::supervisor(services));
        let root = plan("root", Strategy::RestForOne, ROOT_BUDGET, children);
        Ok(Tree { supervisor: Supervisor::start(root).await?, network })
    }

    /// The network; the handle stays good across restarts of its actor.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How every actor is.
    pub fn health(&self) -> Vec<Health> {
        self.supervisor.health()
    }

    /// Whether every actor runs.
    pub fn is_healthy(&self) -> bool {
        fn runs(health: &Health) -> bool {
            health.state == ChildState::Running && health.children.iter().all(runs)
        }
        self.health().iter().all(runs)
    }

    /// Kills an actor as a bug would; for drills. `false` if there is none of this name.
    pub fn kill(&self, actor: &str) -> bool {
        self.supervisor.kill(actor)
    }

    /// Stops everything, youngest first.
    pub async fn shutdown(&self) {
        self.supervisor.shutdown().await;
    }

    /// Waits until the tree ends: `Ok` after a shutdown, else why.
    pub async fn ended(&self) -> Result<(), Ended> {
        self.supervisor.ended().await
    }
}

/// The leaves nobody holds a handle of.
fn services(context: &Context, network: &Network, role: Role) -> Vec<Child> {
    let mut services = Vec::new();
    if let Some(chain) = context.chain.clone() {
        let (context, network) = (context.clone(), network.clone());
        services.push(Child::actor("chain_sync", move || {
            let (context, chain, network) = (context.clone(), chain.clone(), network.clone());
            let follow = role.follow();
            (ChainSyncActor, chain_sync::Arguments { context, chain, network, follow })
        }));
    }
    if role == Role::StorageNode {
        let arguments = gossip::Arguments { context: context.clone(), network: network.clone() };
        services.push(Child::actor("gossip", move || (GossipActor, arguments.clone())));
        let arguments = measuring::Arguments { context: context.clone() };
        services.push(Child::actor("vitals", move || (VitalsActor, arguments.clone())));
        let arguments = epoch::Arguments { context: context.clone() };
        services.push(Child::actor("epoch", move || (EpochActor, arguments.clone())));
        let arguments = scrub::Arguments { context: context.clone() };
        services.push(Child::actor("scrub", move || (ScrubActor, arguments.clone())));
    }
    services
}

/// The actor that moves slivers.
fn sliver_transfer_child(
    context: &Context,
    network: &Network,
    serving: &Serving,
    patience: Patience,
) -> Child {
    let (context, network, serving) = (context.clone(), network.clone(), serving.clone());
    let arguments = sliver_transfer::Arguments { context, network, serving, patience };
    Child::actor("sliver_transfer", move || (SliverTransferActor, arguments.clone()))
}

/// The actor that sees whether others reach us.
fn reach_child(context: &Context, network: &Network, serving: &Serving) -> Child {
    let (context, network, serving) = (context.clone(), network.clone(), serving.clone());
    let arguments = reach::Arguments { context, network, serving };
    Child::actor("reach", move || (ReachActor, arguments.clone()))
}

/// The actor that repairs what is missing.
fn recovery_child(context: &Context, network: &Network, serving: &Serving) -> Child {
    let (context, network, serving) = (context.clone(), network.clone(), serving.clone());
    let arguments = recovery::Arguments { context, network, serving };
    Child::actor("recovery", move || (RecoveryActor, arguments.clone()))
}

#[cfg(test)]
mod tests;
