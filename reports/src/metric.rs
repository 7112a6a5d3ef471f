//! The figures of a run by name: what thresholds, comparisons and gates speak about.
//!
//! Invariant: a name and its figure belong together here and nowhere else; [`Metric`] prints as it is parsed.
//! Must not know: what is allowed, and who asks.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantile::{Quantile, is_supported};
use crate::run_result::ProcessUse;
use crate::units::{bytes, duration, number, seconds};
use crate::{LatencySummary, RunResult};

/// A figure of a run; in JSON its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// A quantile of a latency series, `delivery p99`.
    Latency(Series, Rank),
    /// A number of things, `missing`.
    Count(Count),
    /// Share of the owed pairs that were delivered within the deadline, `completeness`.
    Completeness,
    /// CPU time per million deliveries of the steady phase, `target cpu_per_million`.
    CpuPerMillion(Side),
    /// Greatest resident memory, `target peak_memory`.
    PeakMemory(Side),
}

/// A point of a latency series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rank {
    /// The quantile, in (0, 1), `p99.9` as a percentile.
    Quantile(f64),
    /// The greatest value.
    Max,
}

impl TryFrom<String> for Metric {
    type Error = MetricError;

    fn try_from(name: String) -> Result<Self, MetricError> {
        name.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MetricUnit")]
pub enum Unit {
    /// Nanoseconds of latency.
    Ns,
    /// Seconds of CPU time.
    CpuSeconds,
    /// Bytes.
    Bytes,
    /// A share, as a percentage from 0 to 100.
    Percent,
    /// A number of things.
    Count,
}

/// A figure as one run has it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// In the metric's [`Unit`].
    Number(f64),
    /// The rank falls on a delivery that was late or missing, or on a reply that never came.
    BeyondDeadline,
    /// The run did not measure it.
    NotMeasured,
}

impl Unit {
    /// True for what is counted, or a share of it: it is exact in every run and needs no statistics (METHOD section 5).
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::Count | Self::Percent)
    }

    /// A number of this unit, as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Ns => duration(value as u64),
            Self::CpuSeconds => seconds(value),
            Self::Bytes => bytes(value as u64),
            Self::Percent => format!("{} %", number(value)),
            Self::Count => number(value),
        }
    }
}

impl Value {
    /// The number, if it is one.
    pub const fn number(self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number),
            Self::BeyondDeadline | Self::NotMeasured => None,
        }
    }
}

macro_rules! names {
    ($(#[$attribute:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $($(#[$doc])* $variant,)*
        }

        impl $type {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|this| this.name() == name)
            }
        }
    };
}

names! {
    /// A latency series.
    Series {
        /// Arrival - intended time, over owed pairs.
        Delivery = "delivery",
        /// First delivery of a post - intended time.
        FirstDelivery = "first_delivery",
        /// Last owed delivery of a post - intended time.
        FullFanout = "full_fanout",
        /// Full fan-out - first delivery.
        Spread = "spread",
        /// POST's response complete - actual send.
        ServiceTime = "service_time",
        /// POST's response complete - intended time.
        ResponseTime = "response_time",
        /// Actual send - intended time.
        SendLag = "send_lag",
        /// Processing - kernel receive stamp.
        ReceiveDelay = "receive_delay",
        /// From the first byte of a connection to its confirmed Socket.IO CONNECT.
        Connect = "connect",
    }
}

names! {
    /// A number of things that should not happen.
    Count {
        /// Owed pairs that never arrived.
        Missing = "missing",
        /// Owed pairs that arrived after the deadline.
        Late = "late",
        /// Extra copies of an owed pair.
        Duplicate = "duplicate",
        /// First copies that a later post of the same writer overtook.
        Reordered = "reordered",
        /// Deliveries that nobody was owed.
        Unexpected = "unexpected",
        /// Posts that were refused or never answered.
        FailedPosts = "failed_posts",
        /// Posts that were never sent, the most posts being in flight.
        DroppedPosts = "dropped_posts",
        /// Subscribers that could not connect.
        FailedConnections = "failed_connections",
        /// Subscribers that lost their connection.
        LostConnections = "lost_connections",
    }
}

