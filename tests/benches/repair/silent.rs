//! What a node that falls silent costs a reader of a large blob: stopped, not killed, so that its connections stay open.
//!
//! Promises: the same blob is read in the same run with all nodes and with one of them stopped, by a reader that knows them and
//! by one that meets them for the first time. Does not: store what is read.

use std::time::Instant;

use anyhow::{Result, ensure};
use haulout_actors::session::download::Consistency;
use haulout_node::LightClient;
use haulout_tests::quiet;

use crate::network::{Network, Stored};

const NODES: usize = 5;
/// Rounds; the median of each kind counts.
const ROUNDS: usize = 3;
/// What a silent node may cost, in seconds: issue 12's bar.
const BAR: f64 = 1.0;

/// A blob of so many mebibytes is read.
pub(crate) async fn measure(mib: usize) -> Result<()> {
    let network = Network::start(NODES, "24h")?;
    let stored = network.store(&[mib << 20], 5_000).await?;
    let blob = stored[0];
    let known = network.client().await?;
    seconds(&known, &blob).await?; // everything is in the system's memory from here on
    let mut took = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        took[0].push(seconds(&known, &blob).await?);
        let silent = network.nodes[round % NODES].name.clone();
        network.devnet(&["pause", &silent]).await?;
        took[1].push(seconds(&known, &blob).await?);
        let fresh = network.client().await?;
        took[2].push(seconds(&fresh, &blob).await?);
        fresh.close().await;
        network.devnet(&["resume", &silent]).await?;
    }
    known.close().await;
    let [calm, silent, fresh] = took.map(|mut took| {
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    });
    println!("  {mib} MiB read with all nodes in {calm:.2} s");
    for (who, with) in [("that knows the nodes", silent), ("new to them", fresh)] {
        let more = with - calm;
        let verdict = if more <= BAR { "met" } else { "missed" };
        println!(
            "  with one silent node, by a reader {who}: {with:.2} s, {more:.2} s more (bar {BAR}: {verdict})"
        );
    }
    Ok(())
}

/// How long a read takes; its bytes are counted, and their content is checked by the client.
async fn seconds(client: &LightClient, blob: &Stored) -> Result<f64> {
    let began = Instant::now();
    let mut bytes = Vec::with_capacity(blob.length);
    client.get(&blob.id, Consistency::Default, &mut bytes, &quiet()).await?;
    let took = began.elapsed().as_secs_f64();
    ensure!(bytes.len() == blob.length, "{} of {} bytes came", bytes.len(), blob.length);
    Ok(took)
}
