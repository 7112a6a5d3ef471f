//! What the reference server encodes for a broadcast: once, however many sockets it is for.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use target_server::bench::Broadcast;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let content = "to be seen by everyone at once ".repeat(7);
    let broadcast = Broadcast::of_post("fmk1-7f3a9c0d-0003-00000007", &content[..200]);
    let mut group = criterion.benchmark_group("broadcast");
    group.throughput(Throughput::Bytes(broadcast.encode().len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&broadcast).encode()));
    group.finish();
    criterion.final_summary();
}
