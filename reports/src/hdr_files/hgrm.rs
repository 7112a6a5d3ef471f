//! `.hgrm`: the percentile distribution as text, as Java's `outputPercentileDistribution(out, 5, 1e6)`
//! prints it; the HdrHistogram web plotter reads it.
//!
//! Invariants:
//! * Up to our own comment at the end, every byte is Java's: its iteration (each half of the distance
//!   to 100 % is cut into the same number of ticks, a whole power of two apart) and its rounding
//!   (half up, on the shortest decimal form). npm `hdr-histogram-js` prints the same bytes. PyPI
//!   `hdrhistogram` does not round the power of two down, so it stops at other levels, and prints
//!   the deviation in ns: its rows are checked by bucket instead (`scripts/interop/read_hdr.py`).
//! * Our comment stands at the end, because readers may take the first line for the head of the table.

use std::f64::consts::LN_2;
use std::io::{self, Write};

use hdrhistogram::Histogram;

use super::{NS_PER_PRINTED_UNIT, beyond_deadline_comment};
use crate::quantile::{HISTOGRAM_DIGITS, assert_shared_bounds};

/// Rows per half distance to 100 %, as in Java's tools.
const TICKS_PER_HALF_DISTANCE: f64 = 5.0;
/// Decimals of a value: as many as the histogram has significant digits.
const VALUE_DECIMALS: usize = HISTOGRAM_DIGITS as usize;
const PERCENTILE_DECIMALS: usize = 12;
const INVERSE_DECIMALS: usize = 2;

