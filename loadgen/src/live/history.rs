//! A run's seconds as a live view draws them: at most so many points, however long the run.
//!
//! When there are too many, neighbours become one point of twice the length. Their latencies are merged as histograms,
//! never averaged, so a point of eight seconds shows the quantiles of all that arrived in them.
//! Must not know: where the figures come from.

pub use feedmark_reports::live::Point;
use feedmark_reports::quantile::new_histogram;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

/// Points that are kept; even, so that neighbours pair up.
pub const POINTS_MAX: usize = 600;

/// The seconds of a run.
#[derive(Debug)]
pub struct History {
    points: Vec<Point>,
    /// The latencies of each point, V2 deflate: some hundred bytes.
    latencies: Vec<Box<[u8]>>,
    /// Seconds that make a point.
    seconds: u64,
    /// Seconds in the last one.
    in_last: u64,
}

impl Default for History {
    fn default() -> Self {
        Self { points: Vec::new(), latencies: Vec::new(), seconds: 1, in_last: 0 }
    }
}

impl History {
    /// Takes the next second, with the latencies of what arrived in it.
    pub fn push(&mut self, second: Point, latencies: &Histogram<u64>) {
        if self.points.is_empty() || self.in_last == self.seconds {
            if self.points.len() == POINTS_MAX {
                self.halve();
            }
            self.points.push(second.with_latencies(latencies));
            self.latencies.push(encode(latencies));
            self.in_last = 1;
            return;
        }
        let (Some(last), Some(bytes)) = (self.points.last_mut(), self.latencies.last_mut()) else { return };
        let mut merged = decode(bytes);
        add(&mut merged, latencies);
        *last = last.joined(&second).with_latencies(&merged);
        *bytes = encode(&merged);
        self.in_last += 1;
    }

    /// The points, in order: all of one length but the last, which may be shorter.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Every two neighbours become one.
    fn halve(&mut self) {
        let latencies = self.latencies.chunks(2).map(|pair| {
            let mut merged = new_histogram();
            pair.iter().for_each(|bytes| add(&mut merged, &decode(bytes)));
            merged
        });
        let points = self.points.chunks(2).map(|pair| match pair {
            [one, other] => one.joined(other),
            _ => pair[0],
        });
        let (points, latencies) = points
            .zip(latencies)
            .map(|(point, latencies)| (point.with_latencies(&latencies), encode(&latencies)))
            .unzip();
        (self.points, self.latencies) = (points, latencies);
        self.seconds *= 2;
    }
}

fn add(histogram: &mut Histogram<u64>, other: &Histogram<u64>) {
    histogram.add(other).expect("all latency histograms share their bounds");
}

fn encode(histogram: &Histogram<u64>) -> Box<[u8]> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a Vec takes any histogram");
    bytes.into()
}

fn decode(bytes: &[u8]) -> Histogram<u64> {
    Deserializer::new().deserialize(&mut &bytes[..]).expect("the history reads what it wrote")
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn histogram(values_ns: &[u64]) -> Histogram<u64> {
        let mut histogram = new_histogram();
        values_ns.iter().for_each(|ns| histogram.record(*ns).unwrap());
        histogram
    }

    /// Seconds 1, 2, 3 and so on; of each as many deliveries as its number, and one latency: its number in ms.
    fn history(seconds: u64) -> History {
        let mut history = History::default();
        for number in 1..=seconds {
            let second = Point {
                end_ns: number * S,
                length_ns: S,
                posts_per_s: 10.0,
                deliveries_per_s: number as f64,
                hiccup_ns: Some(number),
                target_cores: (number % 2 == 0).then_some(0.5),
                target_bytes: Some(number),
                ..Point::default()
            };
            history.push(second, &histogram(&[number * 1_000_000]));
        }
        history
    }

    #[test]
    fn a_short_run_has_a_point_for_every_second() {
        let history = history(POINTS_MAX as u64);
        assert_eq!(history.points().len(), POINTS_MAX);
        assert!(history.points().iter().zip(1..).all(|(point, number)| point.end_ns == number * S));
        assert_eq!(history.points()[4].max_ns, Some(histogram(&[5_000_000]).max()));
    }

    /// However long it is: never more points than may be, without a gap, of one length but the last, and no delivery is
    /// lost or invented.
    #[test]
    fn a_long_run_has_longer_points() {
        for seconds in [601, 602, 603, 1_200, 1_201, 5_000, 5_003] {
            let history = history(seconds);
            let points = history.points();
            assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points.len()), "{seconds}: {}", points.len());
            let mut at_ns = 0;
            for point in points {
                at_ns += point.length_ns;
                assert_eq!(point.end_ns, at_ns, "{seconds}");
            }
            let (last, others) = points.split_last().unwrap();
            assert!(others.iter().all(|point| point.length_ns == others[0].length_ns), "{seconds}");
            assert!(last.length_ns <= others[0].length_ns, "{seconds}");
            let deliveries: f64 =
                points.iter().map(|point| point.deliveries_per_s * point.length_ns as f64 / 1e9).sum();
            assert!(
                (deliveries - (seconds * (seconds + 1) / 2) as f64).abs() < 1e-3,
                "{seconds}: {deliveries}"
            );
        }
    }

    #[test]
    fn latencies_of_neighbours_are_merged_and_never_averaged() {
        let mut history = History::default();
        let second = |number| Point { end_ns: number * S, length_ns: S, ..Point::default() };
        // One slow delivery beside ninety-nine fast ones: the median of both is fast.
        history.push(second(1), &histogram(&[900_000_000]));
        history.push(second(2), &histogram(&[1_000; 99]));
        for number in 3..=POINTS_MAX as u64 + 1 {
            history.push(second(number), &histogram(&[]));
        }
        let point = history.points()[0];
        assert_eq!((point.end_ns, point.length_ns), (2 * S, 2 * S));
        let both = histogram(&[&[900_000_000][..], &[1_000; 99]].concat());
        assert_eq!(point, second(2).joined(&second(2)).with_latencies(&both));
        assert_eq!(point.p50_ns, Some(both.value_at_quantile(0.5)));
        assert!(point.p50_ns < Some(2_000) && point.max_ns > Some(899_000_000));
        assert_eq!(history.points()[1].p50_ns, None, "nothing arrived");
    }

    #[test]
    fn what_is_not_latency_is_a_mean_a_greatest_or_the_latest() {
        let history = history(POINTS_MAX as u64 + 1);
        let point = history.points()[1];
        assert_eq!((point.posts_per_s, point.deliveries_per_s), (10.0, 3.5));
        assert_eq!((point.hiccup_ns, point.target_cores, point.target_bytes), (Some(4), Some(0.5), Some(4)));
        assert_eq!(point.generator_cores, None);
    }
}
