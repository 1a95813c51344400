//! Measures this machine: every operation of the erasure code beside its limit, and what a second thread is worth.
//!
//! Promises: times are of the processor and of one thread, so that other work on the machine shows little; an operation and
//! its limit take turns, and their medians are compared. Does not: print; the command line does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use haulout_protocol::encoding::workload::{Operation, Workload};
use haulout_protocol::encoding::{Buffers, Parameters, SegmentPosition, encode_segment_into};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// An operation and its limit take turns at least so many times.
const TURNS_MIN: u32 = 3;
/// One turn repeats the work until it lasts so long: the clock is read twice in it.
const TURN: Duration = Duration::from_millis(1);
/// Memory kept between encodings, as a writer does.
const KEPT_BYTES: usize = 160 << 20;

/// One operation on one size of blob in one size of network.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done; see [`Operation`].
    pub operation: &'static str,
    /// Shards of the network.
    pub shards: u16,
    /// Bytes of the blob.
    pub bytes: u64,
    /// Processor seconds of the operation, the median.
    pub cpu_seconds: f64,
    /// Processor seconds of the raw arithmetic it cannot do without, the median.
    pub limit_seconds: f64,
    /// The first divided by the second.
    pub ratio: f64,
}

/// The same encoding on one thread and on more.
#[derive(Clone, Debug, Serialize)]
pub struct Scaling {
    /// Shards of the network.
    pub shards: u16,
    /// Bytes of the segment.
    pub bytes: u32,
    /// Threads of the second figure.
    pub threads: usize,
    /// Seconds of the wall on one thread, the least of all turns.
    pub one_thread_seconds: f64,
    /// Seconds of the wall on all of them, the least of all turns.
    pub seconds: f64,
    /// The first divided by the second.
    pub speedup: f64,
}

/// Measures an operation for about so much processor time, on the calling thread.
pub fn measure(
    operation: Operation,
    parameters: &Parameters,
    bytes: u64,
    budget: Duration,
) -> Result<Row> {
    pool(1)?.install(|| {
        let mut workload = Workload::new(operation, parameters, bytes);
        let work = turns(&mut workload, Workload::run);
        let limit = turns(&mut workload, Workload::run_limit);
        let (mut works, mut limits) = (Vec::new(), Vec::new());
        let begun = thread_time();
        while works.len() < TURNS_MIN as usize || thread_time() - begun < budget {
            works.push(time(&mut workload, Workload::run, work));
            limits.push(time(&mut workload, Workload::run_limit, limit));
        }
        let (cpu_seconds, limit_seconds) = (median(works), median(limits));
        Ok(Row {
            operation: operation.name(),
            shards: parameters.shards(),
            bytes,
            cpu_seconds,
            limit_seconds,
            ratio: cpu_seconds / limit_seconds,
        })
    })
}

/// Encodes a segment of this many bytes with one thread and with so many, in turns.
pub fn scaling(parameters: &Parameters, bytes: u32, threads: usize) -> Result<Scaling> {
    const TURNS: usize = 7;
    let pools = [pool(1)?, pool(threads)?];
    let position = SegmentPosition { segment: 0, blob_bytes: u64::from(bytes) };
    let length = usize::try_from(bytes).expect("a segment fits memory");
    let mut segment = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut segment);
    let segment = bytes::Bytes::from(segment);
    let buffers = Buffers::new(KEPT_BYTES);
    let mut least = [f64::INFINITY; 2];
    for _turn in 0..=TURNS {
        for (pool, least) in pools.iter().zip(&mut least) {
            let start = Instant::now();
            pool.install(|| {
                let segment = segment.clone();
                black_box(encode_segment_into(&buffers, parameters, position, segment));
            });
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    let [one_thread_seconds, seconds] = least;
    let shards = parameters.shards();
    let speedup = one_thread_seconds / seconds;
    Ok(Scaling { shards, bytes, threads, one_thread_seconds, seconds, speedup })
}

fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    built.map_err(|error| Error::new(Kind::Internal, "no threads can be started").because(error))
}

/// Runs once to warm up, then says how often to run in one turn.
fn turns(workload: &mut Workload, run: fn(&mut Workload)) -> u32 {
    run(workload);
    let mut repeat = 1;
    while time(workload, run, repeat) * f64::from(repeat) < TURN.as_secs_f64() && repeat < 1 << 20 {
        repeat *= 2;
    }
    repeat
}

/// Processor seconds of one run, over so many.
fn time(workload: &mut Workload, run: fn(&mut Workload), repeat: u32) -> f64 {
    let before = thread_time();
    for _run in 0..repeat {
        run(workload);
    }
    (thread_time() - before).as_secs_f64() / f64::from(repeat)
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("time since the thread began is not negative")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_measured() {
        let parameters = Parameters::new(7, 1024).unwrap();
        for operation in Operation::ALL {
            let bytes = if operation.is_of(&parameters, 3000) { 3000 } else { 1000 };
            let row = measure(operation, &parameters, bytes, Duration::ZERO).unwrap();
            assert_eq!((row.operation, row.shards, row.bytes), (operation.name(), 7, bytes));
            assert!(row.cpu_seconds > 0.0 && row.limit_seconds > 0.0, "{row:?}");
        }
        let scaling = scaling(&parameters, 1000, 2).unwrap();
        assert!(scaling.speedup > 0.0);
    }

    #[test]
    fn the_middle_value_is_the_median() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
