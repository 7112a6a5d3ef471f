//! Numbers for people: durations, counts, bytes and shares.
//!
//! Invariants: every number carries its unit; a measured one has three significant digits; a share is
//! `100 %` or `0 %` only where it is exactly that.

const NS_PER_US: f64 = 1e3;
const NS_PER_MS: f64 = 1e6;
const NS_PER_S: f64 = 1e9;
const SIGNIFICANT_DIGITS: i32 = 3;

/// A measured duration: three significant digits in µs, ms or s, such as `12.3 ms`.
pub fn duration(ns: u64) -> String {
    scaled(ns as f64, &[(NS_PER_US, "µs"), (NS_PER_MS, "ms"), (NS_PER_S, "s")])
}

/// A duration that somebody chose, without needless zeros: `10 s`, `2.5 s`.
pub fn short_duration(ns: u64) -> String {
    without_zeros(&duration(ns))
}

/// A duration as a flag takes it, exact to the nanosecond: `30s`, `8m20s`, `1s500ms`.
pub fn flag_duration(ns: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let mut rest = ns;
    let mut text = String::new();
    for (size, unit) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Seconds of CPU time: three significant digits, such as `4.31 s`; `n/a` if not a finite number.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() {
        return "n/a".to_owned();
    }
    let sign = if s < 0.0 { "-" } else { "" };
    format!("{sign}{}", scaled(s.abs(), &[(1e-6, "µs"), (1e-3, "ms"), (1.0, "s")]))
}

/// A size in memory, in powers of 1000: `512 B`, `14.2 MB`.
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    scaled(bytes as f64, &[(1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")])
}

/// A count with thousands separators: `1,000,000`.
pub fn count(n: u64) -> String {
    separated(&n.to_string())
}

/// A count with its noun: `1 post`, `2,000 posts`. `plural` is the whole word.
pub fn counted(n: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", count(n), if n == 1 { singular } else { plural })
}

/// A number that somebody chose, with at most three decimals: `20`, `0.5`, `1,234.5`.
pub fn number(x: f64) -> String {
    if !x.is_finite() {
        return "n/a".to_owned();
    }
    if x != 0.0 && !(1e-3..1e15).contains(&x.abs()) {
        return format!("{x:.2e}");
    }
    let fixed = format!("{:.3}", x.abs());
    let sign = if x < 0.0 { "-" } else { "" };
    format!("{sign}{}", separated(fixed.trim_end_matches('0').trim_end_matches('.')))
}

/// A share in percent, with as many decimals as it takes to tell it from all and from nothing:
/// `99.98 %`. `0 %` of nothing. (Counts from 10^15 on are beyond what a float can tell apart.)
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let percent = |n: u64| n as f64 / whole as f64 * 100.0;
    let tail = percent(part.min(whole - part));
    // Two digits of what is missing from the nearer end, at least one decimal.
    let decimals = (1.0 - tail.log10().floor()).clamp(1.0, 15.0) as usize;
    without_zeros(&format!("{:.decimals$} %", percent(part)))
}

/// A ratio in percent, as three significant digits at most: `14.2 %`, `0.05 %`, `100 %`.
pub fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "n/a".to_owned();
    }
    let percent = ratio * 100.0;
    let decimals = decimals_of(percent.abs());
    without_zeros(&format!("{percent:.decimals$} %"))
}

/// A change in percent, with its sign and one decimal: `+9.8 %`, `-0.4 %`, `0 %`.
pub fn change(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "n/a".to_owned();
    }
    let tenths = (ratio * 1e3).round();
    if tenths == 0.0 { "0 %".to_owned() } else { without_zeros(&format!("{:+.1} %", tenths / 10.0)) }
}

/// From one change to another, the unit once: `-0.4 to +9.8 %`.
pub fn change_interval(low: f64, high: f64) -> String {
    format!("{} to {}", change(low).trim_end_matches(" %"), change(high))
}

/// A p value: `p = 0.0312`, `p < 0.0001`.
pub fn probability(p: f64) -> String {
    if p < 1e-4 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// A difference of two durations, with its sign: `+1.25 ms`.
pub fn signed_duration(ns: i64) -> String {
    let sign = match ns {
        1.. => "+",
        0 => "",
        _ => "-",
    };
    format!("{sign}{}", duration(ns.unsigned_abs()))
}

/// Three significant digits in the unit that leaves one to three of them before the point.
/// `units` goes from the smallest to the greatest, each with its size.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let mut text = String::new();
    for (i, (size, unit)) in units.iter().enumerate() {
        let x = value / size;
        let decimals = decimals_of(x);
        text = format!("{x:.decimals$}");
        // Judged after rounding, so that 999.96 µs is 1.00 ms and not 1000 µs.
        let fits = text.len() <= 3 || text.contains('.');
        if fits || i + 1 == units.len() {
            return format!("{} {unit}", separated(&text));
        }
    }
    text
}

