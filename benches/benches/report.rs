//! What comes after measuring: histograms as run files keep them, and the rendering of a result.

mod latencies;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use feedmark_reports::terminal::{Style, summary};
use feedmark_reports::{LatencySummary, RunResult, quantile, sample};
use hdrhistogram::Histogram;
use latencies::latencies_ns;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    snapshot(&mut criterion);
    report(&mut criterion);
    criterion.final_summary();
}

/// Posts of the run: 30 s at 20/s.
const POSTS: u32 = 600;

/// About 1,000 deliveries of each of its posts.
fn deliveries() -> Histogram<u64> {
    let mut histogram = quantile::new_histogram();
    for latency_ns in latencies_ns(1_000 * POSTS) {
        histogram.record(latency_ns).expect("a latency of at most an hour");
    }
    histogram
}

/// The result of the run.
fn run() -> RunResult {
    let mut run = sample::run();
    run.latency_ns.delivery = LatencySummary::new(&deliveries(), 0, f64::from(POSTS));
    run
}

/// A series in a run file: encoded, read back, and summed up.
fn snapshot(criterion: &mut Criterion) {
    let histogram = deliveries();
    let encoded = quantile::encode(&histogram);
    let mut group = criterion.benchmark_group("snapshot");
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| quantile::encode(black_box(&histogram))));
    group.bench_function("decode", |bencher| bencher.iter(|| quantile::decode(black_box(&encoded))));
    group.bench_function("summary", |bencher| {
        bencher.iter(|| LatencySummary::new(black_box(&histogram), 0, f64::from(POSTS)))
    });
    group.finish();
}

/// A whole result: on the terminal, and as `run.json` has it.
fn report(criterion: &mut Criterion) {
    let run = run();
    let style = Style { color: true, width: 80 };
    let mut group = criterion.benchmark_group("report");
    group.throughput(Throughput::Bytes(summary(&run, &style).len() as u64));
    group.bench_function("terminal", |bencher| bencher.iter(|| summary(black_box(&run), &style)));
    let json = serde_json::to_vec_pretty(&run).expect("a result is JSON");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("json", |bencher| bencher.iter(|| serde_json::to_vec_pretty(black_box(&run))));
    group.finish();
}
