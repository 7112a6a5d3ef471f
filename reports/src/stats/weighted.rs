//! Weighted least squares with a few coefficients: what they are, and how far off they and the values between the points
//! can be.
//!
//! `y = b[0] x[0] + b[1] x[1] + ...`, each point with a weight that is inverse to the variance of its `y`. The size of the
//! errors is taken from the residuals, and intervals are Student's with as many degrees of freedom as there are points
//! beyond the coefficients.
//!
//! Source: Draper and Smith, Applied Regression Analysis, 3rd edition (1998), chapters 5 and 9.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// Confidence of every interval.
pub const CONFIDENCE: f64 = 0.95;
/// Least pivot of the normal equations, whose columns are scaled to length 1: below it the points do not tell the
/// coefficients apart.
const PIVOT_MIN: f64 = 1e-12;

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<const K: usize> {
    /// What the coefficients are multiplied by.
    pub x: [f64; K],
    /// What was observed.
    pub y: f64,
    /// Inverse to the variance of `y`, up to a factor that all points share.
    pub weight: f64,
}

/// A value with its interval at [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Fitted coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit<const K: usize> {
    /// In units of y per unit of x.
    pub coefficients: [f64; K],
    covariance: [[f64; K]; K],
    /// Half the width of an interval, in standard errors.
    reach: f64,
}

/// Fits `points`. `None` unless there are more of them than coefficients, and where they do not tell the coefficients
/// apart, or hold something that is not finite.
pub fn fit<const K: usize>(points: &[Point<K>]) -> Option<Fit<K>> {
    let freedom = points.len().checked_sub(K).filter(|freedom| *freedom > 0)?;
    let sum =
        |term: &dyn Fn(&Point<K>) -> f64| points.iter().map(|point| point.weight * term(point)).sum::<f64>();
    let lengths: [f64; K] = std::array::from_fn(|k| sum(&|point| point.x[k] * point.x[k]).sqrt());
    let gram: [[f64; K]; K] = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            sum(&|point| point.x[row] * point.x[column]) / lengths[row] / lengths[column]
        })
    });
    let scaled = inverse(gram)?;
    let inverse: [[f64; K]; K] = std::array::from_fn(|row| {
        std::array::from_fn(|column| scaled[row][column] / lengths[row] / lengths[column])
    });
    let moments: [f64; K] = std::array::from_fn(|k| sum(&|point| point.x[k] * point.y));
    let coefficients: [f64; K] = inverse.map(|row| dot(&row, &moments));
    let residual_squares = sum(&|point| (point.y - dot(&coefficients, &point.x)).powi(2));
    let variance = residual_squares / freedom as f64;
    let covariance = inverse.map(|row| row.map(|cell| cell * variance));
    let student = StudentsT::new(0.0, 1.0, freedom as f64).ok()?;
    let reach = student.inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    let is_sound = coefficients.iter().chain(covariance.iter().flatten()).all(|value| value.is_finite());
    is_sound.then_some(Fit { coefficients, covariance, reach })
}

impl<const K: usize> Fit<K> {
    /// The value at `x`, and where the true one lies: a band when taken along `x`, at each point by itself.
    pub fn at(&self, x: &[f64; K]) -> Interval {
        self.linear(dot(&self.coefficients, x), x)
    }

    /// A coefficient.
    pub fn coefficient(&self, k: usize) -> Interval {
        self.at(&std::array::from_fn(|index| f64::from(u8::from(index == k))))
    }

    /// A function of the coefficients by the delta method: its `value` at the estimates, and its gradient there.
    pub fn linear(&self, value: f64, gradient: &[f64; K]) -> Interval {
        let variance = dot(gradient, &self.covariance.map(|row| dot(&row, gradient)));
        let half = self.reach * variance.max(0.0).sqrt();
        Interval { value, low: value - half, high: value + half }
    }
}

/// The point that the others predict worst: its greatest `|predicted / observed - 1|` when it is left out. `None` where one
/// that is left out leaves too few.
pub fn leave_one_out_error<const K: usize>(points: &[Point<K>]) -> Option<f64> {
    let mut worst: f64 = 0.0;
    for (index, point) in points.iter().enumerate() {
        let others: Vec<Point<K>> = [&points[..index], &points[index + 1..]].concat();
        let error = (fit(&others)?.at(&point.x).value / point.y - 1.0).abs();
        // Not `max`, which would pass over a NaN.
        if error > worst || error.is_nan() {
            worst = error;
        }
    }
    (!points.is_empty() && worst.is_finite()).then_some(worst)
}

