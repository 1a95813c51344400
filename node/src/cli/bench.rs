//! `haulout bench`: how fast this machine is, and how close to what it could be.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use haulout_protocol::encoding::workload::Operation;
use haulout_protocol::encoding::{Parameters, SEGMENT_BYTES, engine_name};
use serde_json::json;

use super::output::{Output, size};
use crate::bench::{self, Row, Scaling};
use crate::config::Size;
use crate::error::{Error, Kind, Result};
use crate::identify;

/// Blobs past this would not fit the memory of a usual machine, slivers and all.
const BYTES_MAX: u64 = 1 << 30;

/// Measure this machine, offline
#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// The erasure code: each operation beside the raw arithmetic it cannot do without
    Encode(Encode),
}

#[derive(Debug, Args)]
pub(super) struct Encode {
    /// Shards of the network
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = [10, 100, 1000])]
    shards: Vec<u16>,
    /// Sizes of the blob, as 1KiB or 32MiB
    #[arg(long, value_delimiter = ',', value_name = "SIZE", default_values = ["1KiB", "10KiB", "1MiB", "32MiB"])]
    size: Vec<Size>,
    /// Only these operations
    #[arg(long, value_delimiter = ',', value_name = "NAME",
        value_parser = PossibleValuesParser::new(Operation::ALL.map(Operation::name)))]
    operation: Vec<String>,
    /// Processor time for each line of the table, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    time: u64,
}

impl Bench {
    pub(super) fn run(&self, output: &Output) -> Result<u8> {
        let Bench::Encode(encode) = self;
        encode.run(output)
    }
}

impl Encode {
    fn run(&self, output: &Output) -> Result<u8> {
        let cases = self.cases()?;
        let bar = crate::progress::steps(output.bars(), "measure", cases.len() as u64);
        let mut rows = Vec::with_capacity(cases.len());
        for (operation, parameters, bytes) in cases {
            bar.set_message(format!("{} {}", operation.name(), size(bytes)));
            let budget = Duration::from_millis(self.time);
            rows.push(bench::measure(operation, &parameters, bytes, budget)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let scaling = self.scaling()?;
        report(output, &rows, &scaling);
        Ok(0)
    }

    /// Everything to measure; refuses what cannot be before anything is.
    fn cases(&self) -> Result<Vec<(Operation, Parameters, u64)>> {
        let mut networks = Vec::new();
        for shards in &self.shards {
            networks.push(identify::parameters(*shards)?);
        }
        if let Some(Size(bytes)) = self.size.iter().find(|Size(bytes)| *bytes > BYTES_MAX) {
            let message = format!("{} is too large to measure in memory", size(*bytes));
            return Err(Error::new(Kind::Usage, message).hint("the largest size is 1GiB"));
        }
        let is_wanted = |operation: &Operation| {
            self.operation.is_empty() || self.operation.iter().any(|name| name == operation.name())
        };
        let mut cases = Vec::new();
        for operation in Operation::ALL.into_iter().filter(is_wanted) {
            for parameters in &networks {
                let sizes = self.size.iter().map(|Size(bytes)| *bytes);
                let sizes = sizes.filter(|bytes| operation.is_of(parameters, *bytes));
                cases.extend(sizes.map(|bytes| (operation, *parameters, bytes)));
            }
        }
        Ok(cases)
    }

    /// One full segment in each network, on all cores, if there is more than one.
    fn scaling(&self) -> Result<Vec<Scaling>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let is_wanted =
            self.operation.is_empty() || self.operation.iter().any(|name| name == "encode");
        let networks = self.shards.iter().filter(|_| threads > 1 && is_wanted);
        networks
            .map(|shards| bench::scaling(&identify::parameters(*shards)?, SEGMENT_BYTES, threads))
            .collect()
    }
}

fn report(output: &Output, rows: &[Row], scaling: &[Scaling]) {
    let processor = processor();
    let json = json!({
        "processor": processor,
        "engine": engine_name(),
        "rows": rows,
        "scaling": scaling,
    });
    let mut people = format!(
        "{processor}, one thread, engine {}\n\n{:<23} {:>6} {:>10} {:>12} {:>12} {:>7}\n",
        engine_name(),
        "operation",
        "shards",
        "blob",
        "cpu",
        "limit",
        "ratio"
    );
    let mut essential = String::new();
    for row in rows {
        let Row { operation, shards, bytes, cpu_seconds, limit_seconds, ratio } = row;
        people.push_str(&format!(
            "{operation:<23} {shards:>6} {:>10} {:>12} {:>12} {ratio:>7.3}\n",
            size(*bytes),
            seconds(*cpu_seconds),
            seconds(*limit_seconds)
        ));
        essential.push_str(&format!("{operation} {shards} {bytes} {ratio:.3}\n"));
    }
    for Scaling { shards, bytes, threads, speedup, .. } in scaling {
        people.push_str(&format!(
            "\n{threads} threads encode {} for {shards} shards {speedup:.2} times as fast as one",
            size(u64::from(*bytes))
        ));
    }
    people.push_str("\n\nThe limit is reed-solomon-simd and BLAKE3 over the same bytes. Other work on the machine disturbs both.\n");
    output.result(&json, essential.trim_end(), &people);
}

/// Seconds as people read them: `12.3 ms`.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.2} us", s * 1e6),
        s => format!("{:.0} ns", s * 1e9),
    }
}

/// The processor's name, where the system tells.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}
