//! The processes of one devnet as a whole: files first, then the ledger, then the nodes, then proof
//! that they work.
//!
//! Promises: a start that fails says which process failed and why, in that process's own words, and a
//! next step that is possible then; a node that does not start keeps no other from starting, and is told with cause and
//! step; a start over an older folder continues with its data and with the nodes that there were. Does not: decide when to
//! stop (`supervisor.rs`), or tell the ledger who comes and goes (the verbs do).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{join_all, select_all};
use haulout_node::contexts;
use haulout_node::error::{Error, Kind, Result};
use haulout_node::whole_file;
use serde_json::Value;
use tokio::time::Instant;

use crate::banner::Tolerance;
use crate::control::{Reply, Request};
use crate::files::{self, ChainPlace};
use crate::genesis::{self, Account, Genesis, PeerPort};
use crate::probe;
use crate::processes::Process;
use crate::reporter::{Reporter, done};
use crate::selftest;
use crate::settings::no_process;
use crate::state::{Settings, StateDirectory};
use crate::typed::typed;

use self::members::Member;

mod card;
mod coming;
mod departures;
mod loss;
mod members;
mod recovery;
mod trouble;

/// Everything that runs, and what it was made from.
#[derive(Debug)]
pub(crate) struct Fleet {
    directory: StateDirectory,
    settings: Settings,
    accounts: Vec<Account>,
    chain: ChainPlace,
    ledger: Process,
    members: Vec<Member>,
    /// Which shards each peer, by its id, had when the ledger was asked last.
    shards: BTreeMap<String, Vec<u16>>,
    /// When paused processes go on by themselves.
    resumes: Vec<(Instant, String)>,
    /// The checkpoint at which a node that leaves was first seen without shards, by its number.
    departures: BTreeMap<u16, u64>,
    patience: Duration,
}

impl Fleet {
    /// Writes every file that the processes need; nothing is started.
    pub(crate) fn prepare(
        directory: StateDirectory,
        settings: Settings,
        patience: Duration,
    ) -> Result<Self> {
        let genesis = genesis::genesis(&genesis::Request {
            seed: settings.seed,
            shards: settings.shards,
            segment_bytes: settings.segment_bytes,
            short_bytes_max: settings.short_bytes_max,
            epoch_ms: settings.epoch_ms,
            stake_per_shard: settings.stake_per_shard,
            ports: settings.node_ports.iter().map(|ports| PeerPort(ports.peer)).collect(),
        })?;
        let rpc = format!("http://127.0.0.1:{}", settings.ledger_port);
        let mut genesis = genesis;
        let chain = ChainPlace { rpc, ids: genesis.config.ids(), trusted: None };
        let ledger = prepare_ledger(&directory, &settings, &genesis)?;
        let accounts = std::mem::take(&mut genesis.accounts);
        let members = members::all(&directory, &settings, genesis, &chain.ids.nodes)?;
        for account in &accounts {
            files::write_account(&directory.join("keys"), account)?;
        }
        let (shards, departures, resumes) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let fleet = Self {
            directory,
            settings,
            accounts,
            chain,
            ledger,
            members,
            shards,
            resumes,
            departures,
            patience,
        };
        fleet.write_configurations()?;
        Ok(fleet)
    }

    /// Writes the configurations of all nodes and of the client as they are now.
    fn write_configurations(&self) -> Result<()> {
        for place in 0..self.members.len() {
            self.write_node(place)?;
        }
        whole_file::replace(&self.client_config(), self.client_toml("alice")?.as_bytes())
    }

    fn write_node(&self, place: usize) -> Result<()> {
        let bootstrap = members::bootstrap(&self.members, place, self.settings.nodes);
        members::write(&self.directory, &self.chain, &self.members[place], bootstrap)
    }

    fn client_config(&self) -> PathBuf {
        self.directory.join("client.toml")
    }

    fn client_toml(&self, account: &str) -> Result<String> {
        let wallet = self.directory.join("keys").join(format!("{account}.key"));
        let state = self.directory.join("client");
        let bootstrap = self.members.iter().map(|member| member.node.address()).collect();
        files::client_toml(&self.chain, bootstrap, &wallet, &state)
    }

