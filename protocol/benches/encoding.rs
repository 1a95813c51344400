//! Every operation of the erasure code beside its limit, for networks of 10, 100 and 1000 shards.
//!
//! Times are of the processor, not of the wall, so that they mean something on a busy machine, and of one thread: run it
//! without the feature `parallel`. At the end the ratios of all that ran are printed.
//!
//! `cargo bench -p haulout-protocol --bench encoding -- encode/1000` runs a part.

#![allow(clippy::print_stdout, reason = "the table of ratios is what the bench is for")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group};
use haulout_protocol::encoding::workload::{Operation, Workload};
use haulout_protocol::encoding::{Parameters, SEGMENT_BYTES};
use rustix::time::{ClockId, clock_gettime};

const SHARDS: [u16; 3] = [10, 100, 1000];
const LENGTHS: [(&str, u64); 6] = [
    ("1KiB", 1 << 10),
    ("10KiB", 10 << 10),
    ("64KiB", 1 << 16),
    ("1MiB", 1 << 20),
    ("32MiB", 1 << 25),
    ("256MiB", 1 << 28),
];

/// Processor seconds of one run: the least of all samples, of the operation and of its limit.
type Least = RefCell<BTreeMap<String, [f64; 2]>>;

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("time since the thread began is not negative")
}

fn bench(criterion: &mut Criterion) {
    let least = Least::default();
    for operation in Operation::ALL {
        bench_operation(criterion, operation, &least);
    }
    println!("\noperation/shards/bytes                    cpu s       limit s     ratio");
    for (name, [work, limit]) in least.borrow().iter() {
        if work.is_finite() && limit.is_finite() {
            println!("{name:<38}{work:>11.3e} {limit:>11.3e} {:>9.2}", work / limit);
        }
    }
}

fn bench_operation(criterion: &mut Criterion, operation: Operation, least: &Least) {
    let mut group = criterion.benchmark_group(operation.name());
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(1));
    for shards in SHARDS {
        let parameters = Parameters::new(shards, SEGMENT_BYTES).expect("valid parameters");
        let lengths = LENGTHS.iter().filter(|(_, length)| operation.is_of(&parameters, *length));
        for (label, length) in lengths.copied() {
            group.throughput(Throughput::Bytes(length));
            // Made once and only if asked for: the closures below are called for every sample.
            let mut workload = None;
            for (kind, suffix) in [(0, ""), (1, "-limit")] {
                let id = BenchmarkId::new(shards.to_string(), format!("{label}{suffix}"));
                group.bench_function(id, |bencher| {
                    let workload = workload
                        .get_or_insert_with(|| Workload::new(operation, &parameters, length));
                    bencher.iter_custom(|iterations| {
                        let taken = time(workload, kind, iterations);
                        let name = format!("{}/{shards}/{label}", operation.name());
                        let mut least = least.borrow_mut();
                        let entry = least.entry(name).or_insert([f64::INFINITY; 2]);
                        entry[kind] = entry[kind].min(taken.as_secs_f64() / iterations as f64);
                        taken
                    });
                });
            }
        }
    }
    group.finish();
}

/// Processor time of some runs of the operation, or of its limit.
fn time(workload: &mut Workload, kind: usize, iterations: u64) -> Duration {
    let before = thread_time();
    for _iteration in 0..iterations {
        match kind {
            0 => workload.run(),
            _ => workload.run_limit(),
        }
    }
    (thread_time() - before).max(Duration::from_nanos(1))
}

criterion_group!(benches, bench);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
