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
const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

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
}

impl Series {
    /// Every series, in the order of the file.
    pub const ALL: [Self; 7] = [
        Self::Delivery,
        Self::FirstDelivery,
        Self::FullFanout,
        Self::Spread,
        Self::ResponseTime,
        Self::SendLag,
        Self::ReceiveDelay,
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
        }
    }
}

/// Why an interval log could not be written.
#[derive(Debug, thiserror::Error)]
pub enum IntervalLogError {
    /// The file, or whatever stands behind the writer, refused.
    #[error("cannot write the interval log: {0}; free some space or choose another folder with --out")]
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
    /// Writes the head of a log. `start_unix_s` is the start of the run in seconds since 1970.
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
            .add_comment(" values: ns; Interval_Max: ms; untagged intervals: delivery latency, as Tag=delivery")
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
