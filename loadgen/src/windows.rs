//! The stretches of the steady phase that a threshold is judged over.

use std::iter;
use std::ops::Range;

use feedmark_reports::metric::Metric;
use feedmark_reports::threshold::Threshold;

use crate::scenario::Scenario;

/// Since the start of the schedule: the whole steady phase, or its windows, as far as it came by `until_ns`. A latency is
/// judged over whole windows; a figure that is exact over the shorter rest, too, so that nothing escapes it.
pub fn windows(threshold: &Threshold, scenario: &Scenario, until_ns: u64) -> Vec<Range<u64>> {
    let start_ns = scenario.warmup_ns;
    let end_ns = (start_ns + scenario.duration_ns).min(until_ns);
    let Some(window) = threshold.window else {
        return iter::once(start_ns..end_ns.max(start_ns)).collect();
    };
    let length_ns = window.ns();
    let starts = (0..).map(|index| start_ns + index * length_ns).take_while(|start_ns| *start_ns < end_ns);
    let stretches = starts.map(|start_ns| start_ns..(start_ns + length_ns).min(end_ns));
    let exact = !matches!(threshold.metric, Metric::Latency(..));
    stretches.filter(|stretch| exact || stretch.end - stretch.start == length_ns).collect()
}

/// The posts of a stretch, by sequence.
pub fn posts(offsets_ns: &[u64], stretch: &Range<u64>) -> Range<usize> {
    let seq = |at_ns| offsets_ns.partition_point(|&offset_ns| offset_ns < at_ns);
    seq(stretch.start)..seq(stretch.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    const S: u64 = 1_000_000_000;

    #[test]
    fn latencies_have_whole_windows_and_counts_the_rest_too() {
        let settings: Settings = toml::from_str("warmup = '5s'\nduration = '25s'").unwrap();
        let scenario = Scenario::resolve(settings, 2).unwrap();
        let of = |text: &str, until_ns| -> Vec<(u64, u64)> {
            let stretches = windows(&text.parse().unwrap(), &scenario, until_ns);
            stretches.iter().map(|stretch| (stretch.start / S, stretch.end / S)).collect()
        };
        assert_eq!(of("delivery p99 < 1s", u64::MAX), [(5, 30)]);
        assert_eq!(of("delivery p99 < 1s", 20 * S), [(5, 20)]);
        assert_eq!(of("delivery p99 < 1s", 2 * S), [(5, 5)]);
        assert_eq!(of("delivery p99 < 1s over 10s", u64::MAX), [(5, 15), (15, 25)]);
        assert_eq!(of("delivery p99 < 1s over 10s", 24 * S), [(5, 15)]);
        assert_eq!(of("missing == 0 over 10s", u64::MAX), [(5, 15), (15, 25), (25, 30)]);
        assert_eq!(of("missing == 0 over 10s", 2 * S), []);
    }

    #[test]
    fn a_post_belongs_to_the_window_of_its_intended_time() {
        let offsets_ns = [0, 5, 10, 15];
        assert_eq!([posts(&offsets_ns, &(0..10)), posts(&offsets_ns, &(10..20))], [0..2, 2..4]);
        assert_eq!(posts(&offsets_ns, &(11..15)), 3..3);
    }
}
