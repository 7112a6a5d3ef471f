//! What a pipeline is shown: the outcome of a run, a gate or a capacity session, in the formats that its tools read.
//!
//! Invariants:
//! * [`Outcome`] is all that a format knows, and a format is a function of it.
//! * No case is lost in any format, whatever its texts hold: they come from users and targets.
//!
//! Must not know: files, environment, which tool runs it.

pub mod github;
mod junit;
pub mod markdown;
mod of_capacity;
mod of_gate;
mod of_run;
mod openmetrics;
mod outcome;
#[cfg(test)]
mod tests;
mod trend;

use std::fmt;
use std::str::FromStr;

pub use outcome::{Carried, Case, Figure, Kind, Outcome};

/// A format that other tools read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JUnit XML, which every CI server reads: a test case for each [`Case`].
    Junit,
    /// GitHub-flavored Markdown, for a comment on a pull request.
    Markdown,
    /// OpenMetrics text, for GitLab's metrics reports and for Prometheus.
    OpenMetrics,
    /// The `customSmallerIsBetter` JSON of github-action-benchmark.
    GithubActionBenchmark,
    /// Bencher Metric Format.
    Bencher,
}

impl Format {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::Junit, Self::Markdown, Self::OpenMetrics, Self::GithubActionBenchmark, Self::Bencher];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Markdown => "markdown",
            Self::OpenMetrics => "openmetrics",
            Self::GithubActionBenchmark => "github-action-benchmark",
            Self::Bencher => "bencher",
        }
    }

    /// The outcome in this format; it ends in a line end.
    ///
    /// # Errors
    /// When a library cannot express it, which is a defect.
    pub fn render(self, outcome: &Outcome) -> Result<String, RenderError> {
        let render_error = |problem: String| RenderError { format: self, problem };
        match self {
            Self::Junit => junit::render(outcome).map_err(|error| render_error(error.to_string())),
            Self::Markdown => Ok(markdown::render(outcome)),
            Self::OpenMetrics => Ok(openmetrics::render(outcome)),
            Self::GithubActionBenchmark => {
                trend::github_action_benchmark(outcome).map_err(|error| render_error(error.to_string()))
            }
            Self::Bencher => trend::bencher(outcome).map_err(|error| render_error(error.to_string())),
        }
    }
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
#[error("cannot express the outcome as {format}: {problem}")]
pub struct RenderError {
    format: Format,
    problem: String,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            format!("`{name}` is no format: write one of {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