names! {
    /// Whose resources.
    Side {
        /// The server under load, where its process is known.
        Target = "target",
        /// The load generator.
        Generator = "generator",
    }
}

const CPU_PER_MILLION: &str = "cpu_per_million";
const PEAK_MEMORY: &str = "peak_memory";
const COMPLETENESS: &str = "completeness";

impl Series {
    /// Its values come from the deliveries of a post, and are infinite where one that they need is late or missing.
    pub const fn is_of_deliveries(self) -> bool {
        matches!(self, Self::Delivery | Self::FirstDelivery | Self::FullFanout | Self::Spread)
    }

    /// The series as a run has it.
    pub const fn of(self, run: &RunResult) -> &LatencySummary {
        let latency = &run.latency_ns;
        match self {
            Self::Delivery => &latency.delivery,
            Self::FirstDelivery => &latency.first_delivery,
            Self::FullFanout => &latency.full_fanout,
            Self::Spread => &latency.spread,
            Self::ServiceTime => &latency.service_time,
            Self::ResponseTime => &latency.response_time,
            Self::SendLag => &latency.send_lag,
            Self::ReceiveDelay => &latency.receive_delay,
            Self::Connect => &run.connections.connect_ns.total,
        }
    }
}

impl Count {
    /// How many there were in the steady phase, or for connections in the run.
    pub const fn of(self, run: &RunResult) -> u64 {
        match self {
            Self::Missing => run.deliveries.missing,
            Self::Late => run.deliveries.late,
            Self::Duplicate => run.deliveries.duplicate,
            Self::Reordered => run.deliveries.reordered,
            Self::Unexpected => run.deliveries.unexpected,
            Self::FailedPosts => run.posts.failed,
            Self::DroppedPosts => run.posts.dropped,
            Self::FailedConnections => run.connections.failed,
            Self::LostConnections => run.connections.lost,
        }
    }
}

impl Side {
    const fn of(self, run: &RunResult) -> Option<&ProcessUse> {
        match self {
            Self::Target => run.resources.target.as_ref(),
            Self::Generator => Some(&run.resources.generator),
        }
    }
}

impl Rank {
    /// The quantile in (0, 1]; 1 is the greatest value.
    pub const fn quantile(self) -> f64 {
        match self {
            Self::Quantile(quantile) => quantile,
            Self::Max => 1.0,
        }
    }
}

impl Metric {
    /// The figure, ranked over everything that was owed, whether or not the samples support printing it.
    pub fn of(self, run: &RunResult) -> Value {
        let measured = |number: Option<f64>| number.map_or(Value::NotMeasured, Value::Number);
        match self {
            Self::Latency(series, rank) => match series.of(run).value_at(rank.quantile()) {
                Quantile::Ns(ns) => Value::Number(ns as f64),
                Quantile::BeyondDeadline => Value::BeyondDeadline,
                Quantile::NotAvailable => Value::NotMeasured,
            },
            Self::Count(count) => Value::Number(count.of(run) as f64),
            Self::Completeness => {
                let owed = run.deliveries.owed;
                measured((owed > 0).then(|| 100.0 * run.deliveries.delivered as f64 / owed as f64))
            }
            Self::CpuPerMillion(side) => {
                measured(side.of(run).and_then(|process| process.cpu_s_per_million_deliveries))
            }
            Self::PeakMemory(side) => measured(side.of(run).map(|process| process.peak_memory_bytes as f64)),
        }
    }

    /// True where the samples of the run support printing the figure (METHOD V9). The greatest value is a fact, not an
    /// estimate, and so is every count.
    pub fn is_supported(self, run: &RunResult) -> bool {
        match self {
            Self::Latency(series, Rank::Quantile(quantile)) => {
                let summary = series.of(run);
                // What was never measured does not lack samples.
                summary.count == 0 || is_supported(summary.effective_samples, quantile)
            }
            _ => true,
        }
    }

