//! `.hlog`: the interval log, format 1.3, as the Java `HistogramLogWriter` writes it.
//!
//! Invariants:
//! * Every payload is a V2 deflate histogram: other readers do not decode the uncompressed form.
//! * Delivery stands untagged and tagged, because most readers show only untagged lines by default;
//!   every other series stands tagged only. Adding up all lines would count delivery twice.
//! * Time stamps are seconds since `StartTime`.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};
use hdrhistogram::serialization::{V2DeflateSerializeError, V2DeflateSerializer};

use super::{NS_PER_PRINTED_UNIT, beyond_deadline_comment};
use crate::quantile::assert_shared_bounds;

const FORMAT_VERSION: &str = "[Histogram log format version 1.3]";
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// A latency series of the interval log (METHOD section 1 defines each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Series {
    /// Delivery latency.
    Delivery,
    /// First delivery of a post.
    FirstDelivery,
    /// Full fan-out of a post.
    FullFanout,
    /// Full fan-out - first delivery.
    Spread,
    /// Response time of the POST, from its intended time.
    ResponseTime,
    /// Lateness of the generator's send.
    SendLag,
    /// Wait of a frame in the generator's own kernel.
    ReceiveDelay,
    /// Lateness of the sleepers beside the generator's threads, all groups together.
    Hiccup,
}

impl Series {
    /// Every series, in the order of the file.
    pub const ALL: [Self; 8] = [
        Self::Delivery,
        Self::FirstDelivery,
        Self::FullFanout,
        Self::Spread,
        Self::ResponseTime,
        Self::SendLag,
        Self::ReceiveDelay,
        Self::Hiccup,
    ];

    /// The `Tag=` of the series; free of commas, blanks and line ends, which the format forbids.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::FirstDelivery => "first",
            Self::FullFanout => "full",
            Self::Spread => "spread",
            Self::ResponseTime => "ack",
            Self::SendLag => "send_lag",
            Self::ReceiveDelay => "recv_delay",
            Self::Hiccup => "hiccup",
        }
    }
}

/// Why an interval log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum IntervalLogError {
    /// The file, or whatever stands behind the writer, refused.
    #[error("cannot write the interval log: {0}")]
    Io(#[from] io::Error),
    /// The histogram cannot be serialized.
    #[error("cannot encode a histogram of the interval log: {0:?}")]
    Encode(V2DeflateSerializeError),
    /// The start of the run is no time after the epoch.
    #[error("start time {0} s is no time: give seconds since 1970, at least 0 and finite")]
    StartTime(f64),
}

impl From<IntervalLogWriterError<V2DeflateSerializeError>> for IntervalLogError {
    fn from(error: IntervalLogWriterError<V2DeflateSerializeError>) -> Self {
        match error {
            IntervalLogWriterError::SerializeError(error) => Self::Encode(error),
            IntervalLogWriterError::IoError(error) => Self::Io(error),
        }
    }
}

/// Writes an `.hlog` interval by interval; what was written stays readable if the run breaks off.
///
/// Intervals should come in the order of their start: readers that cut a time range rely on it.
pub struct IntervalLog<W: Write> {
    writer: W,
    builder: IntervalLogWriterBuilder,
    serializer: V2DeflateSerializer,
    /// Length of what the builder writes before the first interval. The library's log writer borrows
    /// its sink for as long as it lives, so each interval is formatted by a fresh one into `scratch`,
    /// and this much is the repeated head.
    head_len: usize,
    scratch: Vec<u8>,
}

impl<W: Write> std::fmt::Debug for IntervalLog<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntervalLog").finish_non_exhaustive()
    }
}

impl<W: Write> IntervalLog<W> {
    /// Writes the head of a log. `start_unix_s` is the start of the run in seconds since 1970. Each
    /// interval is one small write, so `writer` should be buffered.
    ///
    /// # Errors
    /// When the start is no time or the writer refuses.
    pub fn create(mut writer: W, start_unix_s: f64) -> Result<Self, IntervalLogError> {
        let start = Duration::try_from_secs_f64(start_unix_s)
            .ok()
            .and_then(|since_epoch| SystemTime::UNIX_EPOCH.checked_add(since_epoch))
            .ok_or(IntervalLogError::StartTime(start_unix_s))?;
        let mut builder = IntervalLogWriterBuilder::new();
        builder
            .add_comment(FORMAT_VERSION)
            .add_comment(
                " values: ns; Interval_Max: ms; untagged intervals: delivery latency, as Tag=delivery",
            )
            .with_start_time(start)
            .with_max_value_divisor(NS_PER_PRINTED_UNIT);
        let mut serializer = V2DeflateSerializer::new();
        let mut scratch = Vec::new();
        builder.begin_log_with(&mut scratch, &mut serializer)?;
        let head_len = scratch.len();
        writer.write_all(&scratch)?;
        writer.write_all(LEGEND.as_bytes())?;
        Ok(Self { writer, builder, serializer, head_len, scratch })
    }