    /// Starts everything and returns when a blob went in and came out. Nodes that do not start are told as such, if
    /// any does; without enough of them no blob is tried.
    pub(crate) async fn start(&mut self, reporter: &mut Reporter) -> Result<()> {
        let started = self.ledger.start(self.patience).await;
        let ready =
            started.map_err(|error| recovery::of_start(vec![("ledger".to_owned(), error)]))?;
        self.write_trusted(&ready)?;
        let facts = probe::chain(&self.chain).await?;
        reporter.finished("chain", facts.summary());
        self.shards = facts.shards;
        let balances = probe::balances(&self.chain, &self.accounts[0].address).await?;
        let accounts = probe::accounts_summary(self.accounts.len(), &balances);
        reporter.finished("accounts", accounts);
        let failed = self.start_nodes().await?;
        self.report_nodes(reporter, &failed);
        let card = self.keep_card("starting")?;
        let started = self.members.iter().filter(|member| member.process.runs());
        let ports: Vec<_> =
            started.map(|member| (member.name().to_owned(), member.ports.http)).collect();
        let mesh = probe::mesh(&ports, self.patience);
        reporter.finished("mesh", self.while_all_run(mesh).await?);
        let nodes = card.nodes.iter().filter(|node| !failed.contains(&node.name));
        let up: usize = nodes.map(|node| node.shards.len()).sum();
        let (_, quorum) = Tolerance::needed(&card);
        if up < quorum {
            let detail = format!("not tried: writes need {quorum} shards, and {up} are up");
            reporter.partly("selftest", detail);
        } else {
            let configuration = self.client_toml(genesis::SELF_TEST)?;
            let tested = selftest::run(&configuration, self.patience);
            reporter.finished("selftest", self.while_all_run(tested).await?);
        }
        contexts::save(&self.context(), &self.client_toml("alice")?)?;
        self.keep_card("ready").map(drop)
    }

    /// How many nodes serve, and who does not.
    fn report_nodes(&self, reporter: &mut Reporter, failed: &[String]) {
        let started = self.members.iter().filter(|member| member.process.runs()).count();
        let (all, shards) = (started + failed.len(), self.settings.shards);
        if failed.is_empty() {
            let most = self.shards.values().map(Vec::len).max().unwrap_or(0);
            let detail = format!("{all} of {all} serving, {shards} shards (up to {most} per node)");
            return reporter.finished("nodes", detail);
        }
        let detail = format!("{started} of {all} serving; not started: {}", failed.join(", "));
        reporter.partly("nodes", detail);
    }

    /// Writes into every configuration from which checkpoint on the ledger must prove what it says,
    /// now that there is one.
    fn write_trusted(&mut self, ready: &Value) -> Result<()> {
        let trusted = ready["trusted"].as_str().and_then(|text| text.parse().ok());
        self.chain.trusted = Some(trusted.ok_or_else(|| {
            Error::new(Kind::Version, "the ledger does not say what its first checkpoint is")
        })?);
        self.write_configurations()
    }

    /// One node alone, because others bootstrap from it: the first that starts; then all others at once, but those that
    /// nobody registered yet. Returns the names of those that did not start; an error if that is all of them.
    async fn start_nodes(&mut self) -> Result<Vec<String>> {
        let patience = self.patience;
        let nodes = self.members.iter_mut().filter(|member| member.node_id.is_some());
        let mut nodes: Vec<&mut Process> = nodes.map(|member| &mut member.process).collect();
        let all = nodes.len();
        let mut failed = Vec::new();
        let mut nodes = nodes.drain(..);
        for node in nodes.by_ref() {
            match node.start(patience).await {
                Ok(_) => break,
                Err(error) => failed.push((node.name().to_owned(), error)),
            }
        }
        let others = nodes.map(|node| async move {
            let started = node.start(patience).await;
            started.err().map(|error| (node.name().to_owned(), error))
        });
        failed.extend(join_all(others).await.into_iter().flatten());
        if failed.len() == all {
            return Err(recovery::of_start(failed));
        }
        for (name, error) in &failed {
            tracing::error!(name, %error, "a node did not start; the others do without it");
        }
        Ok(failed.into_iter().map(|(name, _)| name).collect())
    }

    /// What a step of the start comes to, or why a process ended meanwhile, which is why the step fails, too.
    async fn while_all_run<T>(&mut self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let ends = self.processes().map(|process| {
            Box::pin(async move {
                let error = process.ended().await;
                (process.name().to_owned(), error)
            })
        });
        tokio::select! {
            biased;
            (ended, ..) = select_all(ends) => Err(recovery::of_start(vec![ended])),
            done = step => done,
        }
    }

    /// Deletes what nodes stored; their keys stay.
    pub(crate) fn wipe(&self, nodes: &[String]) -> Result<()> {
        nodes.iter().try_for_each(|node| members::wipe(&self.directory, node))
    }

