//! `devnet epoch next`: ends the epoch now, without waiting for its time.
//!
//! Promises: the rules stay as they are; the ledger's time is moved ahead to where they allow the
//! next step, and the nodes send it, as always. Returns when the next epoch has begun and enough
//! nodes hold its shards. A failure says whether time was moved; the next attempt moves only what is left.
//! Does not: send steps itself. Without running nodes no epoch ends, so it says so and moves nothing.

use std::time::{Duration, Instant};

use clap::Subcommand;
use haulout_actors::chain::{Chain, SystemView};
use haulout_node::error::{Error, Kind, Result};
use haulout_protocol::chain::object::staking::EpochState;

use super::{card_of, connect, duration, patience, print_line, print_text, status};
use crate::control::ProcessState;
use crate::probe;
use crate::state::StateDirectory;
use crate::typed::typed;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So long nodes may report their shards by themselves before time moves on to force them.
const SYNC_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// End this epoch and begin the next, by moving the ledger's time ahead
    Next {
        /// How long the nodes may take
        #[arg(long, default_value = "60s", value_parser = duration)]
        timeout: Duration,
    },
}

pub(super) async fn run(directory: &StateDirectory, verb: &Verb, json: bool) -> Result<()> {
    let Verb::Next { timeout } = verb;
    let card = card_of(directory)?;
    let place = status::place(&card).ok_or_else(|| card.damaged())?;
    let started = Instant::now();
    // Facts first: time that was moved for nothing does not come back.
    somebody_acts(directory).await?;
    let chain = patience::ledger(directory, &place, *timeout).await?;
    let before = chain.system().await?.position.epoch.0;
    let until = started + *timeout;
    let mut pusher = Pusher { chain, port: card.faucet_port()?, until, moved: Duration::ZERO };
    let pushed = pusher.push(before).await;
    let after = pushed.map_err(|error| pusher.with_what_was_done(error))?;
    let (epoch, nodes) = (after.position.epoch.0, after.position.committee.members().len());
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if json {
        return print_line(
            &serde_json::json!({ "epoch": epoch, "nodes": nodes, "millis": millis }),
        );
    }
    let seconds = Duration::from_millis(millis).as_secs_f64();
    print_text(&format!("epoch {epoch} began: {nodes} nodes, in {seconds:.1} s\n"))
}

/// Refuses when no node runs: only nodes send the steps that end an epoch.
async fn somebody_acts(directory: &StateDirectory) -> Result<()> {
    connect(directory).await?;
    let processes = status::supervised_processes(directory).await?.unwrap_or_default();
    let mut nodes = processes.iter().filter(|process| process.name != "ledger");
    let Some(first) = nodes.clone().next() else { return Ok(()) };
    if nodes.any(|node| node.state == ProcessState::Running) {
        return Ok(());
    }
    let verb = if first.state == ProcessState::Paused { "resume" } else { "restart" };
    let message = "no node runs, and only nodes end epochs; the ledger's time was not moved";
    Err(Error::new(Kind::NoNetwork, message)
        .hint(format!("`devnet {verb} {}`, then again", first.name)))
}

/// Moves time ahead until an epoch is over.
struct Pusher {
    chain: Chain,
    port: u16,
    until: Instant,
    /// How far the ledger's time was moved.
    moved: Duration,
}

impl Pusher {
    /// Returns what the ledger says once a later epoch's shards are held.
    async fn push(&mut self, before: u32) -> Result<SystemView> {
        let mut moved_to = 0;
        let mut syncing: Option<Instant> = None;
        loop {
            let view = self.chain.system().await?;
            let (position, state) = (&view.position, view.position.phase);
            if position.epoch.0 > before && !matches!(state, EpochState::Sync { .. }) {
                return Ok(view);
            }
            let timing = position.timing;
            let due_ms = match state {
                EpochState::Done { since_ms } => since_ms.saturating_add(timing.duration_ms / 2),
                EpochState::Selected { since_ms } => since_ms.saturating_add(timing.duration_ms),
                EpochState::Sync { started_ms, .. } => {
                    let patience = syncing.get_or_insert_with(Instant::now).elapsed();
                    let force = started_ms.saturating_add(timing.sync_timeout_ms);
                    if patience < SYNC_PATIENCE { 0 } else { force }
                }
            };
            if due_ms > moved_to {
                moved_to = due_ms;
                // Counted from the ledger's own time, so that a second attempt moves what is left.
                let wait_ms = due_ms.saturating_sub(position.ledger_ms);
                self.moved += Duration::from_millis(wait_ms);
                probe::skip(self.port, wait_ms).await?;
            }
            if Instant::now() > self.until {
                return Err(stuck(position.epoch.0, state));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A failure, with what has happened all the same and what the next attempt does.
    fn with_what_was_done(&self, error: Error) -> Error {
        if self.moved.is_zero() {
            return error;
        }
        let moved = typed(Duration::from_secs(self.moved.as_secs().div_ceil(60) * 60));
        let message =
            format!("{}; the ledger's time was moved ahead by up to {moved}", error.message());
        let hint = format!(
            "{}; `devnet epoch next` goes on from there and moves only what is left",
            error.next_step()
        );
        Error::new(error.kind(), message).hint(hint)
    }
}

/// No node did what was due.
fn stuck(epoch: u32, state: EpochState) -> Error {
    let what = match state {
        EpochState::Done { .. } => format!("no node ended the vote of epoch {epoch}"),
        EpochState::Selected { .. } => format!("no node ended epoch {epoch}"),
        EpochState::Sync { .. } => {
            format!("epoch {epoch} began, but too few nodes say that they hold its shards")
        }
    };
    Error::new(Kind::Timeout, what).hint("see `devnet status` and `devnet logs`")
}
