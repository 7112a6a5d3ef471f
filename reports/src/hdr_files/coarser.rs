//! An interval log with longer intervals: fewer bytes, the same values.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::{IntervalLog, Series, intervals};
use crate::quantile::new_histogram;

/// The same log with intervals of `interval_ns`; `None` of what is no log of ours. Late and missing deliveries are not in it.
pub(crate) fn coarser(log: &[u8], interval_ns: u64, beyond_deadline: u64) -> Option<Vec<u8>> {
    let start = IntervalLogIterator::new(log).find_map(|entry| match entry {
        Ok(LogEntry::StartTime(start)) => Some(start.as_secs_f64()),
        _ => None,
    })?;
    let mut coarse = IntervalLog::create(Vec::new(), start).ok()?;
    let mut open: [Option<Histogram<u64>>; Series::ALL.len()] = Default::default();
    let (mut origin_ns, mut open_index) = (None, 0);
    let flush = |coarse: &mut IntervalLog<Vec<u8>>, open: &mut [Option<Histogram<u64>>], start_ns| {
        for series in Series::ALL {
            if let Some(sum) = open[series as usize].take() {
                coarse.interval(series, start_ns, interval_ns, &sum).ok()?;
            }
        }
        Some(())
    };
    for interval in intervals(log) {
        let interval = interval.ok()?;
        let origin_ns = *origin_ns.get_or_insert(interval.start_ns);
        let index = interval.start_ns.saturating_sub(origin_ns) / interval_ns;
        if index != open_index {
            flush(&mut coarse, &mut open, origin_ns + open_index * interval_ns)?;
            open_index = index;
        }
        let sum = open[interval.series as usize].get_or_insert_with(new_histogram);
        sum.add(&interval.histogram).ok()?;
    }
    flush(&mut coarse, &mut open, origin_ns.unwrap_or(0) + open_index * interval_ns)?;
    coarse.finish(beyond_deadline).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn no_value_is_lost_and_intervals_keep_their_places() {
        let mut log = IntervalLog::create(Vec::new(), 1.77e9).unwrap();
        for second in 0..25 {
            let mut histogram = new_histogram();
            histogram.record((second + 1) * 1_000_000).unwrap();
            log.interval(Series::Delivery, 7 * S + second * S, S, &histogram).unwrap();
            log.interval(Series::Hiccup, 7 * S + second * S, S, &histogram).unwrap();
        }
        let coarse = coarser(&log.finish(3).unwrap(), 10 * S, 3).unwrap();
        let found: Vec<_> = intervals(&coarse).map(Result::unwrap).collect();
        let of = |series| found.iter().filter(move |interval| interval.series == series);
        let places: Vec<_> =
            of(Series::Delivery).map(|one| (one.start_ns / S, one.histogram.len())).collect();
        assert_eq!(places, [(7, 10), (17, 10), (27, 5)]);
        assert_eq!(of(Series::Hiccup).map(|one| one.histogram.len()).sum::<u64>(), 25);
        assert!(String::from_utf8(coarse).unwrap().contains("# 3 late or missing"));
        assert_eq!(coarser(b"nonsense", S, 0), None);
    }
}
