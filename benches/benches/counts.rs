//! Instructions of the hot steps, counted by valgrind, and the most that each may take: exceeding one fails, on a busy
//! machine as on a quiet one. The limits are a tenth above what was counted on x86-64 with AVX2; lower one that has room.

#![expect(
    missing_docs,
    clippy::exit,
    clippy::disallowed_methods,
    reason = "what the harness's macros expand to; its exit code says which limit was exceeded"
)]

mod latencies;
mod steps;

use std::hint::black_box;

use feedmark_core::ledger::Ledger;
use feedmark_core::marker::{Marker, MarkerFinder};
use feedmark_core::recorder::Recorder;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};
use gungraun::{library_benchmark, library_benchmark_group, main};
use steps::Subscriber;

/// Fails above so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// A subscriber, and what its next reads bring.
fn subscriber(reads: Vec<Vec<u8>>) -> (Subscriber, Vec<Vec<u8>>) {
    (Subscriber::live(), reads)
}

fn one_frame() -> Vec<u8> {
    steps::frame(&steps::event(7))
}

/// The halves of a frame.
fn split_frame() -> Vec<Vec<u8>> {
    let frame = one_frame();
    frame.chunks(frame.len().div_ceil(2)).map(<[u8]>::to_vec).collect()
}

// What a step got is given back, so that its end is not counted.

#[library_benchmark]
#[bench::find(args = (MarkerFinder::default(), steps::event(7)), config = at_most(490))]
fn marker(finder: MarkerFinder, event: String) -> (Marker, MarkerFinder, String) {
    (steps::find(&finder, black_box(event.as_bytes())), finder, event)
}

#[library_benchmark]
#[bench::one_frame(args = (vec![one_frame()]), setup = subscriber, config = at_most(960))]
#[bench::split_frame(args = (split_frame()), setup = subscriber, config = at_most(2_080))]
#[bench::batch(args = (vec![steps::batch()]), setup = subscriber, config = at_most(59_300))]
fn session(reading: (Subscriber, Vec<Vec<u8>>)) -> (Subscriber, Vec<Vec<u8>>) {
    let (mut subscriber, reads) = reading;
    for bytes in &reads {
        black_box(subscriber.read(black_box(bytes)));
    }
    (subscriber, reads)
}

#[library_benchmark]
#[bench::thousand(args = (steps::ledger()), config = at_most(63_500))]
fn arrive(mut ledger: Ledger) -> Ledger {
    steps::arrive_everywhere(&mut ledger);
    ledger
}

#[library_benchmark]
#[bench::thousand(args = (steps::full_ledger()), config = at_most(37_900))]
fn settle(mut ledger: Ledger) -> Ledger {
    black_box(steps::settle(&mut ledger));
    ledger
}

#[library_benchmark]
#[bench::thousand(args = (steps::recorder(), steps::latencies_ns()), config = at_most(201_000))]
fn record(mut recorder: Recorder, latencies_ns: Vec<u64>) -> (Recorder, Vec<u64>) {
    steps::record(&mut recorder, 0, black_box(&latencies_ns));
    (recorder, latencies_ns)
}

#[library_benchmark]
#[bench::three_seconds(args = (steps::shards(3)), config = at_most(11_500_000))]
fn merge(shards: (Recorder, Recorder)) -> (Recorder, Recorder) {
    let (mut one, mut other) = shards;
    one.merge(&mut other);
    (one, other)
}

library_benchmark_group!(name = codec, benchmarks = [marker, session]);
library_benchmark_group!(name = ledger, benchmarks = [arrive, settle]);
library_benchmark_group!(name = recorder, benchmarks = [record, merge]);
main!(library_benchmark_groups = [codec, ledger, recorder]);
