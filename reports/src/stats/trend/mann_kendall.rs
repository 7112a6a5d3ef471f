//! Whether values in time order rise or fall more steadily than chance.

use super::{VALUES_MAX, VALUES_MIN};

/// Most values for which p is counted out exactly, which ties forbid; beyond, the normal approximation.
const EXACT_MAX: usize = 10;

/// The Mann-Kendall test for a monotonic trend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannKendall {
    /// `S`: pairs that rise minus pairs that fall.
    pub s: i64,
    /// Variance of `S` if nothing drifts: `(n (n-1) (2n+5) - sum over ties of t (t-1) (2t+5)) / 18`,
    /// `n` values, `t` of them equal in each tie.
    pub variance: f64,
    /// Two-sided probability of an `|S|` at least as great if nothing drifts.
    pub p: f64,
}

/// Tests `values`, which are in time order and independent of each other.
///
/// `p` is exact up to `n = 10` without ties: of the `n!` orders, `c(n, k) = c(n-1, k) + ... +
/// c(n-1, k-n+1)` have `k` falling pairs. Else `p = erfc(|z| / sqrt 2)` with the continuity correction
/// `z = (|S| - 1) / sqrt(variance)`.
///
/// `None` when there are fewer than [`VALUES_MIN`] values or one is NaN. Infinities rank.
///
/// Source: Mann, Nonparametric Tests Against Trend, Econometrica 13 (1945); Kendall, Rank Correlation
/// Methods (1948), chapters 4 and 5.
///
/// # Panics
/// When there are more than [`VALUES_MAX`] values.
pub fn mann_kendall(values: &[f64]) -> Option<MannKendall> {
    assert!(values.len() <= VALUES_MAX, "{} values are more than {VALUES_MAX}", values.len());
    if values.len() < VALUES_MIN || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let s = rising_minus_falling(values);
    let ties = ties(values);
    let term = |n: usize| (n * (n - 1) * (2 * n + 5)) as f64;
    let variance = (term(values.len()) - ties.iter().copied().map(term).sum::<f64>()) / 18.0;
    let is_exact = values.len() <= EXACT_MAX && ties.is_empty();
    let p = if is_exact { p_exact(values.len(), s) } else { p_normal(s, variance) };
    Some(MannKendall { s, variance, p })
}

fn rising_minus_falling(values: &[f64]) -> i64 {
    let mut s = 0;
    for (index, later) in values.iter().enumerate() {
        for earlier in &values[..index] {
            s += i64::from(later > earlier) - i64::from(later < earlier);
        }
    }
    s
}

/// The sizes of the groups of equal values.
fn ties(values: &[f64]) -> Vec<usize> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).filter(|&size| size > 1).collect()
}

fn p_exact(n: usize, s: i64) -> f64 {
    // orders[k]: how many orders of the values so far have k falling pairs.
    let mut orders = vec![1u64];
    for size in 2..=n {
        let previous = orders;
        orders = (0..previous.len() + size - 1)
            .map(|k| previous[(k + 1).saturating_sub(size)..previous.len().min(k + 1)].iter().sum())
            .collect();
    }
    let pairs = orders.len() - 1;
    let tail = (pairs - s.unsigned_abs() as usize) / 2;
    let (at_tail, all) = (orders[..=tail].iter().sum::<u64>(), orders.iter().sum::<u64>());
    (2.0 * at_tail as f64 / all as f64).min(1.0)
}

fn p_normal(s: i64, variance: f64) -> f64 {
    if s == 0 {
        return 1.0;
    }
    let z = (s.unsigned_abs() - 1) as f64 / variance.sqrt();
    libm::erfc(z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reference: p of scipy.stats.kendalltau (exact) against the index up to 10 values without ties, else
    /// of pymannkendall.original_test; S and variance of the latter.
    #[test]
    fn agrees_with_scipy_and_pymannkendall() {
        for (values, s, variance, p) in [
            (vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 45, 125.0, 5.511_463_844_797e-7),
            (
                vec![20.1, 19.8, 20.4, 20.0, 20.6, 20.3, 20.9, 20.5, 21.2, 20.8],
                27,
                125.0,
                0.016_666_115_520_28,
            ),
            (vec![5.1, 4.9, 5.3, 4.8, 5.2, 5.0, 4.7, 5.4, 4.95, 5.05], -1, 125.0, 1.0),
            (vec![9.0, 7.0, 8.0, 3.0, 1.0], -8, 50.0 / 3.0, 0.083_333_333_333_33),
            (
                vec![1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0],
                39,
                118.333_333_333_33,
                0.000_477_174_093_276_7,
            ),
            (vec![3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0, 5.5, 3.5, 8.0], 23, 165.0, 0.086_768_172_703_876),
            (vec![4.0; 10], 0, 0.0, 1.0),
        ] {
            let found = mann_kendall(&values).unwrap();
            assert_eq!(found.s, s, "{values:?}");
            assert!((found.variance - variance).abs() < 1e-9, "{values:?}: {found:?}");
            assert!((found.p - p).abs() < 1e-12, "{values:?}: {found:?}");
        }
    }

    #[test]
    fn too_little_says_nothing() {
        for values in [&[][..], &[1.0], &[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, f64::NAN, 4.0, 5.0]] {
            assert_eq!(mann_kendall(values), None, "{values:?}");
        }
    }

    proptest! {
        /// Only the order counts: shift and scale change nothing, time backwards turns S around.
        #[test]
        fn only_the_order_counts(
            values in prop::collection::vec(-50..50i32, 5..25),
            shift in -1_000..1_000i32,
            scale in 1..1_000i32,
        ) {
            let base = mann_kendall(&values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>()).unwrap();
            let moved: Vec<f64> = values.iter().map(|&v| f64::from(v * scale + shift)).collect();
            let backwards: Vec<f64> = values.iter().rev().map(|&v| f64::from(v)).collect();
            prop_assert_eq!(mann_kendall(&moved).unwrap(), base);
            prop_assert_eq!(mann_kendall(&backwards).unwrap(), MannKendall { s: -base.s, ..base });
        }

        /// Whatever the values, p is a probability.
        #[test]
        fn p_is_a_probability(values in prop::collection::vec(prop::num::f64::ANY, 0..30)) {
            if let Some(found) = mann_kendall(&values) {
                prop_assert!((0.0..=1.0).contains(&found.p) && found.variance >= 0.0);
            }
        }
    }
}
