//! A node that was down while blobs were stored, and is back.

use anyhow::{Context, Result};

use crate::network::Network;

/// So many blobs of a mebibyte are stored while the last node is down.
pub(crate) async fn measure(puts: usize) -> Result<()> {
    let network = Network::start(5, "24h")?;
    let node = network.nodes.last().context("no nodes")?.clone();
    network.devnet(&["kill", &node.name]).await?;
    network.store(&vec![1 << 20; puts], 3_000).await?;
    network.devnet(&["restart", &node.name]).await?;
    let took = network.healed().await?.as_secs_f64();
    let repairs = network.repairs(&node).await?;
    let received = repairs["received_bytes"].as_u64().unwrap_or(0) >> 20;
    println!(
        "  {puts} puts of 1 MiB were missed: complete {took:.1} s after the start, {received} MiB received"
    );
    Ok(())
}
