//! Is the run valid? The twelve checks of METHOD section 4, each a measured value against a limit.
//!
//! A check that trips says in one sentence what to do. Checks V1 to V7 and V10 decide whether the
//! generator can be trusted. V9 and V12 decide whether the run was long enough to say anything: a warm-up that
//! is too short is nobody's fault, and must not hide what the target lost. V8 and V11 are findings about the target.
//!
//! Invariant: a pure function of the result: a stored run is judged again without measuring.

mod checks;
mod comparison;
mod generator;
mod shortage;
mod so_far;
mod target;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use checks::checks;
pub use so_far::{SeenSoFar, so_far};

/// Number of checks; some compare more than one value.
pub const CHECKS: usize = 12;

/// One measured value against its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// V1 to V12.
    pub id: String,
    /// What is compared.
    pub name: String,
    /// The measured value; `null` where it could not be measured.
    pub value: Option<f64>,
    /// What is allowed.
    pub limit: f64,
    /// Whether the value may be no greater, or no less, than the limit.
    pub bound: Bound,
    /// Unit of value and limit.
    pub unit: Unit,
    /// `null` where it could not be measured.
    pub passed: Option<bool>,
    /// What it means and what to do, in one sentence; only if it tripped, or could not be measured and somebody can
    /// do something about that.
    pub remedy: Option<String>,
}

/// On which side of the limit a value passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The value may be the limit or less.
    AtMost,
    /// The value may be the limit or more.
    AtLeast,
}

/// Unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// A share of one.
    Ratio,
    /// A number of things.
    Count,
    /// The Anderson-Darling statistic.
    A2,
}

/// What a tripped check means for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// The generator was not trustworthy.
    Invalid,
    /// The run was too short to say anything.
    Unresolved,
    /// Something to know about the target; decides nothing.
    Finding,
}

impl Check {
    /// It was measured and is beyond its limit.
    pub fn tripped(&self) -> bool {
        self.passed == Some(false)
    }

    /// What it means when it trips.
    pub fn consequence(&self) -> Consequence {
        match self.id.as_str() {
            "V8" | "V11" => Consequence::Finding,
            "V9" | "V12" => Consequence::Unresolved,
            _ => Consequence::Invalid,
        }
    }
}

/// What is shown beside the verdict: it is about the target, not about the generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The label.
    pub label: Label,
    /// What was seen, in one sentence.
    pub sentence: String,
}

/// Labels of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Label {
    /// Latency grew all the time: the target takes less than it was offered.
    Saturated,
    /// The latency was not the same at the end as at the start.
    Nonstationary,
    /// The latency of the host itself is a good part of what was measured.
    FloorLimited,
}

impl Label {
    /// As it is printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Saturated => "SATURATED",
            Self::Nonstationary => "NONSTATIONARY",
            Self::FloorLimited => "FLOOR-LIMITED",
        }
    }
}
