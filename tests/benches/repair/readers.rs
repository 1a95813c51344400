//! Readers that never stop, and how long each of their reads took.
//!
//! Promises: every byte is compared; a read that fails, or brings other bytes, ends the measure. Does not: cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use haulout_tests::{get, sample_blob};
use tokio::task::JoinHandle;

use crate::network::{Network, Stored};

/// One reader with a connection of its own, until it is stopped.
#[derive(Debug)]
pub(crate) struct Reader {
    is_over: Arc<AtomicBool>,
    reading: JoinHandle<Result<Vec<Duration>>>,
}

impl Reader {
    /// Reads these blobs one after the other, again and again.
    pub(crate) fn start(network: Arc<Network>, stored: Vec<Stored>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let goes_on = Arc::clone(&is_over);
        let reading = tokio::spawn(async move {
            read(&network, &stored, |_| !goes_on.load(Ordering::Relaxed)).await
        });
        Reader { is_over, reading }
    }

    /// How long each read took so far; the reader ends.
    pub(crate) async fn stop(self) -> Result<Vec<Duration>> {
        self.is_over.store(true, Ordering::Relaxed);
        self.reading.await.context("the reader panicked")?
    }
}

/// Reads these blobs one after the other, so many times in all; how long each read took.
pub(crate) async fn some(
    network: &Network,
    stored: &[Stored],
    reads: usize,
) -> Result<Vec<Duration>> {
    read(network, stored, |done| done < reads).await
}

async fn read(
    network: &Network,
    stored: &[Stored],
    goes_on: impl Fn(usize) -> bool,
) -> Result<Vec<Duration>> {
    let client = network.client().await?;
    let mut took = Vec::new();
    for blob in stored.iter().cycle() {
        if !goes_on(took.len()) {
            break;
        }
        let began = Instant::now();
        let bytes = get(&client, &blob.id).await.with_context(|| format!("reading {}", blob.id))?;
        took.push(began.elapsed());
        ensure!(bytes == sample_blob(blob.seed, blob.length), "{} has other bytes", blob.id);
    }
    client.close().await;
    Ok(took)
}

/// The time that so many percent of the reads did not exceed, in milliseconds.
pub(crate) fn quantile(took: &[Duration], percent: usize) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
}
