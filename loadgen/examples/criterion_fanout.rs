//! Your own feed under criterion: one post, until everyone has it.
//!
//! ```sh
//! FEEDMARK_URL=http://127.0.0.1:3000 cargo run --release -p feedmark --example criterion_fanout -- --bench
//! ```
//!
//! In a project of yours this is a file in `benches/` with `harness = false`, and `cargo bench` runs it.

use criterion::{Criterion, Throughput};
use feedmark::bench::Fanout;
use feedmark::settings::Settings;
use feedmark::units::Subscribers;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("my_feed");
    for subscribers in [10, 100, 1_000] {
        // What your feed needs besides its address: the other settings, named as in a scenario file.
        let settings = Settings {
            url: std::env::var("FEEDMARK_URL").ok(),
            subscribers: Some(Subscribers::new(subscribers)),
            ..Settings::default()
        };
        let mut fanout = Fanout::connect(settings).unwrap_or_else(|error| panic!("{error}"));
        group.throughput(Throughput::Elements(u64::from(subscribers)));
        group.bench_function(subscribers.to_string(), |bencher| {
            bencher.iter_custom(|posts| {
                let times = (0..posts).map(|_| fanout.post());
                times.sum::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}"))
            })
        });
    }
    group.finish();
    criterion.final_summary();
}
