//! Whether a series drifts over the run, and by how much (METHOD V8).
//!
//! Two answers that belong together: [`MannKendall`] says how surprising the order of the block medians
//! is if nothing drifts, [`theil_sen()`] how large the drift is. The first alone grows "significant"
//! with the length of any run, the second alone takes noise for drift.

mod blocks;
mod mann_kendall;
mod theil_sen;

pub use blocks::blocks;
pub use mann_kendall::{MannKendall, mann_kendall};
pub use theil_sen::theil_sen;

use super::median::median;

/// Least values that a trend is read from: four in perfect order still have p = 1/12.
pub const VALUES_MIN: usize = 5;
/// Most values that a trend is read from: every pair of them is looked at.
pub const VALUES_MAX: usize = 1_000;

/// How far a series drifts over the run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// `slope * (n - 1) / |median|`: Theil-Sen slope per block, `n` blocks, median of the block medians.
    /// 0.1 is a rise by a tenth of the median from the first block to the last.
    pub relative: f64,
    /// Two-sided probability of an order as one-sided as this one if nothing drifts (Mann-Kendall).
    pub p: f64,
}

/// The drift of block medians, as [`blocks`] gives them; empty blocks keep their place in time.
///
/// `None` when fewer than [`VALUES_MIN`] blocks have a median, when one of the medians is infinite, or
/// when the blocks move about a median of 0: then there is no relative drift.
///
/// # Panics
/// When there are more than [`VALUES_MAX`] blocks.
pub fn drift(blocks: &[Option<f64>]) -> Option<Drift> {
    let mut medians: Vec<f64> = blocks.iter().flatten().copied().collect();
    let p = mann_kendall(&medians)?.p;
    let change = theil_sen(blocks)? * (blocks.len() - 1) as f64;
    let level = median(&mut medians)?.abs();
    let relative = if change == 0.0 { 0.0 } else { change / level };
    relative.is_finite().then_some(Drift { relative, p })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    /// Reference: scipy.stats.theilslopes, times 9, over numpy.median; scipy.stats.kendalltau (exact).
    #[test]
    fn agrees_with_scipy() {
        for (values, relative, p) in [
            ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 1.636_363_636_363, 5.511_463_844_8e-7),
            (
                [20.1, 19.8, 20.4, 20.0, 20.6, 20.3, 20.9, 20.5, 21.2, 20.8],
                0.055_012_224_938_875,
                0.016_666_115_520_282,
            ),
            ([5.1, 4.9, 5.3, 4.8, 5.2, 5.0, 4.7, 5.4, 4.95, 5.05], -0.009_950_248_756_218_9, 1.0),
        ] {
            let found = drift(&full(&values)).unwrap();
            assert!((found.relative - relative).abs() < 1e-11, "{found:?}, expected {relative}");
            assert!((found.p - p).abs() < 1e-12, "{found:?}, expected {p}");
        }
    }

    #[test]
    fn edges() {
        let infinite = f64::INFINITY;
        for (blocks, expected) in [
            (vec![], None),
            (full(&[1.0]), None),
            (full(&[1.0, 2.0, 3.0, 4.0]), None),
            (vec![None; 10], None),
            (full(&[7.0; 5]), Some(0.0)),
            (full(&[0.0; 5]), Some(0.0)),
            (full(&[-2.0, -1.0, 0.0, 1.0, 2.0]), None),
            (full(&[1.0, 2.0, infinite, infinite, infinite]), None),
            // A hole stays where it is: the line goes on behind it.
            (vec![Some(2.0), Some(3.0), None, Some(5.0), Some(6.0), Some(7.0)], Some(1.0)),
        ] {
            assert_eq!(drift(&blocks).map(|drift| drift.relative), expected, "{blocks:?}");
        }
    }

    proptest! {
        /// The unit that the medians are in changes nothing.
        #[test]
        fn the_unit_does_not_matter(
            values in prop::collection::vec(1..1_000_000i64, 5..20),
            scale in 1..1_000i64,
        ) {
            let scaled_by = |scale: i64| -> Vec<Option<f64>> {
                values.iter().map(|&value| Some((value * scale) as f64)).collect()
            };
            let (base, scaled) = (drift(&scaled_by(1)).unwrap(), drift(&scaled_by(scale)).unwrap());
            prop_assert_eq!(base.p, scaled.p);
            prop_assert!((base.relative - scaled.relative).abs() <= 1e-12 * base.relative.abs());
        }

        /// Whatever the medians, neither figure is NaN or infinite.
        #[test]
        fn never_nan(blocks in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..12)) {
            if let Some(found) = drift(&blocks) {
                prop_assert!(found.relative.is_finite());
                prop_assert!((0.0..=1.0).contains(&found.p));
            }
        }
    }
}