/// Decimals that give `x` three significant digits; fewer for what is below a thousandth.
fn decimals_of(x: f64) -> usize {
    if x == 0.0 {
        return 0;
    }
    let decimals_for = |x: f64| SIGNIFICANT_DIGITS - 1 - x.log10().floor() as i32;
    let decimals = decimals_for(x).clamp(0, SIGNIFICANT_DIGITS);
    // Rounding may carry into a new digit: 9.999 is 10.0, not 10.00.
    let scale = 10_f64.powi(decimals);
    let rounded = (x * scale).round() / scale;
    if rounded == 0.0 {
        decimals as usize
    } else {
        decimals_for(rounded).clamp(0, SIGNIFICANT_DIGITS) as usize
    }
}

/// Puts commas into the whole part of a decimal number.
fn separated(number: &str) -> String {
    let (whole, fraction) = match number.find('.') {
        Some(point) => number.split_at(point),
        None => (number, ""),
    };
    let mut text = String::with_capacity(number.len() + number.len() / 3);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// `10.0 s` to `10 s`, `2.50 s` to `2.5 s`.
pub(crate) fn without_zeros(quantity: &str) -> String {
    match quantity.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => quantity.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (ns, expected) in [
            (0, "0 µs"),
            (1, "0.001 µs"),
            (123, "0.123 µs"),
            (999, "0.999 µs"),
            (1_000, "1.00 µs"),
            (12_340, "12.3 µs"),
            (123_456, "123 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (9_994_000, "9.99 ms"),
            (9_996_000, "10.0 ms"),
            (99_960_000, "100 ms"),
            (999_999_999, "1.00 s"),
            (12_345_678_901, "12.3 s"),
            (3_600_000_000_000, "3,600 s"),
            (u64::MAX, "18,446,744,074 s"),
        ] {
            assert_eq!(duration(ns), expected, "{ns} ns");
        }
    }

    #[test]
    fn chosen_durations() {
        for (ns, short, flag) in [
            (0, "0 µs", "0s"),
            (10_000_000_000, "10 s", "10s"),
            (2_500_000_000, "2.5 s", "2s500ms"),
            (500_000_000, "500 ms", "500ms"),
            (500_000_000_000, "500 s", "8m20s"),
            (3_600_000_000_000, "3,600 s", "1h"),
            (100_000_000_000, "100 s", "1m40s"),
            (1_000_000_001, "1 s", "1s1ns"),
        ] {
            assert_eq!((short_duration(ns).as_str(), flag_duration(ns).as_str()), (short, flag), "{ns} ns");
        }
    }

    #[test]
    fn seconds_of_cpu() {
        for (s, expected) in [
            (0.0, "0 µs"),
            (0.05, "50.0 ms"),
            (4.312, "4.31 s"),
            (123.456, "123 s"),
            (12_345.6, "12,346 s"),
            (-0.5, "-500 ms"),
            (f64::NAN, "n/a"),
            (f64::INFINITY, "n/a"),
        ] {
            assert_eq!(seconds(s), expected, "{s} s");
        }
    }

    #[test]
    fn differences_of_durations() {
        for (ns, expected) in
            [(1_250_000, "+1.25 ms"), (-70_000, "-70.0 µs"), (0, "0 µs"), (i64::MIN, "-9,223,372,037 s")]
        {
            assert_eq!(signed_duration(ns), expected, "{ns}");
        }
    }

    #[test]
    fn sizes() {
        for (n, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (14_234_567, "14.2 MB"),
            (999_950_000, "1.00 GB"),
            (2_500_000_000_000_000, "2,500 TB"),
        ] {
            assert_eq!(bytes(n), expected, "{n}");
        }
    }

    #[test]
    fn counts_and_numbers() {
        for (n, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), expected);
        }
        assert_eq!(counted(1, "post", "posts"), "1 post");
        assert_eq!(counted(0, "post", "posts"), "0 posts");
        for (x, expected) in [
            (20.0, "20"),
            (0.5, "0.5"),
            (1_234.5, "1,234.5"),
            (0.0, "0"),
            (-3.25, "-3.25"),
            (1e300, "1.00e300"),
            (1e-9, "1.00e-9"),
            (f64::NAN, "n/a"),
        ] {
            assert_eq!(number(x), expected);
        }
    }

    #[test]
    fn changes_and_probabilities() {
        for (ratio, expected) in [
            (0.0984, "+9.8 %"),
            (-0.0041, "-0.4 %"),
            (0.1, "+10 %"),
            (-0.0004, "0 %"),
            (2.5, "+250 %"),
            (f64::INFINITY, "n/a"),
        ] {
            assert_eq!(change(ratio), expected, "{ratio}");
        }
        for (p, expected) in [(0.03125, "p = 0.0312"), (1.0, "p = 1.0000"), (9.9e-5, "p < 0.0001")] {
            assert_eq!(probability(p), expected, "{p}");
        }
    }

    #[test]
    fn a_share_is_all_or_nothing_only_exactly() {
        for (part, whole, expected) in [
            (0, 0, "0 %"),
            (0, 5, "0 %"),
            (5, 5, "100 %"),
            (1, 2, "50 %"),
            (1, 3, "33.3 %"),
            (599_000, 600_000, "99.83 %"),
            (999_999, 1_000_000, "99.9999 %"),
            (1, 1_000_000, "0.0001 %"),
        ] {
            assert_eq!(share(part, whole), expected, "{part} of {whole}");
        }
    }
}