    /// What its numbers are in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Latency(..) => Unit::Ns,
            Self::Count(_) => Unit::Count,
            Self::Completeness => Unit::Percent,
            Self::CpuPerMillion(_) => Unit::CpuSeconds,
            Self::PeakMemory(_) => Unit::Bytes,
        }
    }

    /// True where a greater number is the better one.
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::Completeness)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(series, rank) => write!(f, "{} {rank}", series.name()),
            Self::Count(count) => f.write_str(count.name()),
            Self::Completeness => f.write_str(COMPLETENESS),
            Self::CpuPerMillion(side) => write!(f, "{} {CPU_PER_MILLION}", side.name()),
            Self::PeakMemory(side) => write!(f, "{} {PEAK_MEMORY}", side.name()),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Rounded to what a percentile can be written with, so that 0.999 * 100 prints as 99.9.
            Self::Quantile(quantile) => write!(f, "p{}", (quantile * 1e8).round() / 1e6),
            Self::Max => f.write_str("max"),
        }
    }
}

/// Why a text names no metric, and the part of the text that is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct MetricError {
    /// Byte offset of the part in the text.
    pub at: usize,
    /// What is wrong with it, and what is allowed.
    pub problem: String,
}

impl FromStr for Metric {
    type Err = MetricError;

    /// One or two words, separated by blanks.
    fn from_str(text: &str) -> Result<Self, MetricError> {
        let mut words = words(text);
        let end = text.trim_end().len();
        let (at, word) = words.next().unwrap_or((end, ""));
        let second = words.next();
        if let Some((at, word)) = words.next() {
            return Err(wrong(at, format!("`{word}` is one word too many: a metric is one word or two")));
        }
        let missing = |what: String| wrong(end, format!("`{word}` needs a second word: {what}"));
        if let Some(series) = Series::named(word) {
            let (at, rank) = second.ok_or_else(|| missing(RANKS.to_owned()))?;
            return Ok(Self::Latency(series, parse_rank(at, rank)?));
        }
        if let Some(side) = Side::named(word) {
            let choice = || format!("{CPU_PER_MILLION} or {PEAK_MEMORY}");
            return match second.ok_or_else(|| missing(choice()))? {
                (_, CPU_PER_MILLION) => Ok(Self::CpuPerMillion(side)),
                (_, PEAK_MEMORY) => Ok(Self::PeakMemory(side)),
                (at, other) => Err(wrong(at, format!("`{other}` is not measured: {}", choice()))),
            };
        }
        let alone = match word {
            COMPLETENESS => Self::Completeness,
            _ => Self::Count(Count::named(word).ok_or_else(|| unknown(at, word))?),
        };
        match second {
            None => Ok(alone),
            Some((at, second)) => {
                Err(wrong(at, format!("`{second}` is one word too many: `{word}` stands alone")))
            }
        }
    }
}

const RANKS: &str = "a percentile such as p50, p99 or p99.9, or max";

/// Percentiles are written with at most this many digits after the point.
const PERCENTILE_DECIMALS_MAX: usize = 4;

fn parse_rank(at: usize, word: &str) -> Result<Rank, MetricError> {
    let refused = || wrong(at, format!("`{word}` is no percentile: write {RANKS}"));
    if word == "max" {
        return Ok(Rank::Max);
    }
    let digits = word.strip_prefix('p').ok_or_else(refused)?;
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let written_plainly = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percentile: f64 = digits.parse().map_err(|_| refused())?;
    let allowed =
        written_plainly && decimals <= PERCENTILE_DECIMALS_MAX && percentile > 0.0 && percentile < 100.0;
    if allowed { Ok(Rank::Quantile(percentile / 100.0)) } else { Err(refused()) }
}

fn unknown(at: usize, word: &str) -> MetricError {
    let series = Series::ALL.iter().map(|series| series.name());
    let counts = Count::ALL.iter().map(|count| count.name());
    let sides = Side::ALL.iter().map(|side| side.name());
    let known: Vec<&str> = series.chain([COMPLETENESS]).chain(counts).chain(sides).collect();
    wrong(at, format!("`{word}` is no metric: known are {}", known.join(", ")))
}

