//! Against scipy, against counting everything out, and against simulated samples with a known shift.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;

const CONFIDENCE: f64 = 0.95;

/// U of every order of `m` and `n` values: how often a value of the first stands behind one of the second.
fn orders_by_hand(m: usize, n: usize) -> Vec<u128> {
    let mut orders = vec![0; m * n + 1];
    for picked in 0_u32..1 << (m + n) {
        if picked.count_ones() as usize != m {
            continue;
        }
        let places = (0..m + n).filter(|place| picked >> place & 1 == 1);
        let u: usize = places.enumerate().map(|(index, place)| place - index).sum();
        orders[u] += 1;
    }
    orders
}

#[test]
fn orders_are_as_many_as_there_are() {
    for (m, n) in [(1, 1), (1, 7), (7, 1), (3, 4), (4, 4), (5, 3), (6, 6), (2, 9)] {
        assert_eq!(orders_by_u(m, n), orders_by_hand(m, n), "{m} and {n}");
    }
    // C(128, 64), from Python's math.comb: nothing overflows at the bound.
    let all = orders_by_u(VALUES_MAX, VALUES_MAX).iter().sum::<u128>();
    assert_eq!(all, 23_951_146_041_928_082_866_135_587_776_380_551_750);
}

/// Reference: the median of the differences by numpy; the shifts that scipy.stats.mannwhitneyu (two-sided, exact) does not
/// reject at 5 %, between the differences.
#[test]
fn agrees_with_scipy() {
    for (from, to, estimate, low, high) in [
        (
            &[1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3][..],
            &[0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.060_01, 3.15, 1.290_01][..],
            -0.56,
            -1.183,
            0.37,
        ),
        (&[8.0, 8.1, 7.9, 8.05], &[8.4, 8.55, 8.2, 8.35], 0.35, 0.1, 0.65),
        (
            &[0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
            &[1.15, 0.88, 0.9, 0.74, 1.21],
            -0.305,
            -0.76,
            0.15,
        ),
        (&[10.1, 12.3, 9.8], &[14.2, 9.9, 15.5, 13.1, 16.0, 12.9, 11.4], 3.0, -0.9, 5.9),
    ] {
        let found = shift(from, to, CONFIDENCE).unwrap();
        let interval = found.interval.unwrap();
        for (found, expected) in [(found.estimate, estimate), (interval.low, low), (interval.high, high)] {
            assert!((found - expected).abs() < 1e-9, "{from:?} {to:?}: {found} is not {expected}");
        }
    }
}

#[test]
fn a_few_values_have_no_interval() {
    // The least n with 2 / C(2 n, n) <= 1 - confidence; with 3 values a side, that is just 10 %.
    assert_eq!(values_needed(0.95), Some(4));
    assert_eq!(values_needed(0.9), Some(3));
    assert_eq!(values_needed(0.999_999), Some(12));
    for (m, n, exists) in
        [(1, 1, false), (3, 3, false), (1, 38, false), (1, 39, true), (3, 5, true), (4, 4, true)]
    {
        assert_eq!(has_interval(m, n, CONFIDENCE), exists, "{m} and {n}");
    }
}

#[test]
fn too_little_says_nothing() {
    for (from, to) in [
        (&[][..], &[1.0][..]),
        (&[1.0], &[]),
        (&[1.0], &[f64::NAN]),
        (&[f64::INFINITY], &[1.0]),
        (&[f64::MIN], &[f64::MAX]),
    ] {
        assert_eq!(shift(from, to, CONFIDENCE), None, "{from:?} {to:?}");
    }
    assert_eq!(shift(&[1.0], &[3.0], CONFIDENCE), Some(Shift { estimate: 2.0, interval: None }));
}

/// The interval of simulated samples holds the shift that they have as often as it says.
#[test]
fn the_interval_holds_the_true_shift_as_often_as_it_says() {
    const SESSIONS: usize = 4_000;
    const TRUE_SHIFT: f64 = 0.1;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for (m, n) in [(4, 4), (5, 5), (3, 8), (10, 10)] {
        // Skewed, as latencies are: the logarithm of the sum of two exponentials.
        let mut draw = |count: usize, shift: f64| -> Vec<f64> {
            let mut exponential = || -(1.0 - random.random::<f64>()).ln();
            (0..count).map(|_| (exponential() + exponential()).ln() + shift).collect()
        };
        let mut held = 0;
        let mut coverage = 0.0;
        for _ in 0..SESSIONS {
            let interval = shift(&draw(m, 0.0), &draw(n, TRUE_SHIFT), CONFIDENCE).unwrap().interval.unwrap();
            held += usize::from((interval.low..=interval.high).contains(&TRUE_SHIFT));
            coverage = interval.coverage;
        }
        let share = held as f64 / SESSIONS as f64;
        // Three standard deviations of a share of 4,000 at 95 %.
        assert!(
            coverage >= CONFIDENCE && (share - coverage).abs() < 0.0105,
            "{m} and {n}: {share}, {coverage}"
        );
    }
}

proptest! {
    /// What the one is to the other, the other is to the one, the other way round.
    #[test]
    fn mirrored(
        from in prop::collection::vec(-1e6..1e6, 1..12),
        to in prop::collection::vec(-1e6..1e6, 1..12),
    ) {
        let there = shift(&from, &to, CONFIDENCE).unwrap();
        let back = shift(&to, &from, CONFIDENCE).unwrap();
        prop_assert_eq!(there.estimate, -back.estimate);
        prop_assert_eq!(
            there.interval.map(|interval| (interval.low, interval.high)),
            back.interval.map(|interval| (-interval.high, -interval.low))
        );
    }

    /// The estimate lies inside, more confidence makes the interval no narrower, and a known shift moves all of it.
    #[test]
    fn ordered_and_moved_by_a_shift(
        from in prop::collection::vec(-1_000..1_000i32, 4..12),
        to in prop::collection::vec(-1_000..1_000i32, 4..12),
        moved in -1_000..1_000i32,
    ) {
        let floats = |values: &[i32], by: i32| values.iter().map(|&v| f64::from(v + by)).collect::<Vec<_>>();
        let (from, to, moved_to) = (floats(&from, 0), floats(&to, 0), floats(&to, moved));
        let found = shift(&from, &to, CONFIDENCE).unwrap();
        let interval = found.interval.unwrap();
        prop_assert!(interval.low <= found.estimate && found.estimate <= interval.high);
        if let Some(wider) = shift(&from, &to, 0.99).unwrap().interval {
            prop_assert!(wider.low <= interval.low && interval.high <= wider.high);
        }
        let after = shift(&from, &moved_to, CONFIDENCE).unwrap();
        let by = f64::from(moved);
        prop_assert_eq!(after.estimate, found.estimate + by);
        prop_assert_eq!(after.interval.unwrap().low, interval.low + by);
    }
}