    /// Stops the nodes, all at once, then the ledger.
    pub(crate) async fn stop(&mut self) {
        let mut ended = join_all(self.members.iter_mut().map(|one| one.process.stop())).await;
        ended.push(self.ledger.stop().await);
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "the kernel ends it with this process, as soon as it can");
        }
        if let Err(error) = self.keep_card("stopped") {
            tracing::warn!(%error, "devnet.json could not be updated");
        }
    }

    /// Does what a verb asks.
    pub(crate) async fn obey(&mut self, request: Request) -> Result<Reply> {
        let message = match request {
            Request::Status => return Ok(Reply::Status { processes: self.statuses() }),
            Request::Kill { target } => {
                self.find(&target)?.kill().await?;
                format!("{target} is killed; its data stays (`devnet restart {target}`)")
            }
            Request::Pause { target, for_ms } => self.pause(target, for_ms)?,
            Request::Resume { target } => {
                self.find(&target)?.resume()?;
                self.resumes.retain(|(_, name)| *name != target);
                format!("{target} goes on")
            }
            Request::Restart { target, wipe } => self.restart(target, wipe).await?,
            Request::Add => return self.add().map(|name| Reply::Node { name }),
            Request::Join { target, node_id } => self.join(&target, &node_id).await?,
            Request::Leave { target } => self.leave(&target)?,
            Request::Forget { target, force } => self.forget(&target, force).await?,
            Request::Follow | Request::Detach | Request::Down => {
                return Err(Error::new(Kind::Internal, "this verb is not for the fleet"));
            }
        };
        self.keep_card("ready")?;
        Ok(done(message))
    }

    fn pause(&mut self, target: String, for_ms: Option<u64>) -> Result<String> {
        self.find(&target)?.pause()?;
        self.resumes.retain(|(_, name)| *name != target);
        let Some(millis) = for_ms else {
            return Ok(format!("{target} is paused (`devnet resume {target}`)"));
        };
        self.resumes.push((Instant::now() + Duration::from_millis(millis), target.clone()));
        Ok(format!("{target} is paused for {}", typed(Duration::from_millis(millis))))
    }

    async fn restart(&mut self, target: String, wipe: bool) -> Result<String> {
        let patience = self.patience;
        let process = self.find(&target)?;
        if wipe && target == "ledger" {
            return Err(Error::new(Kind::Usage, "the ledger cannot be wiped alone")
                .hint("`devnet up --fresh` deletes everything and starts over"));
        }
        process.stop().await?;
        if wipe {
            self.wipe(std::slice::from_ref(&target))?;
        }
        let started = self.find(&target)?.start(patience).await;
        started.map_err(|error| recovery::of_restart(&target, error))?;
        self.resumes.retain(|(_, name)| *name != target);
        let how = if wipe { " with an empty store" } else { "" };
        Ok(format!("{target} runs again{how}"))
    }

    /// All processes, the ledger's first.
    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        let nodes = self.members.iter_mut().map(|member| &mut member.process);
        std::iter::once(&mut self.ledger).chain(nodes)
    }

    fn find(&mut self, target: &str) -> Result<&mut Process> {
        let nodes = self.members.iter().map(|member| &member.process);
        let known = std::iter::once(&self.ledger).chain(nodes).map(Process::name);
        let unknown = no_process(target, known);
        self.processes().find(|process| process.name() == target).ok_or(unknown)
    }

    fn context(&self) -> String {
        contexts::of_devnet(self.directory.name())
    }
}

fn prepare_ledger(
    directory: &StateDirectory,
    settings: &Settings,
    genesis: &Genesis,
) -> Result<Process> {
    let folder = directory.join("ledger");
    std::fs::create_dir_all(&folder).map_err(|error| Error::from_io("create", &folder, error))?;
    let config = serde_json::to_vec_pretty(&genesis.config)
        .map_err(|error| Error::new(Kind::Internal, "cannot write JSON").because(error))?;
    whole_file::replace(&folder.join("genesis.json"), &config)?;
    let arguments: Vec<OsString> = vec![
        "internal-ledger".into(),
        "--name".into(),
        directory.name().into(),
        "--folder".into(),
        folder.into(),
        "--grpc-port".into(),
        settings.ledger_port.to_string().into(),
        "--faucet-port".into(),
        settings.faucet_port.to_string().into(),
    ];
    Process::new("ledger", arguments, directory.log("ledger"))
}
