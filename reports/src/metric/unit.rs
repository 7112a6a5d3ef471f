//! What a figure is measured in, and a figure as one run has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{bytes, duration, number, seconds};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