fn dot<const K: usize>(one: &[f64; K], other: &[f64; K]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// By Gauss and Jordan, without exchanging rows: the matrix is positive definite and has ones on its diagonal.
fn inverse<const K: usize>(mut left: [[f64; K]; K]) -> Option<[[f64; K]; K]> {
    let mut right: [[f64; K]; K] =
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))));
    for pivot in 0..K {
        let size = left[pivot][pivot];
        if size.is_nan() || size < PIVOT_MIN {
            return None;
        }
        for matrix in [&mut left, &mut right] {
            matrix[pivot] = matrix[pivot].map(|cell| cell / size);
        }
        for row in (0..K).filter(|row| *row != pivot) {
            let factor = left[row][pivot];
            for matrix in [&mut left, &mut right] {
                let subtracted = matrix[pivot];
                matrix[row].iter_mut().zip(subtracted).for_each(|(cell, other)| *cell -= factor * other);
            }
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ols;

    fn line(points: &[(f64, f64)]) -> Vec<Point<2>> {
        points.iter().map(|&(x, y)| Point { x: [1.0, x], y, weight: 1.0 }).collect()
    }

    const POINTS: [(f64, f64); 6] =
        [(1.0, 20.5), (2.0, 41.2), (3.0, 58.9), (4.0, 81.0), (5.0, 99.1), (6.0, 121.7)];

    /// With equal weights it is the ordinary line; the interval is `slope +- 2.776 standard errors` (t of 4 degrees).
    #[test]
    fn equal_weights_are_the_ordinary_line() {
        let (ordinary, found) = (ols::line(POINTS).unwrap(), fit(&line(&POINTS)).unwrap());
        let slope = found.coefficient(1);
        assert!(
            (slope.value - ordinary.slope).abs() < 1e-10
                && (found.coefficients[0] - ordinary.intercept).abs() < 1e-9
        );
        let reach = (slope.high - slope.value) / ordinary.slope_standard_error;
        assert!((reach - 2.776_445).abs() < 1e-5, "{reach}");
        let at_mean = found.at(&[1.0, 3.5]);
        assert!((at_mean.value - 70.4).abs() < 1e-9, "{at_mean:?}");
    }

    /// A weight of two is the point twice, but for the degrees of freedom.
    #[test]
    fn weights_count_points() {
        let mut weighted = line(&POINTS);
        weighted[2].weight = 2.0;
        let mut doubled = line(&POINTS);
        doubled.push(doubled[2]);
        let [weighted, doubled] = [weighted, doubled].map(|points| fit(&points).unwrap().coefficients);
        assert!(
            weighted.iter().zip(doubled).all(|(one, other)| (one - other).abs() < 1e-9),
            "{weighted:?} {doubled:?}"
        );
    }

    #[test]
    fn a_curve_through_exact_points_is_itself() {
        let of = |p: f64| Point {
            x: [1.0, p - 1.0, p * (p - 1.0)],
            y: 2.0 + 0.3 * (p - 1.0) + 0.01 * p * (p - 1.0),
            weight: 1.0,
        };
        let points: Vec<Point<3>> = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0].map(of).to_vec();
        let found = fit(&points).unwrap().coefficients;
        assert!(
            found.iter().zip([2.0, 0.3, 0.01]).all(|(found, true_)| (found / true_ - 1.0).abs() < 1e-8),
            "{found:?}"
        );
        assert!(leave_one_out_error(&points).unwrap() < 1e-8);
    }

    #[test]
    fn too_little_says_nothing() {
        for points in [
            vec![],
            vec![(1.0, 1.0), (2.0, 2.0)],
            vec![(3.0, 1.0), (3.0, 2.0), (3.0, 3.0)],
            vec![(1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0)],
            vec![(1.0, 1.0), (f64::INFINITY, 2.0), (3.0, 3.0)],
        ] {
            assert_eq!(fit(&line(&points)), None, "{points:?}");
            assert_eq!(leave_one_out_error(&line(&points)), None, "{points:?}");
        }
        // Three points fit, and two are too few to predict the third.
        assert!(fit(&line(&POINTS[..3])).is_some() && leave_one_out_error(&line(&POINTS[..3])).is_none());
    }

    #[test]
    fn the_worst_point_is_the_error() {
        let bent = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 8.0)];
        let error = leave_one_out_error(&line(&bent)).unwrap();
        assert!(
            (error - 8.0 / 3.0).abs() < 1e-9,
            "the others predict -5/3 for the first, which is 1: {error}"
        );
    }
}
