//! `devnet epoch next`: ends the epoch now, without waiting for its time.
//!
//! Promises: the rules stay as they are; the ledger's time is moved ahead to where they allow the
//! next step, and the nodes send it, as always. Returns when the next epoch has begun and enough
//! nodes hold its shards.
//! Does not: send steps itself. Without running nodes no epoch ends, and it says so.

use std::time::{Duration, Instant};

use clap::Subcommand;
use haulout_actors::chain::{Chain, SystemView};
use haulout_node::error::{Error, Kind, Result};
use haulout_protocol::chain::object::staking::EpochState;

use super::{card_of, duration, print_line, print_text, status};
use crate::probe;
use crate::state::StateDirectory;

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
    let chain = probe::connect(&place).await?;
    let before = chain.system().await?.position.epoch.0;
    let pusher = Pusher { chain, port: card.faucet_port()?, until: started + *timeout };
    let after = pusher.push(before).await?;
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

/// Moves time ahead until an epoch is over.
struct Pusher {
    chain: Chain,
    port: u16,
    until: Instant,
}

impl Pusher {
    /// Returns what the ledger says once a later epoch's shards are held.
    async fn push(&self, before: u32) -> Result<SystemView> {
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
                let wait_ms = due_ms.saturating_sub(position.ledger_ms);
                probe::skip(self.port, wait_ms).await?;
            }
            if Instant::now() > self.until {
                return Err(stuck(state));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// No node did what was due.
fn stuck(state: EpochState) -> Error {
    let what = match state {
        EpochState::Done { .. } => "no node ended the vote of the epoch",
        EpochState::Selected { .. } => "no node ended the epoch",
        EpochState::Sync { .. } => {
            "the epoch began, but too few nodes say that they hold its shards"
        }
    };
    Error::new(Kind::Timeout, what)
        .hint("see `devnet status` and `devnet logs`; --timeout waits longer")
}
