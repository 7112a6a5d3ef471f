//! One latency series: a histogram of everything, and one of every second of the run.
//!
//! Invariant: recorders of any number of shards, merged in any order, are bucket-identical to one
//! recorder that saw every value.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use crate::SECOND_NS;

/// Length of an interval.
pub const INTERVAL_NS: u64 = SECOND_NS;

/// A series of values in ns, by the second they belong to.
#[derive(Debug)]
pub struct Recorder {
    total: Histogram<u64>,
    current: Histogram<u64>,
    current_index: u64,
    /// Closed intervals: index and V2 deflate bytes, in order.
    closed: Vec<(u64, Box<[u8]>)>,
}

impl Recorder {
    /// An empty recorder; `empty` gives the bounds of its histograms.
    pub fn new(empty: &Histogram<u64>) -> Self {
        Self { total: empty.clone(), current: empty.clone(), current_index: 0, closed: Vec::new() }
    }

    /// Records one value that belongs to `at_ns` since the start of the schedule. Values beyond the
    /// histogram's range count as its greatest.
    ///
    /// # Panics
    /// If `at_ns` lies in an interval before one that is closed: intervals come in order.
    pub fn record(&mut self, at_ns: u64, value_ns: u64) {
        let index = at_ns / INTERVAL_NS;
        if index != self.current_index {
            assert!(index > self.current_index, "interval {index} is closed already");
            self.close_interval();
            self.current_index = index;
        }
        self.current.saturating_record(value_ns);
        self.total.saturating_record(value_ns);
    }

    /// All values.
    pub fn total(&self) -> &Histogram<u64> {
        &self.total
    }

    /// Every interval that has values, in order: its index (seconds since the start) and histogram.
    pub fn intervals(&mut self) -> impl Iterator<Item = (u64, Histogram<u64>)> {
        self.close_interval();
        self.closed.iter().map(|(index, bytes)| (*index, decode(bytes)))
    }

    /// Adds everything that `other` saw.
    ///
    /// # Panics
    /// If the two were made with different bounds.
    pub fn merge(&mut self, other: &mut Self) {
        self.total.add(&other.total).expect("recorders of a run share their bounds");
        self.close_interval();
        for (index, histogram) in other.intervals() {
            match self.closed.binary_search_by_key(&index, |(index, _)| *index) {
                Ok(at) => {
                    let mut mine = decode(&self.closed[at].1);
                    mine.add(&histogram).expect("recorders of a run share their bounds");
                    self.closed[at].1 = encode(&mine);
                }
                Err(at) => self.closed.insert(at, (index, encode(&histogram))),
            }
        }
        self.current_index = self.closed.last().map_or(0, |(index, _)| index + 1);
    }

    fn close_interval(&mut self) {
        if !self.current.is_empty() {
            self.closed.push((self.current_index, encode(&self.current)));
            self.current.reset();
            self.current_index += 1;
        }
    }
}

fn encode(histogram: &Histogram<u64>) -> Box<[u8]> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a Vec takes any histogram");
    bytes.into()
}

fn decode(bytes: &[u8]) -> Histogram<u64> {
    Deserializer::new().deserialize(&mut &bytes[..]).expect("the recorder reads what it wrote")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(&Histogram::new_with_bounds(1, 3_600_000_000_000, 3).unwrap())
    }

    proptest! {
        /// Shards merged in any order equal one recorder, total and second by second.
        #[test]
        fn merged_shards_equal_one(
            mut values in prop::collection::vec((0..5 * SECOND_NS, 1..20 * SECOND_NS, 0..4usize), 0..200),
            order in Just([0usize, 1, 2, 3]).prop_shuffle(),
        ) {
            values.sort_unstable();
            let mut one = recorder();
            let mut shards = [recorder(), recorder(), recorder(), recorder()];
            for &(at, value, shard) in &values {
                one.record(at, value);
                shards[shard].record(at, value);
            }
            let mut merged = recorder();
            for shard in order {
                merged.merge(&mut shards[shard]);
            }
            prop_assert_eq!(merged.total(), one.total());
            prop_assert_eq!(merged.intervals().collect::<Vec<_>>(), one.intervals().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_intervals_add_up_to_the_total() {
        let mut recorder = recorder();
        for at in 0..40 {
            recorder.record(at * SECOND_NS / 10, at + 1);
        }
        let mut sum = recorder.total().clone();
        sum.reset();
        let indices: Vec<u64> = recorder
            .intervals()
            .map(|(index, h)| {
                sum.add(&h).unwrap();
                index
            })
            .collect();
        assert_eq!(indices, [0, 1, 2, 3]);
        assert_eq!(&sum, recorder.total());
    }
}
