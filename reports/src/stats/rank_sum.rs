//! How far the values of one sample are shifted against those of another.

use super::median::median;

/// Most values a side: up to here, the orders of all values are counted exactly in 128 bits.
pub const VALUES_MAX: usize = 64;

/// The shift of one sample against another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Hodges-Lehmann estimate: the median of all differences between a value of the one and a value of the other.
    pub estimate: f64,
    /// Where the true shift lies; `None` where no interval of the wanted confidence exists for so few values.
    pub interval: Option<Interval>,
}

/// An interval for a shift, ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such an interval holds the true shift, at least: the confidence that was asked for, or more, because
    /// ranks are whole numbers.
    pub coverage: f64,
}

/// How far `to` is shifted against `from`, the values of each independent, and the two distributed alike but for the
/// shift. The interval assumes nothing else of the distribution.
///
/// With `D(1) <= ... <= D(m n)` the differences in order, the interval is `[D(c), D(m n + 1 - c)]`, where `c` is the
/// greatest rank with `P(U < c) <= (1 - confidence) / 2`, and `U` the Mann-Whitney statistic of samples without a
/// shift. Ties make the interval wider than it had to be, never too narrow.
///
/// `None` when a side has no value or one that is not finite, or when the differences leave the range of numbers.
///
/// Source: Hollander and Wolfe, Nonparametric Statistical Methods (2nd edition, 1999), sections 4.2 and 4.3 (Hodges and
/// Lehmann 1963, Moses 1965).
///
/// # Panics
/// When a side has more than [`VALUES_MAX`] values, or the confidence is not between 0 and 1.
pub fn shift(from: &[f64], to: &[f64], confidence: f64) -> Option<Shift> {
    let mut differences: Vec<f64> = to.iter().flat_map(|to| from.iter().map(move |from| to - from)).collect();
    if differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    differences.sort_unstable_by(f64::total_cmp);
    let estimate = median(&mut differences.clone())?;
    let interval = cut(from.len(), to.len(), confidence).map(|(rank, coverage)| Interval {
        low: differences[rank - 1],
        high: differences[differences.len() - rank],
        coverage,
    });
    Some(Shift { estimate, interval })
}

/// True where an interval of this confidence exists for `m` values on the one side and `n` on the other.
///
/// # Panics
/// As [`shift`].
pub fn has_interval(m: usize, n: usize, confidence: f64) -> bool {
    cut(m, n, confidence).is_some()
}

/// The least number of values on each of two sides with which an interval of this confidence exists; `None` if
/// [`VALUES_MAX`] are too few.
///
/// # Panics
/// When the confidence is not between 0 and 1.
pub fn values_needed(confidence: f64) -> Option<usize> {
    (1..=VALUES_MAX).find(|&values| has_interval(values, values, confidence))
}

/// The rank `c` of the differences at which the interval begins, and its coverage.
fn cut(m: usize, n: usize, confidence: f64) -> Option<(usize, f64)> {
    assert!(m.max(n) <= VALUES_MAX, "{m} and {n} values: at most {VALUES_MAX} a side");
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence of {confidence} is not between 0 and 1");
    let orders = orders_by_u(m, n);
    let all = orders.iter().sum::<u128>() as f64;
    // A tail that is just as large as allowed is allowed, however the difference is rounded.
    let tail_max = (1.0 - confidence) / 2.0 + f64::EPSILON;
    let mut below: u128 = 0;
    let mut found = None;
    for (u, orders) in orders.into_iter().enumerate() {
        below += orders;
        let tail = below as f64 / all;
        if tail > tail_max {
            break;
        }
        found = Some((u + 1, 1.0 - 2.0 * tail));
    }
    found
}

/// How many of the orders of `m` and `n` values without ties have each value of U, from 0 to `m n`: the coefficients of
/// the Gaussian binomial, `product over i = 1..m of (1 - q^(n+i)) / (1 - q^i)`.
fn orders_by_u(m: usize, n: usize) -> Vec<u128> {
    let mut orders = vec![0_u128; m * n + 1];
    orders[0] = 1;
    for i in 1..=m {
        // Between product and quotient a coefficient may be negative: what wraps there, wraps back.
        for u in (n + i..orders.len()).rev() {
            orders[u] = orders[u].wrapping_sub(orders[u - n - i]);
        }
        for u in i..orders.len() {
            orders[u] = orders[u].wrapping_add(orders[u - i]);
        }
    }
    orders
}

#[cfg(test)]
mod tests;
