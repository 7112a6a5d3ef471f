//! A slope that a minority of wild blocks cannot move.

use super::{VALUES_MAX, VALUES_MIN};
use crate::stats::median::median;

/// The Theil-Sen slope, in the unit of the values per block.
///
/// `slope = median over i < j of (y_j - y_i) / (j - i)`, with `y_i` the value of block `i`; blocks
/// without a value take no part, but keep their place. Up to 29 % of the blocks may be arbitrarily wrong.
///
/// `None` when fewer than [`VALUES_MIN`] blocks have a value, when one is not finite, or when the slope
/// overflows.
///
/// Source: Sen, Estimates of the Regression Coefficient Based on Kendall's Tau, JASA 63 (1968).
///
/// # Panics
/// When there are more than [`VALUES_MAX`] blocks.
pub fn theil_sen(blocks: &[Option<f64>]) -> Option<f64> {
    assert!(blocks.len() <= VALUES_MAX, "{} blocks are more than {VALUES_MAX}", blocks.len());
    let points: Vec<(usize, f64)> =
        blocks.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).collect();
    if points.len() < VALUES_MIN || points.iter().any(|(_, value)| !value.is_finite()) {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (later, &(x_later, y_later)) in points.iter().enumerate() {
        for &(x, y) in &points[..later] {
            slopes.push((y_later - y) / (x_later - x) as f64);
        }
    }
    median(&mut slopes).filter(|slope| slope.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reference: scipy.stats.theilslopes.
    #[test]
    fn agrees_with_scipy() {
        for (values, expected) in [
            (vec![1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 4.0, 5.0, 5.0], 0.428_571_428_571_428_55),
            (vec![9.0, 7.0, 8.0, 3.0, 1.0], -2.0),
            (vec![3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0, 6.0, 5.5, 3.5, 8.0], 0.428_571_428_571_428_55),
        ] {
            let blocks: Vec<Option<f64>> = values.into_iter().map(Some).collect();
            assert_eq!(theil_sen(&blocks), Some(expected), "{blocks:?}");
        }
    }

    #[test]
    fn edges() {
        for (blocks, expected) in [
            (vec![], None),
            (vec![Some(1.0); 4], None),
            (vec![Some(1.0); 5], Some(0.0)),
            (vec![Some(0.0), Some(1.0), Some(900.0), Some(3.0), Some(4.0)], Some(1.0)),
            (vec![Some(f64::NAN); 5], None),
            (vec![Some(f64::MIN), Some(f64::MIN), Some(f64::MAX), Some(f64::MAX), Some(f64::MAX)], None),
        ] {
            assert_eq!(theil_sen(&blocks), expected, "{blocks:?}");
        }
    }

    proptest! {
        /// The slope of an exact line is the line's, whichever blocks are empty.
        #[test]
        fn a_line_is_itself(slope in -1_000..1_000i32, level in -1_000..1_000i32, hole in 0..10usize) {
            let mut blocks: Vec<Option<f64>> =
                (0..10).map(|index| Some(f64::from(level + slope * index))).collect();
            blocks[hole] = None;
            prop_assert_eq!(theil_sen(&blocks), Some(f64::from(slope)));
        }
    }
}
