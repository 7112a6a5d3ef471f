//! `.hlog`, read back: the intervals of the series, one after the other.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry, LogIteratorError};

use super::Series;
use crate::quantile::{self, DecodeError};

/// One second of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Interval {
    /// Which.
    pub series: Series,
    /// Its start, since the start of the run.
    pub start_ns: u64,
    /// Its length.
    pub duration_ns: u64,
    /// Its values, in ns.
    pub histogram: Histogram<u64>,
}

/// Why an interval log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No interval log, or none of format 1.3.
    #[error("no interval log at its byte {offset}: `feedmark run` writes one of format 1.3")]
    Format {
        /// Where.
        offset: usize,
    },
    /// A histogram in it cannot be read.
    #[error("interval at {start_s} s: {error}")]
    Histogram {
        /// Start of the interval.
        start_s: f64,
        /// What is wrong with it.
        error: DecodeError,
    },
}

/// Every tagged interval of a log, in the order of the file. Untagged ones are delivery once more, and other tags are
/// not ours: both are left out. Histograms are decoded one at a time, because each takes more than 100 KB.
pub fn intervals(log: &[u8]) -> impl Iterator<Item = Result<Interval, ReadError>> {
    IntervalLogIterator::new(log).filter_map(|entry| match entry {
        Ok(LogEntry::Interval(interval)) => {
            let tag = interval.tag()?;
            let series = Series::ALL.into_iter().find(|series| series.tag() == tag.as_str())?;
            let start = interval.start_timestamp();
            let read = quantile::decode(interval.encoded_histogram())
                .map(|histogram| Interval {
                    series,
                    start_ns: nanoseconds(start),
                    duration_ns: nanoseconds(interval.duration()),
                    histogram,
                })
                .map_err(|error| ReadError::Histogram { start_s: start.as_secs_f64(), error });
            Some(read)
        }
        Ok(_) => None,
        Err(LogIteratorError::ParseError { offset }) => Some(Err(ReadError::Format { offset })),
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
