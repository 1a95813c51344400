//! Nodes that come and go while the devnet runs.
//!
//! Promises: what is to last is in the settings before anything else happens, so that a start after a crash goes on with
//! it; a node that was given up is never started again, and its keys are nobody else's. Does not: tell the ledger; whoever
//! asks for this does.

use std::time::Duration;

use haulout_node::contexts;
use haulout_node::error::{Error, Kind, Result};

use futures::future::join_all;
use tokio::time::Instant;

use super::{Fleet, Member, loss, members, recovery};
use crate::banner::source_shards;
use crate::control::ProcessState;
use crate::ports;
use crate::probe;
use crate::processes::Process;
use crate::state::Added;

/// How many nodes may come after the devnet was born, those that went again included: more than one desk can run.
const ADDED_MAX: usize = 500;

/// How long nodes may take to say that they have everything, before others must do without one.
const LOOKED_WITHIN: Duration = Duration::from_secs(10);

/// Between two questions to them.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Fleet {
    /// A place for one more node: number, ports, keys and configuration. One that was added before and never registered
    /// is taken up again. Returns its name.
    pub(super) fn add(&mut self) -> Result<String> {
        if let Some(member) = self.members.iter().find(|member| member.node_id.is_none()) {
            return Ok(member.name().to_owned());
        }
        if self.settings.added.len() >= ADDED_MAX {
            let message =
                format!("{ADDED_MAX} nodes were added to this devnet, and no more can be");
            return Err(Error::new(Kind::Usage, message)
                .hint("start over with `devnet up --fresh`, which deletes its data"));
        }
        let number = self.settings.next_number();
        let ports = ports::one_more(&self.settings, number)?;
        let added = Added { number, ports, node_id: None };
        let member = members::later(&self.directory, self.settings.seed, &added)?;
        let name = member.name().to_owned();
        self.settings.added.push(added);
        self.directory.keep_settings(&self.settings)?;
        self.members.push(member);
        self.write_node(self.members.len() - 1)?;
        self.keep_card("ready")?;
        Ok(name)
    }

    /// The ledger knows a node by this id now: keeps it, and starts the node from one that runs.
    pub(super) async fn join(&mut self, target: &str, node_id: &str) -> Result<String> {
        let id = members::node_id(node_id)?;
        let place = self.place(target)?;
        let number = self.members[place].number;
        for added in self.settings.added.iter_mut().filter(|added| added.number == number) {
            added.node_id = Some(id.to_string());
        }
        self.directory.keep_settings(&self.settings)?;
        self.members[place].node_id = Some(id);
        self.write_node(place)?;
        self.tell_clients()?;
        let patience = self.patience;
        let process = &mut self.members[place].process;
        if !process.runs() {
            let started = process.start(patience).await;
            started.map_err(|error| recovery::of_restart(target, error))?;
        }
        Ok(format!("{target} runs"))
    }

    /// A node goes as soon as others have its shards.
    pub(super) fn leave(&mut self, target: &str) -> Result<String> {
        let number = self.members[self.place(target)?].number;
        if !self.settings.leaving.contains(&number) {
            self.settings.leaving.push(number);
            self.directory.keep_settings(&self.settings)?;
        }
        Ok(format!("{target} goes when others have its shards"))
    }

    /// Ends a node at once and for good; what it stored is deleted, its keys stay. Verbs are obeyed one at a time, so two of
    /// them cannot each count on the node that the other one ends.
    pub(super) async fn forget(&mut self, target: &str, force: bool) -> Result<String> {
        let place = self.place(target)?;
        if self.members.len() == 1 {
            let message = format!("{target} is the last node, and a devnet has at least one");
            return Err(Error::new(Kind::Permission, message)
                .hint("`devnet add` adds another one; `devnet down --purge` removes everything"));
        }
        let is_registered = self.members[place].node_id.is_some();
        if is_registered && !force {
            let needed = source_shards(self.settings.shards, self.settings.segment_bytes);
            loss::check(target, self.held_without(place, needed).await, needed)?;
        }
        // What it stored is not touched while its process may still write.
        let process = &mut self.members[place].process;
        if process.is_there() {
            process.kill().await?;
        }
        self.give_up(place)
    }

    /// Shards that the nodes without this one hold with all that belongs in them of what the ledger has now, as they say. Who
    /// has not looked since does so in a moment, and is asked again; while the ledger says nothing, nobody counts.
    async fn held_without(&mut self, place: usize, needed: usize) -> u64 {
        let others = (0..).zip(&mut self.members).filter(|(other, _)| *other != place);
        let mut ports = Vec::new();
        for (_, member) in others {
            let seen = member.process.look();
            if seen.state == ProcessState::Running && !seen.is_stopped {
                ports.push(member.ports.http);
            }
        }
        let until = Instant::now() + LOOKED_WITHIN;
        let mut since = None;
        loop {
            if since.is_none() {
                let chain = tokio::time::timeout_at(until, probe::chain(&self.chain)).await;
                since = chain.ok().and_then(Result::ok).map(|chain| chain.checkpoint);
            }
            let Some(since) = since else {
                if Instant::now() >= until {
                    return 0;
                }
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            };
            let healths = join_all(ports.iter().map(|port| probe::health(*port))).await;
            let held = healths.iter().map(|health| loss::held(health.as_ref(), since)).sum();
            if u64::try_from(needed).is_ok_and(|needed| held >= needed) || Instant::now() >= until {
                return held;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A node whose process has ended is none of ours any more.
    pub(super) fn give_up(&mut self, place: usize) -> Result<String> {
        let Member { number, .. } = self.members[place];
        self.settings.removed.push(number);
        self.settings.leaving.retain(|leaving| *leaving != number);
        self.directory.keep_settings(&self.settings)?;
        let gone = self.members.remove(place);
        self.resumes.retain(|(_, name)| name != gone.name());
        self.departures.remove(&number);
        members::wipe(&self.directory, gone.name())?;
        self.tell_clients()?;
        Ok(format!("{} is gone; its keys stay in its folder", gone.name()))
    }

    /// Where clients begin to look for the network: the nodes that there are now.
    fn tell_clients(&self) -> Result<()> {
        let text = self.client_toml("alice")?;
        haulout_node::whole_file::replace(&self.client_config(), text.as_bytes())?;
        contexts::save(&self.context(), &text).map(drop)
    }

    /// The place of a node.
    pub(super) fn place(&self, target: &str) -> Result<usize> {
        let found = self.members.iter().position(|member| member.name() == target);
        let nodes = self.members.iter().map(|member| &member.process).map(Process::name);
        found.ok_or_else(|| crate::settings::no_process(target, nodes))
    }
}
