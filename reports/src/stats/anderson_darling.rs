//! Whether a sample comes from a distribution that is known in full (METHOD V10).
//!
//! Case 0 of Stephens: no parameter is estimated from the sample, so the critical values hold for every
//! distribution and every sample of at least five.
//!
//! The test sees a displacement of the distribution of about `2 / sqrt(n)`, and no clock is that
//! faithful for long: with a million posts at 10,000/s it sees 200 ns of jitter in the send lag, which
//! no report needs to hear of. Hence the tolerance in [`exponential_uniforms`], which also takes in
//! that times are whole nanoseconds.

#[cfg(test)]
mod tests;

/// The A-squared that one sample in a hundred of the right distribution exceeds (Stephens 1974, case 0).
pub const CRITICAL_1_PERCENT: f64 = 3.857;
/// Least sample for which [`CRITICAL_1_PERCENT`] holds.
pub const SAMPLES_MIN: usize = 5;
/// Nearest that a uniform may come to 0 or 1, where the logarithms have no value: half of the spacing of
/// floats at 1, so that the other side, `1 - UNIFORM_EDGE`, is a float, too.
pub const UNIFORM_EDGE: f64 = f64::EPSILON / 2.0;

/// The Anderson-Darling statistic of a sample; sorts `uniforms` in place, and is otherwise linear.
///
/// `A^2 = -n - (1/n) sum over i = 1..n of (2i - 1) (ln u_i + ln(1 - u_(n+1-i)))`, with `u_1 <= ... <= u_n` the
/// sample under the distribution's cumulative function. Values are held to [`UNIFORM_EDGE`] from 0 and 1.
/// The distribution is rejected at the 1 % level above [`CRITICAL_1_PERCENT`].
///
/// `None` when there are fewer than [`SAMPLES_MIN`] values or one is NaN.
///
/// Source: Anderson and Darling, A Test of Goodness of Fit, JASA 49 (1954); Stephens, EDF Statistics for
/// Goodness of Fit and Some Comparisons, JASA 69 (1974).
pub fn a_squared(uniforms: &mut [f64]) -> Option<f64> {
    if uniforms.len() < SAMPLES_MIN || uniforms.iter().any(|uniform| uniform.is_nan()) {
        return None;
    }
    uniforms.sort_unstable_by(f64::total_cmp);
    let inside = |uniform: f64| uniform.clamp(UNIFORM_EDGE, 1.0 - UNIFORM_EDGE);
    let count = uniforms.len() as f64;
    // The result is the small difference of two numbers as large as the sample: starting at -n and
    // carrying along what each addition rounds off keeps its digits (Neumaier 1974).
    let (mut sum, mut rounded_off) = (-count, 0.0);
    for (index, (&low, &high)) in uniforms.iter().zip(uniforms.iter().rev()).enumerate() {
        let weight = (2 * index + 1) as f64 / count;
        let term = -weight * (inside(low).ln() + (-inside(high)).ln_1p());
        let next: f64 = sum + term;
        let (larger, smaller) = if sum.abs() >= term.abs() { (sum, term) } else { (term, sum) };
        rounded_off += (larger - next) + smaller;
        sum = next;
    }
    Some((sum + rounded_off).max(0.0))
}

/// The gaps of a Poisson process under its distribution, `u = 1 - exp(-gap / mean)`, sorted.
///
/// `mean_ns` is the mean that was intended, not that of the sample. `tolerance_ns` is how far a gap may be
/// off its true length, that is how much the send lag may change from post to post, and at least 1 for
/// times in whole nanoseconds. Each of the sorted gaps is moved by up to the tolerance to where
/// A-squared is least, `u_i = (2i - 1) / 2n`: what [`a_squared`] then rejects, no errors of that size explain.
/// With 0 it is the plain test. The tolerance must be small against `mean_ns`: a tenth of it costs most
/// of the power, half of it excuses everything.
///
/// Stages of different rates make one sample: map each by its own mean, and append.
///
/// `None` when `mean_ns` is not a positive number.
pub fn exponential_uniforms(
    gaps_ns: impl IntoIterator<Item = u64>,
    mean_ns: f64,
    tolerance_ns: u64,
) -> Option<Vec<f64>> {
    if !(mean_ns.is_finite() && mean_ns > 0.0) {
        return None;
    }
    let mut gaps_ns: Vec<u64> = gaps_ns.into_iter().collect();
    gaps_ns.sort_unstable();
    let uniform = |gap_ns: u64| -(-(gap_ns as f64) / mean_ns).exp_m1();
    let count = gaps_ns.len() as f64;
    let favoured = |(index, gap_ns): (usize, &u64)| {
        let least = uniform(gap_ns.saturating_sub(tolerance_ns));
        let greatest = uniform(gap_ns.saturating_add(tolerance_ns));
        ((index as f64 + 0.5) / count).clamp(least, greatest)
    };
    Some(gaps_ns.iter().enumerate().map(favoured).collect())
}
