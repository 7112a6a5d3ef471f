//! A straight line through points by ordinary least squares.

/// Least points that a line's error can be told from: two always lie on a line.
pub const POINTS_MIN: usize = 3;

/// The fitted line `y = intercept + slope x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// In units of y per unit of x.
    pub slope: f64,
    /// In units of y.
    pub intercept: f64,
    /// Standard error of the slope if the residuals are independent and of one size, in its unit.
    pub slope_standard_error: f64,
}

/// Fits a line through (x, y) `points`; walks them three times and stores none.
///
/// `slope = Sxy / Sxx`, `standard error = sqrt(SSE / (n - 2) / Sxx)`, with `Sxy = sum (x - mean x)(y -
/// mean y)`, `Sxx = sum (x - mean x)^2` and `SSE` the sum of the squared residuals. Sums are taken about
/// the means, so that an offset (ns since the start of the run) costs no digits.
///
/// Deliveries of one post share its fate: over points pooled from many posts the standard error is
/// too small. Fit one line per post, and take its slope as one sample.
///
/// `None` when there are fewer than [`POINTS_MIN`] points, when all x are equal, or when a value is not
/// finite or too large to square.
///
/// Source: Draper and Smith, Applied Regression Analysis, 3rd edition (1998), chapter 1.
pub fn line(points: impl IntoIterator<Item = (f64, f64), IntoIter: Clone>) -> Option<Line> {
    let points = points.into_iter();
    let (mut count, mut x_mean, mut y_mean) = (0usize, 0.0, 0.0);
    for (x, y) in points.clone() {
        count += 1;
        x_mean += (x - x_mean) / count as f64;
        y_mean += (y - y_mean) / count as f64;
    }
    if count < POINTS_MIN {
        return None;
    }
    let (mut sxx, mut sxy) = (0.0, 0.0);
    for (x, y) in points.clone() {
        sxx += (x - x_mean) * (x - x_mean);
        sxy += (x - x_mean) * (y - y_mean);
    }
    let slope = sxy / sxx;
    let residual_squares: f64 = points.map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2)).sum();
    let slope_standard_error = (residual_squares / (count - 2) as f64 / sxx).sqrt();
    let intercept = y_mean - slope * x_mean;
    // An overflow anywhere, a NaN in a point, and a division by `sxx = 0` all end up here.
    let is_sound = sxx.is_finite() && [slope, intercept, slope_standard_error].iter().all(|v| v.is_finite());
    is_sound.then_some(Line { slope, intercept, slope_standard_error })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POINTS: [(f64, f64); 6] =
        [(1.0, 20.5), (2.0, 41.2), (3.0, 58.9), (4.0, 81.0), (5.0, 99.1), (6.0, 121.7)];

    /// Reference: scipy.stats.linregress.
    #[test]
    fn agrees_with_scipy() {
        let found = line(POINTS).unwrap();
        assert!((found.slope - 20.051_428_571_428_57).abs() < 1e-12, "{found:?}");
        assert!((found.intercept - 0.22).abs() < 1e-12, "{found:?}");
        assert!((found.slope_standard_error - 0.306_913_535_653_575).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn an_offset_costs_no_digits() {
        let found = line(POINTS.map(|(x, y)| (x + 1e9, y - 1e6))).unwrap();
        assert!((found.slope - 20.051_428_571_428_57).abs() < 1e-9, "{found:?}");
        assert!((found.slope_standard_error - 0.306_913_535_653_575).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn too_little_says_nothing() {
        for points in [
            vec![],
            vec![(1.0, 1.0)],
            vec![(1.0, 1.0), (2.0, 2.0)],
            vec![(1.0, 1.0); 9],
            vec![(1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0)],
            vec![(1.0, 1.0), (2.0, f64::INFINITY), (3.0, 3.0)],
            vec![(f64::MIN, 1.0), (0.0, 2.0), (f64::MAX, 3.0)],
        ] {
            assert_eq!(line(points.clone()), None, "{points:?}");
        }
        assert_eq!(line([(1.0, 5.0), (2.0, 5.0), (3.0, 5.0)]).unwrap().slope, 0.0);
    }

    proptest! {
        /// The line through an exact line is that line, without error.
        #[test]
        fn a_line_is_itself(slope in -100.0..100.0f64, level in -1e6..1e6f64, n in 3..200u32) {
            let found = line((0..n).map(f64::from).map(|x| (x, level + slope * x))).unwrap();
            prop_assert!((found.slope - slope).abs() < 1e-7, "{found:?}");
            prop_assert!((found.intercept - level).abs() < 1e-5, "{found:?}");
            prop_assert!(found.slope_standard_error < 1e-7, "{found:?}");
        }

        /// Whatever the points, no figure is NaN or infinite.
        #[test]
        fn never_nan(points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..9)) {
            if let Some(found) = line(points) {
                prop_assert!(found.slope.is_finite() && found.intercept.is_finite());
                prop_assert!(found.slope_standard_error.is_finite() && found.slope_standard_error >= 0.0);
            }
        }
    }
}
