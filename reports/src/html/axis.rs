//! Axes: a scale with its labels, for each kind of figure that the pages draw.

use super::scale::Scale;
use crate::units::{bytes, number, percent, short_duration, without_zeros};

/// Latencies that differ by more than this need a logarithmic axis to be told apart.
const LINEAR_RATIO_MAX: f64 = 12.0;
/// Room above the greatest value.
const HEADROOM: f64 = 1.06;

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Where values lie.
    pub scale: Scale,
    /// What is measured along it.
    pub title: String,
    /// Values that are written beside it, with their texts.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Run time, in ns.
    pub fn time(from_ns: u64, to_ns: u64) -> Self {
        let (from, to) = (from_ns as f64, to_ns.max(from_ns.saturating_add(1)) as f64);
        let ticks = Scale::time_ticks(from, to);
        let step_s = ticks.windows(2).map(|pair| (pair[1] - pair[0]) / 1e9).reduce(f64::min).unwrap_or(1.0);
        // Of a short time, tenths of a second would be the same several times.
        let label = |ns: f64| match step_s {
            0.1.. => moment(ns as u64),
            _ => format!("{:.*} s", (-step_s.log10()).ceil().min(9.0) as usize, ns / 1e9),
        };
        Self {
            scale: Scale::Linear { from, to },
            title: "time since the start of the run".to_owned(),
            ticks: ticks.into_iter().map(|ns| (ns, label(ns))).collect(),
        }
    }

    /// Latencies, in ns, of which these are the least and the greatest.
    pub fn latency(least_ns: u64, greatest_ns: u64) -> Self {
        let (least, greatest) = (least_ns.max(1) as f64, greatest_ns.max(1_000) as f64);
        let label = |ns: f64| (ns, short_duration(ns.round() as u64));
        let (scale, title) = if greatest / least > LINEAR_RATIO_MAX {
            (Scale::Log { from: least / HEADROOM, to: greatest * HEADROOM }, "latency, logarithmic")
        } else {
            (Scale::Linear { from: 0.0, to: greatest * HEADROOM }, "latency")
        };
        Self { ticks: scale.ticks().into_iter().map(label).collect(), scale, title: title.to_owned() }
    }

    /// Latencies, always logarithmic.
    pub fn log_latency(least_ns: f64, greatest_ns: f64) -> Self {
        let scale = Scale::Log { from: least_ns, to: greatest_ns };
        let label = |ns: f64| (ns, short_duration(ns.round() as u64));
        Self {
            ticks: scale.ticks().into_iter().map(label).collect(),
            scale,
            title: "latency, logarithmic".to_owned(),
        }
    }

    /// Time since something, from 0.
    pub fn elapsed(to_ns: u64, title: &str) -> Self {
        Self::from_zero(to_ns as f64, title, |ns| short_duration(ns.round() as u64))
    }

    /// Quantiles, with room for so many nines.
    pub fn percentile(nines: f64) -> Self {
        let scale = Scale::Nines { nines };
        let label = |quantile: f64| (quantile, percentile(quantile));
        Self { ticks: scale.ticks().into_iter().map(label).collect(), scale, title: "percentile".to_owned() }
    }

    /// From nothing to all.
    pub fn share(title: &str) -> Self {
        Self {
            ticks: [0.0, 0.25, 0.5, 0.75, 1.0].into_iter().map(|share| (share, percent(share))).collect(),
            scale: Scale::Linear { from: 0.0, to: 1.0 },
            title: title.to_owned(),
        }
    }

    /// Shares of one CPU, which may be more than one.
    pub fn cpus(greatest: f64) -> Self {
        Self::from_zero(greatest.max(0.1), "share of one CPU", percent)
    }

    /// Memory.
    pub fn memory(greatest_bytes: f64) -> Self {
        Self::bytes(greatest_bytes.max(1e6), "resident memory")
    }

    /// Bytes of something.
    pub fn bytes(greatest: f64, title: &str) -> Self {
        Self::from_zero(greatest.max(1e3), title, |size| without_zeros(&bytes(size.round() as u64)))
    }

    /// Loads, numbers of subscribers or of cores, of which these are the least and the greatest.
    pub fn load(least: f64, greatest: f64, title: &str) -> Self {
        let (least, greatest) = (least.max(f64::MIN_POSITIVE), greatest.max(least).max(f64::MIN_POSITIVE));
        if greatest / least <= LINEAR_RATIO_MAX {
            return Self::from_zero(greatest, title, number);
        }
        let scale = Scale::Log { from: least / HEADROOM, to: greatest * HEADROOM };
        let ticks = scale.ticks().into_iter().map(|tick| (tick, number(tick))).collect();
        Self { scale, title: format!("{title}, logarithmic"), ticks }
    }

    /// A number of things.
    pub fn count(greatest: f64, title: &str) -> Self {
        Self::from_zero(greatest.max(1.0), title, number)
    }

    /// A number of whatever, of which these are the least and the greatest; 0 is on it.
    pub fn signed(least: f64, greatest: f64, title: &str) -> Self {
        if least >= 0.0 {
            return Self::count(greatest, title);
        }
        let scale = Scale::Linear { from: least * HEADROOM, to: greatest.max(0.0) * HEADROOM };
        let ticks = scale.ticks().into_iter().map(|tick| (tick, number(tick))).collect();
        Self { scale, title: title.to_owned(), ticks }
    }

    /// Changes as shares, of which these are the least and the greatest; 0 is on it.
    pub fn change(least: f64, greatest: f64) -> Self {
        let (from, to) = (least.min(0.0) * HEADROOM - 0.005, greatest.max(0.0) * HEADROOM + 0.005);
        let scale = Scale::Linear { from, to };
        let label = |ratio: f64| (ratio, crate::units::change(ratio));
        Self { ticks: scale.ticks().into_iter().map(label).collect(), scale, title: "change".to_owned() }
    }

    /// A line for each name, the first on top; the lines are those of [`Axis::line`].
    pub fn names(names: &[String]) -> Self {
        let lines = (0..names.len()).map(|index| Self::line(index, names.len()));
        Self {
            scale: Scale::Linear { from: -0.5, to: (names.len() as f64 - 0.5).max(0.5) },
            title: String::new(),
            ticks: lines.zip(names.iter().cloned()).collect(),
        }
    }

    /// Where the line of a name lies, of so many.
    pub fn line(index: usize, names: usize) -> f64 {
        (names - 1 - index) as f64
    }

    fn from_zero(greatest: f64, title: &str, text: impl Fn(f64) -> String) -> Self {
        let scale = Scale::Linear { from: 0.0, to: greatest * HEADROOM };
        let ticks = scale.ticks().into_iter().map(|tick| (tick, text(tick))).collect();
        Self { scale, title: title.to_owned(), ticks }
    }
}

