//! Whether paired differences lie above zero, and by how much (METHOD section 5).
//!
//! Both need no more of the differences than that they are independent and, if nothing changed, as likely above zero as
//! below by any amount: pairs in random order are, whatever the shape of the noise.
//!
//! Source: Wilcoxon, Individual Comparisons by Ranking Methods, Biometrics Bulletin 1 (1945); Hodges and Lehmann,
//! Estimates of Location Based on Rank Tests, Annals of Mathematical Statistics 34 (1963); Hollander, Wolfe and Chicken,
//! Nonparametric Statistical Methods, 3rd edition (2014), sections 3.1 to 3.3.

use super::median::median;

/// Most differences; the distribution is counted out for all of them, which costs `n^3`.
pub const DIFFERENCES_MAX: usize = 200;

/// Where the differences lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Location {
    /// The median of the Walsh averages `(d_i + d_j) / 2`, `i <= j` (Hodges and Lehmann).
    pub estimate: f64,
    /// The interval that belongs to the signed-rank test (Tukey); `None` where there are too few differences for it.
    pub interval: Option<(f64, f64)>,
}

/// One-sided exact p of the signed-rank test: how likely the ranks of the positive differences sum up to as much as they do,
/// or more, if every difference is as likely positive as negative.
///
/// `W+ = sum over d_i > 0 of rank |d_i|`. Zeros are left out, as in Wilcoxon's paper: they speak for no side. Equal
/// `|d_i|` share the mean of their ranks, and the distribution is that of the shared ranks, so p is exact with ties,
/// too. 1 when nothing but zeros is left.
///
/// `None` when there are no differences, more than [`DIFFERENCES_MAX`], or one is not finite.
pub fn p_greater(differences: &[f64]) -> Option<f64> {
    if !are_sound(differences) {
        return None;
    }
    let mut ordered: Vec<f64> = differences.iter().copied().filter(|difference| *difference != 0.0).collect();
    ordered.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the ranks are whole numbers: equal values from the i-th to the j-th share (i + j) / 2.
    let (mut ranks, mut positive) = (Vec::with_capacity(ordered.len()), 0);
    for tie in ordered.chunk_by(|a, b| a.abs() == b.abs()) {
        let rank = 2 * ranks.len() + tie.len() + 1;
        positive += rank * tie.iter().filter(|difference| **difference > 0.0).count();
        ranks.resize(ranks.len() + tie.len(), rank);
    }
    Some(distribution(&ranks).iter().skip(positive).sum::<f64>().min(1.0))
}

/// The Hodges-Lehmann estimate with its interval at `confidence`, such as 0.95; the interval is at least that sure.
///
/// With the Walsh averages in order, `A_1 <= ... <= A_M`, `M = n (n + 1) / 2`, it is `[A_k, A_(M + 1 - k)]`, `k` the
/// greatest with `P(W+ < k) <= (1 - confidence) / 2`.
///
/// `None` as for [`p_greater`].
pub fn location(differences: &[f64], confidence: f64) -> Option<Location> {
    if !are_sound(differences) {
        return None;
    }
    let mut averages: Vec<f64> = differences
        .iter()
        .enumerate()
        .flat_map(|(i, a)| differences[i..].iter().map(move |b| a.midpoint(*b)))
        .collect();
    let estimate = median(&mut averages)?;
    averages.sort_unstable_by(f64::total_cmp);
    let ranks: Vec<usize> = (1..=differences.len()).collect();
    let each_side = (1.0 - confidence) / 2.0;
    let mut below = 0.0;
    let cut = distribution(&ranks)
        .iter()
        .take_while(|probability| {
            below += **probability;
            below <= each_side
        })
        .count();
    // Of an overly modest confidence the two ends would pass each other.
    let cut = cut.min(averages.len().div_ceil(2));
    let interval = cut.checked_sub(1).map(|low| (averages[low], averages[averages.len() - cut]));
    Some(Location { estimate, interval })
}

fn are_sound(differences: &[f64]) -> bool {
    (1..=DIFFERENCES_MAX).contains(&differences.len())
        && differences.iter().all(|difference| difference.is_finite())
}