/// Writes the percentile distribution of a histogram of nanoseconds, in milliseconds, and says that
/// `beyond_deadline` late or missing deliveries are not in it.
///
/// # Errors
/// When the writer refuses.
///
/// # Panics
/// When the histogram does not have the bounds that every latency series shares.
pub fn write_hgrm<W: Write>(
    mut writer: W,
    histogram: &Histogram<u64>,
    beyond_deadline: u64,
) -> io::Result<()> {
    assert_shared_bounds(histogram);
    writeln!(
        writer,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    write_rows(&mut writer, histogram)?;
    write_moments(&mut writer, histogram)?;
    writeln!(writer, "#{}", beyond_deadline_comment(beyond_deadline, "distribution"))?;
    writer.flush()
}

fn write_rows<W: Write>(writer: &mut W, histogram: &Histogram<u64>) -> io::Result<()> {
    let total = histogram.len();
    let (mut seen, mut level, mut value) = (0, 0.0, 0);
    for step in histogram.iter_recorded() {
        seen += step.count_at_value();
        value = histogram.highest_equivalent(step.value_iterated_to());
        let percentile = 100.0 * seen as f64 / total as f64;
        // A level of 100 is the last row's alone, and has no next one.
        while level <= percentile && level < 100.0 {
            let fraction = level / 100.0;
            let inverse = fixed(1.0 / (1.0 - fraction), INVERSE_DECIMALS);
            writeln!(writer, "{} {inverse:>14}", row(value, fraction, seen))?;
            level += level_step(level);
            if seen == total {
                break;
            }
        }
    }
    if total > 0 { writeln!(writer, "{}", row(value, 1.0, total)) } else { Ok(()) }
}

fn row(value: u64, fraction: f64, seen: u64) -> String {
    format!("{} {:>2} {seen:>10}", printed(value as f64), fixed(fraction, PERCENTILE_DECIMALS))
}

/// Distance from one percentile level to the next: `100 / (ticks * 2^(h + 1))`, where `h` is how many
/// times the distance to 100 was halved so far.
fn level_step(level: f64) -> f64 {
    // The quotient of natural logarithms is Java's; log2 may differ from it in the last bit.
    let halvings = ((100.0 / (100.0 - level)).ln() / LN_2).floor();
    100.0 / (TICKS_PER_HALF_DISTANCE * (halvings + 1.0).exp2())
}

/// Mean and deviation over the middle of each bucket, summed in the order in which Java sums them.
fn write_moments<W: Write>(writer: &mut W, histogram: &Histogram<u64>) -> io::Result<()> {
    let count = histogram.len().max(1) as f64;
    let buckets = || {
        histogram.iter_recorded().map(|step| {
            (histogram.median_equivalent(step.value_iterated_to()) as f64, step.count_at_value() as f64)
        })
    };
    // Not `sum()`, which is -0 for no values at all.
    let mean = buckets().fold(0.0, |sum, (middle, n)| sum + middle * n) / count;
    let variance =
        buckets().fold(0.0, |sum, (middle, n)| sum + (middle - mean) * (middle - mean) * n) / count;
    let (mean, deviation) = (printed(mean), printed(variance.sqrt()));
    let sub_buckets = (2.0 * 10_f64.powi(i32::from(HISTOGRAM_DIGITS))).log2().ceil().exp2();
    writeln!(writer, "#[Mean    = {mean}, StdDeviation   = {deviation}]")?;
    let max = printed(histogram.max() as f64);
    writeln!(writer, "#[Max     = {max}, Total count    = {:>12}]", histogram.len())?;
    writeln!(writer, "#[Buckets = {:>12}, SubBuckets     = {sub_buckets:>12}]", histogram.buckets())
}

fn printed(ns: f64) -> String {
    format!("{:>12}", fixed(ns / NS_PER_PRINTED_UNIT, VALUE_DECIMALS))
}

/// `value` with this many decimals, rounded half up on its shortest decimal form, as Java's formatter
/// does. (Rust's own formatter rounds the exact binary value, which turns 1.0005 into 1.000.)
fn fixed(value: f64, decimals: usize) -> String {
    debug_assert!(value.is_finite() && value >= 0.0, "{value} is no length of time");
    let shortest = format!("{value}");
    let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
    if fraction.len() <= decimals {
        return format!("{whole}.{fraction:0<decimals$}");
    }
    let (kept, rest) = fraction.split_at(decimals);
    let digits: u128 = format!("{whole}{kept}").parse().expect("a finite f64 prints as digits");
    let rounded = format!("{:0>1$}", digits + u128::from(rest >= "5"), decimals + 1);
    let (whole, fraction) = rounded.split_at(rounded.len() - decimals);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantile::new_histogram;

    fn text(values_ns: &[u64], beyond_deadline: u64) -> String {
        let mut histogram = new_histogram();
        values_ns.iter().for_each(|v| histogram.record(*v).unwrap());
        let mut out = Vec::new();
        write_hgrm(&mut out, &histogram, beyond_deadline).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rounds_as_java_does() {
        for (value, decimals, expected) in [
            (0.0, 3, "0.000"),
            (1.0, 3, "1.000"),
            (1.0005, 3, "1.001"),
            (1.0004999, 3, "1.000"),
            (0.9996, 3, "1.000"),
            (0.0005, 3, "0.001"),
            (9.9999, 3, "10.000"),
            (12.34, 1, "12.3"),
            (1e15, 2, "1000000000000000.00"),
        ] {
            assert_eq!(fixed(value, decimals), expected, "{value} to {decimals}");
        }
    }

    #[test]
    fn a_level_halves_its_step_at_each_half_distance() {
        for (level, step) in [(0.0, 10.0), (40.0, 10.0), (50.0, 5.0), (75.0, 2.5), (87.5, 1.25)] {
            assert_eq!(level_step(level), step, "after {level}");
        }
    }

    /// The text is what Java's HdrHistogram 2.1.11 printed for the same histogram.
    #[test]
    fn prints_what_java_prints() {
        insta::assert_snapshot!(text(&[500, 1_500, 12_000_000, 12_000_001, 250_000_000], 3));
    }

    #[test]
    fn an_empty_histogram_has_no_rows() {
        insta::assert_snapshot!(text(&[], 0));
    }
}
