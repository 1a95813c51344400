//! Rounds: in each, other nodes with as many shards as may be lost are killed and their disks taken away, while somebody reads.

use anyhow::Result;

use crate::network::Network;
use crate::readers::{Reader, quantile};

const NODES: usize = 7;
/// The longest blob is a byte that was doubled so often: 8 MiB.
const DOUBLINGS: usize = 23;
/// Nodes that have no more than a third of a hundred shards together.
const LOST_AT_ONCE: usize = 2;

/// Lengths from nothing to the longest, most of them short, as files are.
fn lengths(blobs: usize) -> Vec<usize> {
    // So many doublings of one byte, and of the next one a part.
    let steps = blobs.saturating_sub(2).max(1);
    let length = |place: usize| {
        let (doublings, rest) = (DOUBLINGS * place / steps, DOUBLINGS * place % steps);
        let whole = 1 << doublings.min(DOUBLINGS);
        (whole + whole * rest / steps).min(1 << DOUBLINGS)
    };
    (0..blobs).map(|place| place.checked_sub(1).map_or(0, length)).collect()
}

/// So many rounds with so many blobs.
pub(crate) async fn measure(rounds: usize, blobs: usize) -> Result<()> {
    let network = Network::start(NODES, "24h")?;
    let stored = network.store(&lengths(blobs), 1_000).await?;
    let bytes: usize = stored.iter().map(|blob| blob.length).sum();
    println!("  {blobs} blobs of 0 B to 8 MiB, {} MiB in all, on {NODES} nodes", bytes >> 20);
    let mut worst = 0.0_f64;
    for round in 0..rounds {
        // Every pair of nodes before any of them again.
        let first = round % NODES;
        let second = (first + 1 + round / NODES % (NODES - 1)) % NODES;
        let names = [first, second].map(|index| network.nodes[index].name.clone());
        let names: Vec<&str> = names.iter().map(String::as_str).take(LOST_AT_ONCE).collect();
        let reader = Reader::start(network.clone(), stored.clone());
        let healed = network.lose_and_heal(&names).await?.as_secs_f64();
        let took = reader.stop().await?;
        worst = worst.max(healed);
        println!(
            "  round {:>2}: {} lost their disks, healed in {healed:>5.1} s; {:>4} reads, all right, p99 {:.0} ms",
            round + 1,
            names.join(" and "),
            took.len(),
            quantile(&took, 99),
        );
    }
    println!("  the slowest round took {worst:.1} s");
    Ok(())
}
