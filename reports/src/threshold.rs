//! What a run must keep to: `delivery p99 < 250ms`, `missing == 0`, as people write it.
//!
//! Invariants: a [`Threshold`] prints as it is parsed; whatever could never hold, or could never be judged, is refused
//! when it is written, with the place in the text. The grammar stands in `docs/gates.md`.
//! Must not know: where the figures come from ([`judge`] is given them).

pub mod judge;
mod parse;
pub mod result;
#[cfg(test)]
mod tests;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::{Count, Metric, Rank, Series};
pub use parse::ThresholdError;
pub(crate) use parse::with_caret;

/// Most thresholds of one run: each of a latency costs a number per post.
pub const THRESHOLDS_MAX: usize = 16;
/// Shortest window.
pub const WINDOW_NS_MIN: u64 = 1_000_000_000;
/// Longest window and greatest latency that can be asked for.
pub const TIME_NS_MAX: u64 = 3_600_000_000_000;

/// A limit on a figure; in JSON its expression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Threshold {
    /// What is limited.
    pub metric: Metric,
    /// On which side of the limit the figure has to lie.
    pub operator: Operator,
    /// The limit, in a unit of the metric.
    pub limit: Amount,
    /// Length of the windows that are judged one by one; `None` judges the steady phase as a whole.
    pub window: Option<Amount>,
    /// What comes of it.
    pub role: Role,
}

/// What comes of a threshold that does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// The run fails.
    #[default]
    Decides,
    /// It is said, and decides nothing.
    Advises,
    /// The run fails, and ends as soon as that is certain.
    Aborts,
}

/// On which side of the limit a figure has to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

/// A number with its unit, as written: it prints the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount {
    number: f64,
    unit: Scale,
}

/// A unit as written, and what it is worth in the unit that it is measured in.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    name: &'static str,
    size: f64,
}

impl Amount {
    /// In the unit that it is measured in.
    pub fn value(self) -> f64 {
        self.number * self.unit.size
    }

    /// Of a time: whole nanoseconds.
    pub fn ns(self) -> u64 {
        self.value().round() as u64
    }
}

impl Operator {
    const ALL: [Self; 5] = [Self::AtMost, Self::Below, Self::Equal, Self::AtLeast, Self::Above];

    const fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }

    /// A figure of `value` keeps to `limit`.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Equal => value == limit,
            Self::AtLeast => value >= limit,
            Self::Above => value > limit,
        }
    }
}

impl Threshold {
    /// A figure of `value` keeps to it.
    pub fn holds(&self, value: f64) -> bool {
        self.operator.holds(value, self.limit.value())
    }

    /// A latency of `ns` keeps to it.
    pub fn holds_ns(&self, ns: u64) -> bool {
        match self.operator {
            Operator::Below => ns < self.limit.ns(),
            _ => ns <= self.limit.ns(),
        }
    }

    /// It decides about the run.
    pub const fn decides(&self) -> bool {
        !matches!(self.role, Role::Advises)
    }

    /// What is allowed: `< 250ms`.
    pub fn allowed(&self) -> String {
        format!("{} {}", self.operator.sign(), self.limit)
    }

    /// The posts (of each window) without one miss that it takes to pass: those of a rank. `None` where the figure is
    /// exact.
    pub fn posts_needed(&self) -> Option<u64> {
        match judge::unit_of(self.metric) {
            judge::Judged::ByPost(Rank::Quantile(quantile)) => judge::posts_to_pass(quantile),
            _ => None,
        }
    }
}

/// Whether the metric is known for every post, so that it can be judged window by window.
const fn has_windows(metric: Metric) -> bool {
    match metric {
        Metric::Latency(series, _) => !matches!(series, Series::Connect | Series::ReceiveDelay),
        Metric::Count(count) => !matches!(count, Count::FailedConnections | Count::LostConnections),
        Metric::Completeness => true,
        Metric::CpuPerMillion(_) | Metric::PeakMemory(_) => false,
    }
}

/// Whether it is known while the run goes on.
const fn can_abort(metric: Metric, windows: bool) -> bool {
    match metric {
        Metric::Latency(series, _) => series.is_of_deliveries(),
        Metric::Count(count) => !windows && !matches!(count, Count::DroppedPosts),
        Metric::Completeness => true,
        Metric::CpuPerMillion(_) | Metric::PeakMemory(_) => false,
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.unit.name)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, self.allowed())?;
        if let Some(window) = self.window {
            write!(f, " over {window}")?;
        }
        match self.role {
            Role::Decides => Ok(()),
            Role::Advises => f.write_str(" advisory"),
            Role::Aborts => f.write_str(" abort"),
        }
    }
}

impl TryFrom<String> for Threshold {
    type Error = ThresholdError;

    fn try_from(text: String) -> Result<Self, ThresholdError> {
        text.parse()
    }
}

impl From<Threshold> for String {
    fn from(threshold: Threshold) -> Self {
        threshold.to_string()
    }
}