    /// Writes one interval of one series: its start since the start of the run, its length, and a
    /// histogram of nanoseconds.
    ///
    /// # Errors
    /// When the writer refuses.
    ///
    /// # Panics
    /// When the histogram does not have the bounds that every latency series shares.
    pub fn interval(
        &mut self,
        series: Series,
        start_offset_ns: u64,
        duration_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), IntervalLogError> {
        assert_shared_bounds(histogram);
        let tag = Tag::new(series.tag());
        assert!(tag.is_some(), "the tag of a series is legal");
        if series == Series::Delivery {
            self.line(None, start_offset_ns, duration_ns, histogram)?;
        }
        self.line(tag, start_offset_ns, duration_ns, histogram)
    }

    /// Writes a comment; line ends in it are replaced by blanks.
    ///
    /// # Errors
    /// When the writer refuses.
    pub fn comment(&mut self, text: &str) -> Result<(), IntervalLogError> {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Ok(writeln!(self.writer, "# {}", text.trim())?)
    }

    /// Says how many late and missing deliveries the log cannot hold, and flushes.
    ///
    /// # Errors
    /// When the writer refuses.
    pub fn finish(mut self, beyond_deadline: u64) -> Result<W, IntervalLogError> {
        self.comment(&beyond_deadline_comment(beyond_deadline, "log"))?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn line(
        &mut self,
        tag: Option<Tag<'_>>,
        start_offset_ns: u64,
        duration_ns: u64,
        histogram: &Histogram<u64>,
    ) -> Result<(), IntervalLogError> {
        self.scratch.clear();
        self.builder.begin_log_with(&mut self.scratch, &mut self.serializer)?.write_histogram(
            histogram,
            Duration::from_nanos(start_offset_ns),
            Duration::from_nanos(duration_ns),
            tag,
        )?;
        Ok(self.writer.write_all(&self.scratch[self.head_len..])?)
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogHistogram, IntervalLogIterator, LogEntry};

    use super::*;
    use crate::quantile::{decode, new_histogram};

    const S: u64 = 1_000_000_000;

    fn log() -> String {
        let mut log = IntervalLog::create(Vec::new(), 1_760_000_000.25).unwrap();
        for second in 0..3 {
            let mut histogram = new_histogram();
            (1..=second * 100).for_each(|i| histogram.record(i * 1_000_003).unwrap());
            for series in Series::ALL {
                log.interval(series, second * S, S, &histogram).unwrap();
            }
        }
        log.comment("two\nlines").unwrap();
        String::from_utf8(log.finish(7).unwrap()).unwrap()
    }

    #[test]
    fn has_the_head_that_readers_look_for() {
        let text = log();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert!(text.contains("\n#[StartTime: 1760000000.250 (seconds since epoch)]\n"), "{text}");
        assert_eq!(lines.iter().filter(|line| **line == LEGEND.trim_end()).count(), 1);
        assert_eq!(lines.iter().filter(|line| line.contains("MaxValueDivisor")).count(), 1);
        assert!(
            text.ends_with("# two lines\n# 7 late or missing deliveries are not in this log\n"),
            "{text}"
        );
    }

    /// Read back with the library: the untagged intervals add up to delivery, and so do the tagged ones.
    #[test]
    fn delivery_stands_untagged_and_tagged() {
        let text = log();
        let entries: Vec<LogEntry<'_>> =
            IntervalLogIterator::new(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(entries[0], LogEntry::StartTime(Duration::from_millis(1_760_000_000_250)));
        let intervals: Vec<&IntervalLogHistogram<'_>> = entries[1..]
            .iter()
            .map(|entry| match entry {
                LogEntry::Interval(interval) => interval,
                other => panic!("{other:?} among the intervals"),
            })
            .collect();
        assert_eq!(intervals.len(), 3 * (Series::ALL.len() + 1));
        let sum = |tag: Option<&str>| {
            let mut sum = new_histogram();
            for interval in intervals.iter().filter(|interval| interval.tag().map(|tag| tag.as_str()) == tag)
            {
                sum.add(decode(interval.encoded_histogram()).unwrap()).unwrap();
            }
            sum
        };
        assert_eq!(sum(None).len(), 300);
        for series in Series::ALL {
            assert_eq!(sum(Some(series.tag())), sum(None), "{series:?}");
        }
        let last = intervals[intervals.len() - 1];
        assert_eq!(
            (last.start_timestamp(), last.duration()),
            (Duration::from_secs(2), Duration::from_secs(1))
        );
        assert!((last.max() - 200.0).abs() < 0.2, "{} ms", last.max());
    }

    #[test]
    fn a_time_before_the_epoch_is_refused() {
        for start in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            let error = IntervalLog::create(Vec::new(), start).unwrap_err().to_string();
            assert!(error.contains("seconds since 1970"), "{error}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut room = [0_u8; 400];
        let error = IntervalLog::create(room.as_mut_slice(), 1.0)
            .and_then(|mut log| log.interval(Series::Delivery, 0, S, &new_histogram()))
            .and_then(|()| IntervalLog::create([0_u8; 10].as_mut_slice(), 1.0).map(|_| ()))
            .unwrap_err();
        assert!(matches!(error, IntervalLogError::Io(_)), "{error}");
    }
}
