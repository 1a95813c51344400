//! The process in which a devnet's ledger runs.
//!
//! Promises: one JSON line on stdout says that it serves, or why it does not; it ends when its
//! parent does, and when asked. Does not: hold rules; those are in `ledger`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use haulout_node::error::{Error, Kind, Result};
use haulout_node::terminal;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ledger::{GenesisConfig, Ledger, OpenError, StoreError};

/// Where the ledger keeps its state and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) grpc_port: u16,
    pub(crate) faucet_port: u16,
}

/// Serves until the parent goes away or a signal says stop.
pub(crate) async fn run(options: Options) -> Result<()> {
    let shutdown = CancellationToken::new();
    stop_when_told(&shutdown);
    let grpc = bind(options.grpc_port).await?;
    let faucet = bind(options.faucet_port).await?;
    let genesis = read_genesis(&options.folder.join("genesis.json"))?;
    let database = options.folder.join("ledger.redb");
    let ledger = tokio::task::spawn_blocking(move || open(&database, genesis)).await.map_err(
        // redb checks little before it trusts a file; a damaged one may make it panic.
        |error| Error::new(Kind::Damaged, "the ledger's file cannot be opened").because(error),
    )??;
    crate::cli::print_line(&serde_json::json!({
        "event": "ready",
        "chain_id": ledger.chain_id(),
        "trusted": ledger.trusted().to_string(),
        "pid": std::process::id(),
    }))?;
    ledger
        .serve(grpc, faucet, shutdown)
        .await
        .map_err(|error| Error::new(Kind::Internal, "the ledger stopped").because(error))
}

/// Opens the ledger of this genesis; another one in its place is a mistake worth explaining.
pub(crate) fn open(database: &Path, genesis: GenesisConfig) -> Result<Ledger> {
    Ledger::open(database, genesis).map_err(|error| {
        let message = format!("cannot open the ledger in {}", terminal::path(database));
        Error::new(kind(&error), message)
            .because(error)
            .hint("`devnet up --fresh` deletes this devnet's data and starts over")
    })
}

/// What kind of failure it is that a ledger does not open.
pub(crate) fn kind(error: &OpenError) -> Kind {
    match error {
        OpenError::Store(StoreError::InUse) => Kind::Locked,
        OpenError::Store(StoreError::Schema) => Kind::Version,
        OpenError::Store(
            StoreError::Database(_) | StoreError::Damaged(_) | StoreError::Incomplete,
        ) => Kind::Damaged,
        OpenError::Genesis(_) | OpenError::DifferentGenesis | OpenError::Empty => Kind::Config,
    }
}

/// Listens on a port of this machine; 0 takes any free one.
pub(crate) async fn bind(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::AddrInUse => Kind::PortInUse,
            _ => Kind::Internal,
        };
        Error::new(kind, format!("cannot listen on 127.0.0.1:{port}")).because(error).hint(
            "stop the program that uses it, or start over with `devnet up --fresh --port-base 0`",
        )
    })
}

fn read_genesis(path: &Path) -> Result<GenesisConfig> {
    let text = std::fs::read(path).map_err(|error| Error::from_io("read", path, error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::new(Kind::Config, format!("{} is damaged", terminal::path(path))).because(error)
    })
}

fn stop_when_told(shutdown: &CancellationToken) {
    let by_parent = shutdown.clone();
    std::thread::spawn(move || {
        // Ends when the parent's end of the pipe closes, however the parent ended.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        by_parent.cancel();
    });
    let by_signal = shutdown.clone();
    tokio::spawn(async move {
        let kind = tokio::signal::unix::SignalKind::terminate();
        if let Ok(mut terminate) = tokio::signal::unix::signal(kind) {
            terminate.recv().await;
            by_signal.cancel();
        }
    });
}
