//! The one view of a run, a gate or a capacity session that all formats are made from.
//!
//! Invariants:
//! * The gravest status among the cases that decide is the verdict.
//! * Of a run that was INVALID there are no figures: they say nothing about the target, and would stay in a trend.

use crate::capacity::Fixed;
use crate::metric::Metric;
use crate::run_result::{Host, ScenarioRecord};
use crate::terminal::Style;
use crate::units::{counted, flag_duration, number};
use crate::{Status, Verdict};

/// How the summary of an outcome is written.
pub(super) const PLAIN: Style = Style { color: false, width: 80 };

/// What a pipeline is shown of a run, a gate or a capacity session.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it is the outcome of.
    pub kind: Kind,
    /// What it concludes.
    pub verdict: Verdict,
    /// Everything that was judged: what always is, then what was asked for, in its order.
    pub cases: Vec<Case>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What the target carries, as far as that was searched for.
    pub carried: Vec<Carried>,
    /// What it was measured under, by name.
    pub facts: Vec<(&'static str, String)>,
    /// How long it took, where that is known.
    pub duration_ns: Option<u64>,
    /// The summary for a terminal, without color: the verdict in words, a blank line, the rest.
    pub summary: String,
}

/// What an outcome is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `feedmark run`.
    Run,
    /// `feedmark gate`.
    Gate,
    /// `feedmark capacity`.
    Capacity,
}

impl Kind {
    /// The command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "feedmark run",
            Self::Gate => "feedmark gate",
            Self::Capacity => "feedmark capacity",
        }
    }
}

/// Something that was judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is judged; the same in every run that is asked the same.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// It decides nothing.
    pub advisory: bool,
    /// What was seen.
    pub observed: String,
    /// What may be.
    pub allowed: String,
    /// All of it in a sentence.
    pub sentence: String,
}

impl Case {
    /// The status as it is printed: in brackets if it decides nothing.
    pub fn word(&self) -> String {
        match self.advisory {
            true => format!("({})", self.status.word()),
            false => self.status.word().to_owned(),
        }
    }
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name.
    pub metric: Metric,
    /// In the metric's unit. Where the rank falls on a delivery that was late or missing: the deadline.
    pub value: f64,
    /// It was late or missing: the value is only the least that it can be.
    pub is_beyond: bool,
    /// What the value may be by chance: of a quantile its 95 % interval over the posts, of a gate the least and greatest
    /// of its runs.
    pub interval: Option<(f64, f64)>,
    /// It is worth following from build to build.
    pub is_tracked: bool,
}

/// A verified capacity.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// The case that it is of.
    pub name: String,
    /// What the search kept fixed; of posts per second and subscribers it looked for the other one.
    pub fixed: Fixed,
    /// The greatest load that held every time.
    pub held: f64,
    /// The least that failed.
    pub failing: Option<f64>,
}

impl Outcome {
    /// The cases, gravest first; advice comes last.
    pub fn by_gravity(&self) -> Vec<&Case> {
        let mut cases: Vec<&Case> = self.cases.iter().collect();
        // Stable: among equals the order of the cases stays.
        cases.sort_by_key(|case| (case.advisory, gravity(case.status)));
        cases
    }
}

const fn gravity(status: Status) -> u8 {
    match status {
        Status::Invalid => 0,
        Status::Fail => 1,
        Status::Unresolved => 2,
        Status::Pass => 3,
    }
}

/// What the scenario asks for, as a fact: `1,000 subscribers, 20 posts/s for 30s`, and the seeds in the caller's words.
pub(super) fn load(scenario: &ScenarioRecord, seeds: &str) -> (&'static str, String) {
    let subscribers = counted(u64::from(scenario.subscribers), "subscriber", "subscribers");
    let rate = number(scenario.rate_per_s);
    ("load", format!("{subscribers}, {rate} posts/s for {}, {seeds}", flag_duration(scenario.duration_ns)))
}

/// Where the generator ran, as a fact.
pub(super) fn host(host: &Host) -> (&'static str, String) {
    ("host", format!("{}, {}", host.os, host.cpu))
}
