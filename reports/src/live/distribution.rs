//! A latency histogram in the buckets that monitoring systems know: fixed limits, and powers of two split evenly.
//!
//! Sources: Prometheus's native histograms (schema n: 2^n buckets to every doubling) and its classic buckets. Every value
//! goes where the upper end of its HDR bucket goes, so counts are exact within the histogram's own resolution.

use hdrhistogram::Histogram;

const NS_PER_S: f64 = 1e9;

/// Upper limits of the fixed buckets, in seconds; what lies above the last is in a bucket without one.
pub const LIMITS_S: [f64; 28] = [
    0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2,
    0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 60.0,
];

/// Native buckets to every doubling are 2 to the power of this: each is 9 % wide.
pub const SCHEMA: i32 = 3;

/// How often each latency was seen, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Values.
    pub count: u64,
    /// All values together.
    pub sum_s: f64,
    /// Values up to each of [`LIMITS_S`] and above the one before it, and those above the last.
    pub fixed: Vec<u64>,
    /// Native buckets that have values, in order: index i is (2^((i-1)/2^n), 2^(i/2^n)] with n = [`SCHEMA`].
    pub native: Vec<(i32, u64)>,
}

impl Distribution {
    /// Of a histogram in ns.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let mut fixed = vec![0; LIMITS_S.len() + 1];
        let mut native: Vec<(i32, u64)> = Vec::new();
        for bucket in histogram.iter_recorded() {
            let (seconds, count) = (bucket.value_iterated_to() as f64 / NS_PER_S, bucket.count_at_value());
            fixed[LIMITS_S.partition_point(|limit| *limit < seconds)] += count;
            let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
            match native.last_mut() {
                Some((last, counted)) if *last == index => *counted += count,
                _ => native.push((index, count)),
            }
        }
        let sum_s = histogram.mean() * histogram.len() as f64 / NS_PER_S;
        Self { count: histogram.len(), sum_s, fixed, native }
    }

    /// The native buckets as Prometheus writes them: runs of neighbours (gap before it, length), and each count less the
    /// one before it.
    pub fn spans(&self) -> (Vec<(i32, u32)>, Vec<i64>) {
        let (mut spans, mut deltas) = (Vec::<(i32, u32)>::new(), Vec::new());
        let (mut next, mut before) = (0, 0);
        for &(index, count) in &self.native {
            match spans.last_mut() {
                Some((_, length)) if index == next => *length += 1,
                _ => spans.push((index - next, 1)),
            }
            deltas.push(count as i64 - before);
            (next, before) = (index + 1, count as i64);
        }
        (spans, deltas)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantile::new_histogram;

    fn distribution(values_ns: &[u64]) -> Distribution {
        let mut histogram = new_histogram();
        values_ns.iter().for_each(|ns| histogram.record(*ns).unwrap());
        Distribution::of(&histogram)
    }

    #[test]
    fn nothing_is_in_no_bucket() {
        let empty = distribution(&[]);
        assert_eq!((empty.count, empty.sum_s, empty.fixed.iter().sum()), (0, 0.0, 0));
        assert_eq!(empty.spans(), (vec![], vec![]));
    }

    #[test]
    fn values_lie_between_the_limits_of_their_bucket() {
        let few = distribution(&[400_000, 1_200_000, 1_300_000, 90_000_000_000]);
        assert_eq!((few.fixed[0], few.fixed[2], few.fixed[LIMITS_S.len()]), (1, 2, 1));
        assert_eq!(few.count, 4);
        assert!((few.sum_s - 90.0029).abs() < 0.05, "{}", few.sum_s);
        // 2^(-78/8) is 1.16 ms, 2^(-77/8) 1.27 ms, 2^(-76/8) 1.38 ms.
        assert_eq!(few.native[1..3], [(-77, 1), (-76, 1)]);
        let (spans, deltas) = few.spans();
        assert_eq!((spans.len(), spans[1].1), (3, 2));
        assert_eq!(deltas, [1, 0, 0, 0]);
    }

    proptest! {
        /// Whatever was recorded: every value is counted once on either side, spans and deltas say the native buckets again,
        /// and no value lies outside its bucket by more than the histogram's resolution.
        #[test]
        fn every_value_is_counted_once(values_ns in prop::collection::vec(1..3_600_000_000_000u64, 0..200)) {
            let all = distribution(&values_ns);
            prop_assert_eq!(all.fixed.iter().sum::<u64>(), values_ns.len() as u64);
            let (spans, deltas) = all.spans();
            let (mut index, mut count, mut deltas) = (0, 0, deltas.into_iter());
            let mut again = Vec::new();
            for (gap, length) in spans {
                index += gap;
                for _ in 0..length {
                    count += deltas.next().unwrap();
                    again.push((index, count as u64));
                    index += 1;
                }
            }
            prop_assert_eq!(&again, &all.native);
            for (index, count) in &all.native {
                let upper_s = (f64::from(*index) / 8.0).exp2();
                let lower_s = (f64::from(*index - 1) / 8.0).exp2();
                let inside = |ns: &&u64| {
                    let seconds = **ns as f64 / 1e9;
                    seconds > lower_s * 0.998 && seconds <= upper_s * 1.000_001
                };
                prop_assert!(values_ns.iter().filter(inside).count() as u64 >= *count);
            }
        }
    }
}