/// A moment of the run: `9.4 s`, `2:05`.
pub fn moment(ns: u64) -> String {
    let tenths = ns.saturating_add(50_000_000) / 100_000_000;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let fraction = if tenth == 0 { String::new() } else { format!(".{tenth}") };
    match seconds / 60 {
        0 | 1 => format!("{seconds}{fraction} s"),
        minutes @ 2..60 => format!("{minutes}:{:02}{fraction}", seconds % 60),
        minutes => format!("{}:{:02}:{:02}{fraction}", minutes / 60, minutes % 60, seconds % 60),
    }
}

/// A quantile in per cent with as many nines as it has: `99.9 %`.
pub fn percentile(quantile: f64) -> String {
    let digits = format!("{:.8}", quantile * 100.0);
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_percentiles() {
        let s = 1_000_000_000;
        let moments = [0, 9_387_000_000, 119 * s, 125 * s, 3_725 * s + 500_000_000].map(moment);
        assert_eq!(moments, ["0 s", "9.4 s", "119 s", "2:05", "1:02:05.5"]);
        assert_eq!([0.0, 0.5, 0.999, 0.99999].map(percentile), ["0 %", "50 %", "99.9 %", "99.999 %"]);
    }

    #[test]
    fn no_two_ticks_of_a_time_are_called_the_same() {
        for to_ns in [200, 30_000_000, 250_000_000, 500_000_000, 600_000_000, 5_000_000_000, 700_000_000_000]
        {
            let ticks = Axis::time(0, to_ns).ticks;
            let labels: std::collections::BTreeSet<&str> =
                ticks.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!(labels.len(), ticks.len(), "{ticks:?}");
        }
        let late = Axis::time(125_000_000_000, 125_300_000_000).ticks;
        assert!(late.iter().any(|(_, label)| label == "125.05 s"), "{late:?}");
    }

    #[test]
    fn what_is_below_0_is_on_its_axis() {
        let place = |axis: &Axis, value| axis.scale.place(value);
        let axis = Axis::signed(-8.0, -2.0, "");
        assert!(place(&axis, -8.0) > 0.0 && place(&axis, -2.0) < 1.0 && place(&axis, 0.0) <= 1.0);
        assert!(axis.ticks.iter().any(|(_, label)| label.starts_with('-')), "{:?}", axis.ticks);
        assert_eq!(Axis::signed(0.0, 5.0, "things"), Axis::count(5.0, "things"));
    }

    #[test]
    fn a_wide_range_is_logarithmic() {
        let scale = |least, greatest| Axis::latency(least, greatest).scale;
        assert!(matches!(scale(5_000_000, 20_000_000), Scale::Linear { from: 0.0, .. }));
        assert!(matches!(scale(1_000_000, 900_000_000), Scale::Log { .. }));
        let labels: Vec<String> =
            Axis::latency(5_000_000, 20_000_000).ticks.into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0 µs", "5 ms", "10 ms", "15 ms", "20 ms"]);
    }
}
