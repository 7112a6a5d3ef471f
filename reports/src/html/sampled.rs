//! What was sampled about once a second, as a line that is short enough to be drawn and breaks where nothing was sampled.

use crate::stats::median::median;

/// Samples that are drawn of each side; of more, the greatest of each stretch is.
const SAMPLES_MAX: usize = 400;
/// Samples that are further apart than so many times the usual have a gap between them.
const GAP: f64 = 2.5;

/// Moments with their values; `None` where there is none.
pub(super) type Points = Vec<(f64, Option<f64>)>;

/// Samples, thinned out.
pub(super) struct Sampled {
    pub(super) points: Points,
    /// How far apart they may be before something is missing between them.
    gap_ns: f64,
}

impl Sampled {
    pub(super) fn new(points: Points) -> Self {
        let stretch = points.len().div_ceil(SAMPLES_MAX).max(1);
        let greatest = |points: &[(f64, Option<f64>)]| {
            let known = points.iter().filter_map(|(at_ns, value)| Some((*at_ns, (*value)?)));
            let greatest = known.max_by(|a, b| a.1.total_cmp(&b.1));
            greatest.map_or((points[0].0, None), |(at_ns, value)| (at_ns, Some(value)))
        };
        let points: Points = points.chunks(stretch).map(greatest).collect();
        let mut distances: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        let gap_ns = median(&mut distances).unwrap_or(0.0) * GAP;
        Self { points, gap_ns }
    }

    /// The value that is nearest to a moment; `None` in a gap.
    pub(super) fn near(&self, at_ns: f64) -> Option<f64> {
        let distance_ns = |point: &(f64, Option<f64>)| (point.0 - at_ns).abs();
        let nearest = self.points.iter().min_by(|a, b| distance_ns(a).total_cmp(&distance_ns(b)))?;
        nearest.1.filter(|_| distance_ns(nearest) <= self.gap_ns)
    }

    /// The points, with a break in each gap.
    pub(super) fn line(self) -> Points {
        let mut line = Points::new();
        for point in self.points {
            let before = line.last().map(|(at_ns, _)| *at_ns);
            if let Some(before) = before.filter(|before| point.0 - before > self.gap_ns) {
                line.push(((before + point.0) / 2.0, None));
            }
            line.push(point);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(values: impl Iterator<Item = Option<f64>>) -> Points {
        values.enumerate().map(|(second, value)| (second as f64 * 1e9, value)).collect()
    }

    #[test]
    fn a_peak_is_drawn_however_many_samples_there_are() {
        for peak in 600..606 {
            let of = |second| Some(if second == peak { 9.0 } else { 1.0 });
            let sampled = Sampled::new(seconds((0..1_300).map(of)));
            assert!(sampled.points.len() <= SAMPLES_MAX);
            assert!(sampled.points.contains(&(f64::from(peak) * 1e9, Some(9.0))), "{peak}");
        }
        let below = Sampled::new(seconds((0..500).map(|_| Some(-3.0))));
        assert!(below.points.iter().all(|(_, value)| *value == Some(-3.0)));
    }

    #[test]
    fn a_gap_is_a_gap() {
        let mut points = seconds((0..30).map(|second| Some(f64::from(second))));
        points.drain(11..20);
        points[5].1 = None;
        let sampled = Sampled::new(points);
        assert_eq!(
            [10.2, 15.0, 20.4, 5.0].map(|s| sampled.near(s * 1e9)),
            [Some(10.0), None, Some(20.0), None]
        );
        let line = sampled.line();
        let breaks: Vec<f64> =
            line.iter().filter(|(_, value)| value.is_none()).map(|(at, _)| at / 1e9).collect();
        assert_eq!(breaks, [5.0, 15.0]);
    }
}
