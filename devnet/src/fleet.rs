//! The processes of one devnet as a whole: files first, then the ledger, then the nodes, then proof
//! that they work.
//!
//! Promises: a start that fails says which process failed and why, in that process's own words, and a
//! next step that is possible then; a node that does not start keeps no other from starting, and is told with cause and
//! step; a start over an older folder continues with its data. Does not: decide when to stop (`supervisor.rs`).

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
use crate::control::{ProcessState, ProcessStatus, Reply, Request};
use crate::files::{self, ChainPlace};
use crate::genesis::{self, Genesis, NodeGenesis, PeerPort};
use crate::probe;
use crate::processes::Process;
use crate::reporter::{Reporter, done};
use crate::selftest;
use crate::settings::no_process;
use crate::state::{AccountCard, Card, ChainCard, NodeCard, Packages, Settings, StateDirectory};
use crate::typed::typed;

mod recovery;
mod trouble;

/// Everything that runs, and what it was made from.
#[derive(Debug)]
pub(crate) struct Fleet {
    directory: StateDirectory,
    settings: Settings,
    genesis: Genesis,
    chain: ChainPlace,
    ledger: Process,
    nodes: Vec<Process>,
    /// When paused processes go on by themselves.
    resumes: Vec<(Instant, String)>,
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
            stake_per_shard: genesis::STAKE_PER_SHARD,
            ports: settings.node_ports.iter().map(|ports| PeerPort(ports.peer)).collect(),
        })?;
        let rpc = format!("http://127.0.0.1:{}", settings.ledger_port);
        let chain = ChainPlace { rpc, ids: genesis.config.ids(), trusted: None };
        let ledger = prepare_ledger(&directory, &settings, &genesis)?;
        let nodes = genesis
            .nodes
            .iter()
            .zip(&settings.node_ports)
            .map(|(node, ports)| prepare_node(&directory, &chain, &genesis, node, ports.http))
            .collect::<Result<Vec<_>>>()?;
        for account in &genesis.accounts {
            files::write_account(&directory.join("keys"), account)?;
        }
        let fleet =
            Self { directory, settings, genesis, chain, ledger, nodes, resumes: vec![], patience };
        whole_file::replace(&fleet.client_config(), fleet.client_toml("alice")?.as_bytes())?;
        Ok(fleet)
    }

    fn client_config(&self) -> PathBuf {
        self.directory.join("client.toml")
    }

    fn client_toml(&self, account: &str) -> Result<String> {
        let wallet = self.directory.join("keys").join(format!("{account}.key"));
        let state = self.directory.join("client");
        files::client_toml(&self.chain, &self.genesis, &wallet, &state)
    }

    /// Starts everything and returns when a blob went in and came out. Nodes that do not start are told as such, if
    /// any does; without enough of them no blob is tried.
    pub(crate) async fn start(&mut self, reporter: &mut Reporter) -> Result<()> {
        let started = self.ledger.start(self.patience).await;
        let ready =
            started.map_err(|error| recovery::of_start(vec![("ledger".to_owned(), error)]))?;
        self.write_trusted(&ready)?;
        reporter.finished("chain", probe::chain(&self.chain).await?.summary());
        let balances = probe::balances(&self.chain, &self.genesis.accounts[0].address).await?;
        let accounts = probe::accounts_summary(self.genesis.accounts.len(), &balances);
        reporter.finished("accounts", accounts);
        let failed = self.start_nodes().await?;
        self.report_nodes(reporter, &failed);
        let card = self.keep_card("starting")?;
        let ports = self.genesis.nodes.iter().zip(&self.settings.node_ports);
        let ports = ports.filter(|(node, _)| !failed.contains(&node.name));
        let ports: Vec<_> = ports.map(|(node, ports)| (node.name.clone(), ports.http)).collect();
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
        let (all, shards) = (self.nodes.len(), self.settings.shards);
        let serving = all - failed.len();
        if failed.is_empty() {
            let per_node = self.genesis.nodes[0].shards.len();
            let detail =
                format!("{all} of {all} serving, {shards} shards (up to {per_node} per node)");
            return reporter.finished("nodes", detail);
        }
        let detail = format!("{serving} of {all} serving; not started: {}", failed.join(", "));
        reporter.partly("nodes", detail);
    }

    /// Writes into every configuration from which checkpoint on the ledger must prove what it says,
    /// now that there is one.
    fn write_trusted(&mut self, ready: &Value) -> Result<()> {
        let trusted = ready["trusted"].as_str().and_then(|text| text.parse().ok());
        self.chain.trusted = Some(trusted.ok_or_else(|| {
            Error::new(Kind::Version, "the ledger does not say what its first checkpoint is")
        })?);
        for (node, ports) in self.genesis.nodes.iter().zip(&self.settings.node_ports) {
            write_node(&self.directory, &self.chain, &self.genesis, node, ports.http)?;
        }
        whole_file::replace(&self.client_config(), self.client_toml("alice")?.as_bytes())
    }

    /// One node alone, because others bootstrap from it: the first that starts; then all others at once. Returns the names
    /// of those that did not start; an error if that is all of them.
    async fn start_nodes(&mut self) -> Result<Vec<String>> {
        let patience = self.patience;
        let all = self.nodes.len();
        let mut failed = Vec::new();
        let mut nodes = self.nodes.iter_mut();
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
        let all = std::iter::once(&mut self.ledger).chain(&mut self.nodes);
        let ends = all.map(|process| {
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
        nodes.iter().try_for_each(|node| {
            let store = self.directory.join(node).join("store");
            match std::fs::remove_dir_all(&store) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::from_io("remove", &store, error))
                }
                _ => Ok(()),
            }
        })
    }

    /// Stops the nodes, all at once, then the ledger.
    pub(crate) async fn stop(&mut self) {
        join_all(self.nodes.iter_mut().map(Process::stop)).await;
        self.ledger.stop().await;
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
        process.stop().await;
        if wipe {
            self.wipe(std::slice::from_ref(&target))?;
        }
        let started = self.find(&target)?.start(patience).await;
        started.map_err(|error| recovery::of_restart(&target, error))?;
        self.resumes.retain(|(_, name)| *name != target);
        let how = if wipe { " with an empty store" } else { "" };
        Ok(format!("{target} runs again{how}"))
    }

    /// Waits until the next paused process is due and lets it go on; for ever if none is.
    pub(crate) async fn resume_when_due(&mut self) {
        let Some(place) = (0..self.resumes.len()).min_by_key(|&place| self.resumes[place].0) else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(self.resumes[place].0).await;
        let (_, target) = self.resumes.swap_remove(place);
        // It may have been killed or restarted meanwhile; then there is nothing to resume.
        if let Err(error) = self.find(&target).and_then(Process::resume) {
            tracing::info!(target, %error, "nothing to resume");
        }
        // Hints of other programs follow from the card.
        if let Err(error) = self.keep_card("ready") {
            tracing::warn!(%error, "devnet.json could not be updated");
        }
    }

    fn find(&mut self, target: &str) -> Result<&mut Process> {
        let known = std::iter::once(&self.ledger).chain(&self.nodes).map(Process::name);
        let unknown = no_process(target, known);
        std::iter::once(&mut self.ledger)
            .chain(&mut self.nodes)
            .find(|process| process.name() == target)
            .ok_or(unknown)
    }

    fn statuses(&mut self) -> Vec<ProcessStatus> {
        let (now, resumes) = (Instant::now(), &self.resumes);
        let resumes_in_ms = |name: &str| {
            let (when, _) = resumes.iter().find(|(_, paused)| paused == name)?;
            u64::try_from(when.saturating_duration_since(now).as_millis()).ok()
        };
        let all = std::iter::once(&mut self.ledger).chain(&mut self.nodes);
        all.map(|process| {
            let seen = process.look();
            let is_paused = seen.state == ProcessState::Paused;
            let resumes_in_ms = resumes_in_ms(seen.name).filter(|_| is_paused);
            ProcessStatus {
                name: seen.name.to_owned(),
                state: seen.state,
                pid: seen.pid,
                seconds: seen.seconds,
                resumes_in_ms,
                trouble: trouble::of(&seen, resumes_in_ms),
            }
        })
        .collect()
    }

    fn context(&self) -> String {
        contexts::of_devnet(self.directory.name())
    }

    fn keep_card(&mut self, state: &str) -> Result<Card> {
        let card = self.card(state);
        self.directory.keep_card(&card).map(|()| card)
    }

    fn card(&mut self, state: &str) -> Card {
        let statuses = self.statuses();
        let pid = |place: usize| statuses[place].pid.unwrap_or(0);
        let word = |place: usize| statuses[place].state.word().to_lowercase();
        let is_partial = statuses.iter().any(|status| status.state == ProcessState::Exited);
        let state = if state == "ready" && is_partial { "degraded" } else { state };
        let ids = &self.chain.ids;
        let nodes = self.genesis.nodes.iter().enumerate().map(|(place, node)| {
            let http = format!("http://127.0.0.1:{}", self.settings.node_ports[place].http);
            NodeCard {
                name: node.name.clone(),
                peer_id: node.peer_id.to_string(),
                node_id: ids.nodes[place].to_string(),
                pid: pid(place + 1),
                address: node.address(),
                metrics: format!("{http}/metrics"),
                http,
                log: self.directory.log(&node.name),
                state: word(place + 1),
                shards: node.shards.clone(),
            }
        });
        let accounts = self.genesis.accounts.iter().filter(|one| one.name != genesis::SELF_TEST);
        Card {
            schema: 1,
            name: self.directory.name().to_owned(),
            seed: self.settings.seed,
            state: state.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            supervisor_pid: std::process::id(),
            shards: self.settings.shards,
            segment_bytes: self.settings.segment_bytes,
            epoch_ms: self.settings.epoch_ms,
            chain: ChainCard {
                kind: "embedded".to_owned(),
                network: ids.network_id.to_string(),
                rpc: self.chain.rpc.clone(),
                faucet: format!("http://127.0.0.1:{}", self.settings.faucet_port),
                pid: pid(0),
                state: word(0),
                packages: Packages { haulout: ids.package.to_string() },
                system_object: ids.system.to_string(),
                staking_object: ids.staking.to_string(),
                params_object: ids.params.to_string(),
                treasury_object: ids.treasury.to_string(),
                trusted: self.chain.trusted.map(|trusted| trusted.to_string()),
            },
            bootstrap: vec![self.genesis.nodes[0].address()],
            accounts: accounts
                .map(|account| AccountCard {
                    name: account.name.to_owned(),
                    address: account.address.to_string(),
                    key_file: self.directory.join("keys").join(format!("{}.key", account.name)),
                })
                .collect(),
            nodes: nodes.collect(),
            context: self.context(),
            client_config: self.client_config(),
        }
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

fn prepare_node(
    directory: &StateDirectory,
    chain: &ChainPlace,
    genesis: &Genesis,
    node: &NodeGenesis,
    http_port: u16,
) -> Result<Process> {
    let config = write_node(directory, chain, genesis, node, http_port)?;
    let arguments: Vec<OsString> = vec![
        "haulout".into(),
        "--json".into(),
        "--config".into(),
        config.into(),
        "node".into(),
        "run".into(),
        "--exit-with-parent".into(),
    ];
    Process::new(&node.name, arguments, directory.log(&node.name))
}

/// Writes a node's folder; returns the path of its configuration.
fn write_node(
    directory: &StateDirectory,
    chain: &ChainPlace,
    genesis: &Genesis,
    node: &NodeGenesis,
    http_port: u16,
) -> Result<PathBuf> {
    let folder = directory.join(&node.name);
    let text = files::node_toml(chain, genesis, node, &folder, Some(http_port))?;
    files::write_node(&folder, node, &text)
}
