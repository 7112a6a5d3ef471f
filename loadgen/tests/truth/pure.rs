//! T18, T19: what needs no socket.

use feedmark_core::SECOND_NS;
use feedmark_core::recorder::Recorder;
use feedmark_core::schedule::{Arrivals, Schedule, Stage};
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::stats::anderson_darling::{CRITICAL_1_PERCENT, a_squared, exponential_uniforms};
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::bed::row;

const SHARDS: usize = 8;

#[test]
fn t18_shards_merged_in_any_order_are_one_recorder() {
    let mut random = ChaCha8Rng::seed_from_u64(18);
    let recorder = || Recorder::new(&new_histogram());
    for _ in 0..20 {
        let (mut one, mut shards): (_, Vec<Recorder>) =
            (recorder(), (0..SHARDS).map(|_| recorder()).collect());
        for index in 0..20_000_u64 {
            let (at_ns, value_ns) = (index * SECOND_NS / 1_000, random.random_range(1..20 * SECOND_NS));
            one.record(at_ns, value_ns);
            shards[random.random_range(0..SHARDS)].record(at_ns, value_ns);
        }
        shards.shuffle(&mut random);
        let mut merged = recorder();
        shards.iter_mut().for_each(|shard| merged.merge(shard));
        assert_eq!(merged.total(), one.total());
        assert_eq!(merged.intervals().collect::<Vec<_>>(), one.intervals().collect::<Vec<_>>());
    }
    row("T18", "20 shuffled merges of 8 shards", "one recorder, bucket by bucket the same");
}

#[test]
fn t19_a_hundred_seeds_keep_law_rate_and_bytes() {
    const RATE_PER_S: f64 = 20.0;
    const SPAN_NS: u64 = 10_000 * SECOND_NS;
    let schedule = |seed, arrivals| -> Vec<u64> {
        Schedule::new(seed, arrivals, vec![Stage::steady(RATE_PER_S, SPAN_NS)]).collect()
    };
    let (mut passed, mut worst_rate) = (0, 0.0_f64);
    for seed in 0..100 {
        let times_ns = schedule(seed, Arrivals::Poisson);
        assert_eq!(times_ns, schedule(seed, Arrivals::Poisson), "same seed, same bytes");
        // The law is looked at in the length of a run.
        let gaps_ns = times_ns[..1_000].windows(2).map(|pair| pair[1] - pair[0]);
        let mut uniforms = exponential_uniforms(gaps_ns, 1e9 / RATE_PER_S, 1).unwrap();
        passed += u32::from(a_squared(&mut uniforms).unwrap() <= CRITICAL_1_PERCENT);
        let rate_error = times_ns.len() as f64 / (RATE_PER_S * 10_000.0) - 1.0;
        worst_rate = worst_rate.max(rate_error.abs());
    }
    assert!(passed >= 97, "{passed}");
    assert!(worst_rate <= 0.01, "{worst_rate}");
    row(
        "T19",
        format!(
            "{passed} of 100 seeds pass Anderson-Darling, rate off by {:.2} % at most",
            worst_rate * 100.0
        ),
        "exponential gaps at 20/s",
    );
}
