//! Exact bounds on a share: the binomial distribution, and the bounds of Clopper and Pearson.
//!
//! `k` of `n` independent samples are misses. `p` is the share of misses in what they were drawn from.
//!
//! Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
//! Biometrika 26 (1934). The sums are taken term by term from their greatest: unlike a continued fraction of the
//! incomplete beta function that is cut off somewhere, they are exact for any `n`.

/// More samples than this are no advice.
pub const SAMPLES_MAX: u64 = 100_000_000;
/// Halvings of [0, 1] that leave less than a float can tell apart near 0.001.
const HALVINGS: u32 = 60;

/// `P(X <= k)`, for `X` misses among `n` samples of which each is one with probability `p`.
pub fn at_most(k: u64, n: u64, p: f64) -> f64 {
    match () {
        () if k >= n || p <= 0.0 => 1.0,
        () if p >= 1.0 => 0.0,
        () if (k as f64) < n as f64 * p => lower_tail(k, n, p),
        () => 1.0 - upper_tail(k + 1, n, p),
    }
}

/// `P(X >= k)`, likewise.
pub fn at_least(k: u64, n: u64, p: f64) -> f64 {
    match () {
        () if k == 0 => 1.0,
        () if k > n || p <= 0.0 => 0.0,
        () if p >= 1.0 => 1.0,
        () if (k as f64) > n as f64 * p => upper_tail(k, n, p),
        () => 1.0 - lower_tail(k - 1, n, p),
    }
}

/// The greatest share that `k` misses among `n` samples leave possible: the `p` at which `P(X <= k) = alpha`. `None` of
/// no samples.
pub fn upper_bound(k: u64, n: u64, alpha: f64) -> Option<f64> {
    (n > 0).then(|| if k >= n { 1.0 } else { crossing(|p| at_most(k, n, p) > alpha) })
}

/// The least share that they leave possible: the `p` at which `P(X >= k) = alpha`. `None` of no samples.
pub fn lower_bound(k: u64, n: u64, alpha: f64) -> Option<f64> {
    (n > 0).then(|| if k == 0 { 0.0 } else { crossing(|p| at_least(k, n, p) <= alpha) })
}

/// The fewest samples, found by doubling and halving, that are `enough`; `None` if [`SAMPLES_MAX`] are not.
pub fn fewest(enough: impl Fn(u64) -> bool) -> Option<u64> {
    let mut high = 1;
    while !enough(high) {
        if high >= SAMPLES_MAX {
            return None;
        }
        high = (2 * high).min(SAMPLES_MAX);
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = low.midpoint(high);
        *(if enough(middle) { &mut high } else { &mut low }) = middle;
    }
    Some(high)
}

/// Where `holds` turns from true to false on [0, 1].
fn crossing(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        *(if holds(middle) { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

/// `P(X <= k)` for `k` below the mean: each term is less than the one before.
fn lower_tail(k: u64, n: u64, p: f64) -> f64 {
    let odds = (1.0 - p) / p;
    sum(probability(k, n, p), (1..=k).rev().map(|k| k as f64 / (n - k + 1) as f64 * odds))
}

/// `P(X >= k)` for `k` above the mean, likewise.
fn upper_tail(k: u64, n: u64, p: f64) -> f64 {
    let odds = p / (1.0 - p);
    sum(probability(k, n, p), (k..n).map(|k| (n - k) as f64 / (k + 1) as f64 * odds))
}

/// `first`, and the terms after it, each given as a ratio to the one before, until they add nothing.
fn sum(first: f64, ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut term, mut sum) = (first, first);
    for ratio in ratios {
        term *= ratio;
        if term <= sum * f64::EPSILON {
            break;
        }
        sum += term;
    }
    sum.min(1.0)
}

/// `P(X = k)`, for `p` in (0, 1).
fn probability(k: u64, n: u64, p: f64) -> f64 {
    let ln_factorial = |n: u64| libm::lgamma(n as f64 + 1.0);
    let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    (ways + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p()).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALPHA: f64 = 0.05;

    /// METHOD section 5: the effective posts that a 99th percentile needs with so many misses.
    #[test]
    fn the_samples_that_a_gate_needs() {
        for (misses, needed) in [(0, 299), (1, 473), (5, 1049)] {
            assert_eq!(fewest(|n| at_most(misses, n, 0.01) <= ALPHA), Some(needed));
            assert!(upper_bound(misses, needed, ALPHA).unwrap() <= 0.01);
            assert!(upper_bound(misses, needed - 1, ALPHA).unwrap() > 0.01);
        }
    }

    /// Two-sided 95 % intervals as published: 10 of 100 is (4.90 %, 17.62 %), 0 of 20 is (0, 16.84 %), 4 of 20 is
    /// (5.73 %, 43.66 %).
    #[test]
    fn bounds_are_the_published_ones() {
        for (k, n, lower, upper) in
            [(10, 100, 0.0490, 0.1762), (0, 20, 0.0, 0.1684), (4, 20, 0.0573, 0.4366), (20, 20, 0.8316, 1.0)]
        {
            assert!((lower_bound(k, n, 0.025).unwrap() - lower).abs() < 5e-5, "{k} of {n}");
            assert!((upper_bound(k, n, 0.025).unwrap() - upper).abs() < 5e-5, "{k} of {n}");
        }
        assert_eq!((lower_bound(0, 0, ALPHA), upper_bound(0, 0, ALPHA)), (None, None));
    }

    #[test]
    fn what_no_number_of_samples_can_do_ends() {
        assert_eq!(fewest(|_| false), None);
        assert_eq!(fewest(|_| true), Some(1));
        assert_eq!(fewest(|n| n >= SAMPLES_MAX), Some(SAMPLES_MAX));
    }

    /// Many samples cost no digits: half of a million is where it should be (the median of a symmetric distribution).
    #[test]
    fn the_middle_of_many_samples_is_exact() {
        let n = 1_000_001;
        assert!((at_most(n / 2, n, 0.5) - 0.5).abs() < 1e-6);
        assert!((at_least(n / 2 + 1, n, 0.5) - 0.5).abs() < 1e-6);
    }

    proptest! {
        /// The tails are complementary, whichever side they are summed from, and agree with plain sums.
        #[test]
        fn tails_are_complementary(n in 1..200_u64, k in 0..200_u64, p in 0.001..0.999_f64) {
            let k = k.min(n);
            prop_assert!((at_most(k, n, p) + at_least(k + 1, n, p) - 1.0).abs() < 1e-9);
            let plain: f64 = (0..=k).map(|k| probability(k, n, p)).sum();
            prop_assert!((at_most(k, n, p) - plain).abs() < 1e-9);
        }

        /// The observed share lies between its bounds, and the tails at the bounds are alpha.
        #[test]
        fn bounds_enclose_what_was_observed(n in 1..5_000_u64, share in 0.0..=1.0_f64, alpha in 0.0001..0.2_f64) {
            let k = (share * n as f64) as u64;
            let (lower, upper) = (lower_bound(k, n, alpha).unwrap(), upper_bound(k, n, alpha).unwrap());
            let observed = k as f64 / n as f64;
            prop_assert!(lower <= observed && observed <= upper, "{lower} {observed} {upper}");
            prop_assert!(k == n || (at_most(k, n, upper) - alpha).abs() < 1e-6);
            prop_assert!(k == 0 || (at_least(k, n, lower) - alpha).abs() < 1e-6);
        }
    }
}