/// The probability of every sum, from 0 on, if each rank counts or not with probability 1/2.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    // Ways to make each sum, at most 2^DIFFERENCES_MAX of them.
    let mut ways = vec![1.0];
    for &rank in ranks {
        let without = ways.clone();
        ways.resize(ways.len() + rank, 0.0);
        ways[rank..].iter_mut().zip(&without).for_each(|(way, with)| *way += with);
    }
    let all = 2f64.powi(ranks.len() as i32);
    ways.iter_mut().for_each(|way| *way /= all);
    ways
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hamilton depression scale before - after a tranquilizer: table 3.1 of Hollander, Wolfe and Chicken.
    const DEPRESSION: [f64; 9] = [0.952, -0.147, 1.022, 0.43, 0.62, 0.59, 0.49, -0.08, 0.01];
    const TEN: [f64; 10] = [0.12, 0.05, -0.03, 0.2, 0.11, 0.07, -0.01, 0.16, 0.09, 0.14];
    #[rustfmt::skip]
    const THIRTY: [f64; 30] = [
        0.0401, 0.0699, 0.0126, -0.0491, -0.0055, -0.0592, 0.046, 0.174, -0.0092, -0.022, 0.089, 0.0757, 0.0505, -0.053,
        0.0371, 0.1095, -0.0944, -0.0058, -0.1501, -0.0891, 0.1442, 0.0165, 0.0867, 0.0671, 0.0557, 0.0213, -0.0117, 0.0139,
        0.0351, 0.0514,
    ];
    const TIED: [f64; 12] = [1.0, 1.0, 1.0, -1.0, 2.0, 2.0, -2.0, 3.0, 0.0, 0.0, 4.0, 4.0];

    /// Reference: scipy 1.17.1, `wilcoxon(d, alternative="greater", method="exact", zero_method="wilcox")`, with ties
    /// `method=PermutationMethod(n_resamples=inf)`.
    #[test]
    fn p_is_scipys() {
        for (differences, expected) in [
            (&DEPRESSION[..], 0.01953125),
            (&TEN, 0.0048828125),
            (&THIRTY, 0.04396928381174803),
            (&TIED, 0.0302734375),
            (&[1.0; 10], 1.0 / 1024.0),
            (&[-1.0; 10], 1.0),
            (&[0.0; 5], 1.0),
        ] {
            let p = p_greater(differences).unwrap();
            assert!((p - expected).abs() < 1e-12, "{differences:?}: {p}, expected {expected}");
        }
    }

    /// Reference: the estimate and the interval of 96 % that Hollander, Wolfe and Chicken give (examples 3.3 and 3.4); the
    /// others from numpy's median and the order statistics of all Walsh averages.
    #[test]
    fn estimates_are_the_text_books() {
        for (differences, estimate, interval) in [
            (&DEPRESSION[..], 0.46, Some((0.01, 0.786))),
            (&TEN, 0.095, Some((0.04, 0.14))),
            (&THIRTY, 0.02395, Some((-0.00385, 0.0485))),
            (&[0.1, 0.2, 0.3, 0.4, 0.5], 0.3, None),
        ] {
            let location = location(differences, 0.95).unwrap();
            assert!((location.estimate - estimate).abs() < 1e-12, "{location:?}");
            match (location.interval, interval) {
                (Some((low, high)), Some((expected_low, expected_high))) => {
                    assert!((low - expected_low).abs() < 1e-12 && (high - expected_high).abs() < 1e-12);
                }
                (found, expected) => assert_eq!(found, expected, "{differences:?}"),
            }
        }
    }

    #[test]
    fn what_says_nothing_is_none() {
        for differences in [&[][..], &[f64::NAN], &[1.0, f64::INFINITY], &[1.0; DIFFERENCES_MAX + 1]] {
            assert_eq!(p_greater(differences), None);
            assert_eq!(location(differences, 0.95), None);
        }
    }

    proptest! {
        /// p is the share of all ways to give signs to the same sizes that have as great a rank sum.
        #[test]
        fn p_is_a_count_of_signs(differences in prop::collection::vec(-4..=4i32, 1..10)) {
            let differences: Vec<f64> = differences.into_iter().map(f64::from).collect();
            let sizes: Vec<f64> = differences.iter().filter(|d| **d != 0.0).map(|d| d.abs()).collect();
            let rank = |size: f64| {
                let below = sizes.iter().filter(|other| **other < size).count() as f64;
                let equal = sizes.iter().filter(|other| **other == size).count() as f64;
                below + (equal + 1.0) / 2.0
            };
            let observed: f64 = differences.iter().filter(|d| **d > 0.0).map(|d| rank(*d)).sum();
            let all = 1u32 << sizes.len();
            let sum = |signs: u32| -> f64 {
                sizes.iter().enumerate().filter(|(i, _)| signs >> i & 1 == 1).map(|(_, size)| rank(*size)).sum()
            };
            let as_great = (0..all).filter(|signs| sum(*signs) >= observed).count();
            let expected = as_great as f64 / f64::from(all);
            let p = p_greater(&differences).unwrap();
            prop_assert!((p - expected).abs() < 1e-12);
        }

        /// A shift of all differences shifts estimate and interval by as much; the estimate lies in the interval.
        #[test]
        fn location_moves_along(differences in prop::collection::vec(-1e3..1e3, 6..40), by in -1e3..1e3_f64) {
            let here = location(&differences, 0.95).unwrap();
            let moved: Vec<f64> = differences.iter().map(|difference| difference + by).collect();
            let there = location(&moved, 0.95).unwrap();
            prop_assert!((there.estimate - here.estimate - by).abs() < 1e-9);
            let ((low, high), (moved_low, moved_high)) = (here.interval.unwrap(), there.interval.unwrap());
            prop_assert!((moved_low - low - by).abs() < 1e-9 && (moved_high - high - by).abs() < 1e-9);
            prop_assert!(low <= here.estimate && here.estimate <= high);
        }
    }
}
