//! What the generator does for every post and every delivery, step by step.

mod latencies;
mod steps;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use feedmark_core::SECOND_NS;
use feedmark_core::marker::MarkerFinder;
use feedmark_core::schedule::{Arrivals, Schedule, Stage};
use steps::{BATCH_FRAMES, SUBSCRIBERS, Subscriber};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    schedule(&mut criterion);
    marker(&mut criterion);
    session(&mut criterion);
    ledger(&mut criterion);
    recorder(&mut criterion);
    criterion.final_summary();
}

/// Per post: its intended time.
fn schedule(criterion: &mut Criterion) {
    let times = |arrivals| Schedule::new(1, arrivals, vec![Stage::steady(20.0, 60 * SECOND_NS)]);
    let mut group = criterion.benchmark_group("schedule");
    for (name, arrivals) in [("constant", Arrivals::Constant), ("poisson", Arrivals::Poisson)] {
        group.throughput(Throughput::Elements(times(arrivals).count() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| times(black_box(arrivals)).max()));
    }
    group.finish();
}

/// Per delivery: the search for the marker.
fn marker(criterion: &mut Criterion) {
    let event = steps::event(7);
    let finder = MarkerFinder::default();
    let mut group = criterion.benchmark_group("marker");
    group.throughput(Throughput::Bytes(event.len() as u64));
    group
        .bench_function("find", |bencher| bencher.iter(|| steps::find(&finder, black_box(event.as_bytes()))));
    group.finish();
}

/// Per read: from bytes to events.
fn session(criterion: &mut Criterion) {
    let mut subscriber = Subscriber::live();
    let frame = steps::frame(&steps::event(7));
    let (head, tail) = frame.split_at(frame.len() / 2);
    let batch = steps::batch();
    assert_eq!((subscriber.read(&frame), subscriber.read(&batch)), (1, BATCH_FRAMES));
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("one_frame", |bencher| bencher.iter(|| subscriber.read(black_box(&frame))));
    group.bench_function("split_frame", |bencher| {
        bencher.iter(|| subscriber.read(black_box(head)) + subscriber.read(black_box(tail)))
    });
    group.throughput(Throughput::Bytes(batch.len() as u64));
    group.bench_function("batch", |bencher| bencher.iter(|| subscriber.read(black_box(&batch))));
    group.finish();
}

/// Per delivery: the arrival; per post: its settling.
fn ledger(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(u64::from(SUBSCRIBERS)));
    group.bench_function("arrive", |bencher| {
        bencher.iter_batched_ref(steps::ledger, steps::arrive_everywhere, BatchSize::SmallInput)
    });
    group.bench_function("settle", |bencher| {
        bencher.iter_batched_ref(steps::full_ledger, steps::settle, BatchSize::SmallInput)
    });
    group.finish();
}

/// Per delivery: a value in the series; at the end: the shards together.
fn recorder(criterion: &mut Criterion) {
    const SECONDS: u64 = 30;
    let latencies_ns = steps::latencies_ns();
    let mut recorder = steps::recorder();
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(latencies_ns.len() as u64));
    group.bench_function("record", |bencher| {
        bencher.iter(|| steps::record(&mut recorder, 0, black_box(&latencies_ns)))
    });
    group.sample_size(10);
    group.throughput(Throughput::Elements(SECONDS));
    group.bench_function("merge", |bencher| {
        bencher.iter_batched_ref(
            || steps::shards(SECONDS),
            |(one, other)| one.merge(other),
            BatchSize::LargeInput,
        )
    });
    group.finish();
}