fn wrong(at: usize, problem: String) -> MetricError {
    MetricError { at, problem }
}

/// Words with their byte offsets.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // Every word is a part of the text, so the distance of their beginnings is its offset.
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample;

    #[test]
    fn every_name_is_parsed_as_it_is_printed() {
        let ranks = ["p50", "p99", "p99.9", "p99.9999", "p0.1", "max"];
        let latencies =
            Series::ALL.iter().flat_map(|series| ranks.map(|rank| format!("{} {rank}", series.name())));
        let counts = Count::ALL.iter().map(|count| count.name().to_owned());
        let sides = Side::ALL
            .iter()
            .flat_map(|side| [CPU_PER_MILLION, PEAK_MEMORY].map(|what| format!("{} {what}", side.name())));
        for name in latencies.chain(counts).chain(sides).chain([COMPLETENESS.to_owned()]) {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn figures_come_from_where_the_name_says() {
        let run = sample::lossy();
        let value = |name: &str| name.parse::<Metric>().unwrap().of(&run);
        assert_eq!(value("missing"), Value::Number(run.deliveries.missing as f64));
        let owed = run.deliveries.owed as f64;
        assert_eq!(value("completeness"), Value::Number(100.0 * run.deliveries.delivered as f64 / owed));
        let Quantile::Ns(p50_ns) = run.latency_ns.delivery.p50 else { panic!("the sample has a median") };
        assert_eq!(value("delivery p50"), Value::Number(p50_ns as f64));
        assert_eq!(value("delivery max"), Value::BeyondDeadline);
        let mut without = run.clone();
        without.resources.target = None;
        assert_eq!("target cpu_per_million".parse::<Metric>().unwrap().of(&without), Value::NotMeasured);
        without.deliveries.owed = 0;
        assert_eq!(Metric::Completeness.of(&without), Value::NotMeasured);
    }

    #[test]
    fn a_quantile_needs_samples_and_nothing_else_does() {
        let run = sample::run();
        for (name, supported) in [
            ("delivery p90", true),
            ("delivery p99", false),
            ("delivery max", true),
            ("connect p99", true),
            ("missing", true),
        ] {
            assert_eq!(name.parse::<Metric>().unwrap().is_supported(&run), supported, "{name}");
        }
        let mut empty = run;
        empty.latency_ns.delivery = sample::latency(0, 1, 1, 0, 0.0);
        assert!(
            "delivery p99".parse::<Metric>().unwrap().is_supported(&empty),
            "not measured is not too little"
        );
    }

    #[test]
    fn numbers_are_shown_with_their_unit() {
        for (unit, value, shown) in [
            (Unit::Ns, 12_340_000.0, "12.3 ms"),
            (Unit::CpuSeconds, 8.4, "8.40 s"),
            (Unit::Bytes, 61_800_000.0, "61.8 MB"),
            (Unit::Percent, 99.98, "99.98 %"),
            (Unit::Count, 1_234.5, "1,234.5"),
        ] {
            assert_eq!(unit.show(value), shown);
        }
    }

    #[test]
    fn what_is_refused_is_named_with_its_place() {
        for (text, at, part) in [
            ("", 0, "known are delivery"),
            ("latency p99", 0, "`latency` is no metric"),
            ("delivery", 8, "needs a second word"),
            ("delivery 99", 9, "`99` is no percentile"),
            ("delivery p100", 9, "p99.9"),
            ("delivery p0", 9, "p99.9"),
            ("delivery p1e1", 9, "p99.9"),
            ("delivery p99.99999", 9, "p99.9"),
            ("  target speed", 9, "cpu_per_million or peak_memory"),
            ("missing p99", 8, "stands alone"),
            ("delivery p99 p50", 13, "too many"),
        ] {
            let error = text.parse::<Metric>().unwrap_err();
            assert!(error.problem.contains(part), "{text}: {error}");
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    proptest! {
        /// Whatever is written, it is a metric or a place in the text that is at fault.
        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}|(delivery|target|missing) \\PC{0,12}") {
            match text.parse::<Metric>() {
                Ok(metric) => prop_assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric),
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
