//! What `devnet up` prints: each phase as it finishes, then the identity card, then one live line.
//!
//! Promises: every endpoint and command on the card exists and works. Does not: print; it returns
//! text, so that tests can read it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use haulout_node::terminal;
use haulout_protocol::chain::ObjectId;
use haulout_protocol::encoding::Parameters;

use crate::control::Phase;
use crate::state::{Card, NodeCard};
use crate::typed::{counted, typed};

/// The first line.
pub(crate) fn title(name: &str, folder: &Path) -> String {
    format!("haulout {} · devnet \"{name}\" · {}\n", env!("CARGO_PKG_VERSION"), tilde(folder))
}

/// One finished phase.
pub(crate) fn phase(phase: &Phase) -> String {
    let Phase { name, detail, millis, is_partial } = phase;
    let mark = if *is_partial { "✗" } else { "✓" };
    format!("  {mark} {name:<10} {detail:<58} {:>5.1}s", seconds(*millis))
}

#[expect(clippy::cast_precision_loss, reason = "a display of seconds with one digit")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

/// The identity card.
pub(crate) fn card(card: &Card) -> String {
    let mut text = String::new();
    endpoints(&mut text, card);
    accounts(&mut text, card);
    nodes(&mut text, card);
    commands(&mut text, card);
    text
}

/// Writing to a string cannot fail, so the results are dropped here once.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

fn endpoints(text: &mut String, card: &Card) {
    line(text, format_args!("\n Endpoints"));
    line(
        text,
        format_args!("   Ledger (Sui gRPC)  {}      faucet {}", card.chain.rpc, card.chain.faucet),
    );
    let epoch = typed(Duration::from_millis(card.epoch_ms));
    line(
        text,
        format_args!("   Epochs             {epoch} each; `devnet epoch next` ends one now"),
    );
    line(text, format_args!("   Network            {}", card.chain.network));
    line(text, format_args!("   Package            {}", card.chain.packages.haulout));
    if let Some(first) = card.nodes.first() {
        line(
            text,
            format_args!(
                "   Metrics            {}      (each node, see devnet.json)",
                first.metrics
            ),
        );
    }
}

fn accounts(text: &mut String, card: &Card) {
    line(
        text,
        format_args!("\n Accounts   (devnet only: these keys are public, never send real funds)"),
    );
    for account in &card.accounts {
        let address = short(&account.address);
        let file = tilde(&account.key_file);
        line(text, format_args!("   {:<6} {address}   {file}", account.name));
    }
}

fn nodes(text: &mut String, card: &Card) {
    let tolerance = Tolerance::of(card);
    line(text, format_args!("\n Nodes      {}, {}", card.nodes.len(), tolerance.summary()));
    for node in &card.nodes {
        let NodeCard { name, address, shards, .. } = node;
        let shards = counted(u16::try_from(shards.len()).unwrap_or(u16::MAX), "shard");
        line(text, format_args!("   {name:<4} {address}   {shards}"));
    }
}

fn commands(text: &mut String, card: &Card) {
    // One that has shards: without a candidate nothing would be missed in any case.
    let mut serving = card.nodes.iter().filter(|node| !node.shards.is_empty() && !node.is_leaving);
    let last = serving.next_back().map_or("n1", |node| node.name.as_str());
    let named =
        if card.name == "default" { String::new() } else { format!(" --name {}", card.name) };
    line(
        text,
        format_args!(
            "\n Try        (no `haulout` in your PATH? `devnet haulout put FILE` does the same)"
        ),
    );
    line(text, format_args!("   haulout put FILE                # prints the blob's id"));
    line(text, format_args!("   haulout get ID -o COPY"));
    line(
        text,
        format_args!(
            "   devnet{named} kill {last}             # then get it again: nothing is missed\n"
        ),
    );
}

/// What a devnet survives, from the worst case of who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tolerance {
    pub(crate) writes: usize,
    pub(crate) reads: usize,
}

impl Tolerance {
    /// How many nodes, the largest first, may be dead while writes, and reads, still succeed.
    pub(crate) fn of(card: &Card) -> Self {
        let all = usize::from(card.shards);
        let (source, quorum) = Self::needed(card);
        Self { writes: nodes_within(card, all - quorum), reads: nodes_within(card, all - source) }
    }

    /// How many shards a read needs, and how many a write.
    pub(crate) fn needed(card: &Card) -> (usize, usize) {
        let all = usize::from(card.shards);
        (source_shards(card.shards, card.segment_bytes), 2 * all / 3 + 1)
    }

    fn summary(self) -> String {
        let Self { writes, reads } = self;
        format!("tolerates {writes} dead for writes, {reads} for reads of certified blobs")
    }
}

/// How many shards a read needs, in a network of so many with segments of so many bytes.
pub(crate) fn source_shards(shards: u16, segment_bytes: u32) -> usize {
    Parameters::new(shards, segment_bytes)
        .map_or(usize::from(shards), |parameters| usize::from(parameters.primary_source()))
}

/// How many nodes, the largest first, hold at most so many shards together.
fn nodes_within(card: &Card, shards: usize) -> usize {
    let mut sizes: Vec<usize> = card.nodes.iter().map(|node| node.shards.len()).collect();
    sizes.sort_unstable_by(|one, two| two.cmp(one));
    let mut sum = 0;
    sizes
        .into_iter()
        .take_while(|size| {
            sum += size;
            sum <= shards
        })
        .count()
}

/// The facts of the live line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) seconds: u64,
    pub(crate) epoch: Option<u32>,
    pub(crate) checkpoint: Option<u64>,
    pub(crate) running: usize,
    pub(crate) nodes: usize,
}

/// The one line that lives.
pub(crate) fn live(pulse: &Pulse) -> String {
    let Pulse { seconds, epoch, checkpoint, running, nodes } = pulse;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let shown = |value: Option<u64>| value.map_or("?".to_owned(), |value| value.to_string());
    format!(
        "{hours:02}:{minutes:02}:{seconds:02} │ epoch {} │ checkpoint {} │ {running}/{nodes} nodes │ q + Enter detach · Ctrl-C stop",
        shown(epoch.map(u64::from)),
        shown(*checkpoint),
    )
}

/// A path as people write it.
pub(crate) fn tilde(path: &Path) -> String {
    let home = std::env::var_os("HOME").unwrap_or_default();
    match path.strip_prefix(&home) {
        Ok(inside) if !home.is_empty() => format!("~/{}", terminal::path(inside)),
        _ => terminal::path(path),
    }
}

fn short(address: &str) -> String {
    address.parse().map_or_else(|_| address.to_owned(), |id: ObjectId| id.short())
}

#[cfg(test)]
pub(crate) mod tests;
