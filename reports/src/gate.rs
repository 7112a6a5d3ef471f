//! The regression gate: is the candidate worse than the base? Pairs of runs in, an answer out.
//!
//! Invariants:
//! * The run is the sample: a pair gives one difference per metric, and only the rule reads them.
//! * What is judged at a look are the pairs up to that look, so a gate that is resumed, or judged again from its files,
//!   comes to the same answer.
//! * A candidate that fails outright where the base does not needs no statistics.
//!
//! Must not know: how runs are made.

mod judge;
#[cfg(test)]
mod resampled;
mod rule;
#[cfg(test)]
pub(crate) mod tests;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

pub use rule::{ALLOWED, Answer, CONFIDENCE, GatedMetric, LOOKS, METRICS_MAX, Reading, Rule, RuleError};

use crate::metric::Unit;
use crate::run_result::{Host, ScenarioRecord};
use crate::{Status, Verdict};

/// Raised when a field changes its meaning or disappears; additions keep it.
pub const SCHEMA_VERSION: u32 = 1;
/// Largest `gate.json` that is read.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How often a run that turned out INVALID is repeated.
pub const REPEATS_MAX: usize = 3;

/// `gate.json`: what was asked, what was measured so far, and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateResult {
    /// Version of this schema that the writer used.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Version of the feedmark that judged.
    pub feedmark_version: String,
    /// What was asked.
    pub plan: Plan,
    /// The answer; of a gate that is under way UNRESOLVED.
    pub verdict: Verdict,
    /// The answer is final.
    pub finished: bool,
    /// Where the generator ran; `null` before the first run.
    pub host: Option<Host>,
    /// Numbers of pairs that were looked at.
    pub looks_done: Vec<u32>,
    /// What each metric says, in the order of the plan.
    pub metrics: Vec<MetricResult>,
    /// The pairs, in the order in which they were run.
    pub pairs: Vec<Pair>,
    /// Runs that were INVALID, and so repeated.
    pub repeats: Vec<Repeat>,
}

/// What was asked: written before anything is measured, and compared when a gate is resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Command with `{port}` or URL of the base, or the folder of earlier runs of it.
    pub base: String,
    /// Command or URL of the candidate.
    pub candidate: String,
    /// What each run measures; its target is `null`.
    pub scenario: ScenarioRecord,
    /// Pair *n*, from 1, has the seed `seed + n - 1` on both sides, and its order from it; with earlier runs, theirs.
    pub seed: u64,
    /// What is gated and what it may get worse by, such as `delivery p50 10%`.
    pub metrics: Vec<String>,
    /// Numbers of pairs to look at.
    pub looks: Vec<u32>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// What the candidate is compared with.
    Base,
    /// What is to be gated.
    Candidate,
}

impl Variant {
    /// Its word, also the name of its folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Candidate => "candidate",
        }
    }
}

/// Two runs, one directly after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Seed of both.
    pub seed: u64,
    /// Which one was run first.
    pub first: Variant,
    /// The base's.
    pub base: RunOfPair,
    /// The candidate's.
    pub candidate: RunOfPair,
}

/// What the gate keeps of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunOfPair {
    /// Identifies the run.
    pub run_id: String,
    /// Its own verdict.
    pub verdict: Verdict,
    /// Value of every metric in its unit, in the order of the plan; `null` where the run has none.
    pub values: Vec<Option<f64>>,
}

/// A run that was INVALID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// Number of the pair, from 1.
    pub pair: u32,
    /// Which of the two.
    pub variant: Variant,
    /// Identifies the run.
    pub run_id: String,
    /// Why it was INVALID.
    pub reasons: Vec<String>,
}

/// What a metric says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricResult {
    /// Its name.
    pub name: String,
    /// What its values are in: ns, CPU seconds or bytes.
    pub unit: String,
    /// What the candidate may have more, as a share of the base.
    pub allowed: f64,
    /// Median over the base's runs.
    pub base_median: Option<f64>,
    /// Median over the candidate's runs.
    pub candidate_median: Option<f64>,
    /// Hodges-Lehmann estimate of candidate / base - 1; `null` before the first pair.
    pub change: Option<f64>,
    /// Its interval at 95 %, of this look alone; `null` with fewer than six pairs.
    pub change_low: Option<f64>,
    /// The upper end.
    pub change_high: Option<f64>,
    /// Exact signed-rank p of "no worse than the base".
    pub p_worse: Option<f64>,
    /// Exact signed-rank p of "worse by what is allowed, or more".
    pub p_within: Option<f64>,
    /// worse, within or unresolved.
    pub answer: Answer,
    /// The same in a sentence.
    pub sentence: String,
}

/// The JSON Schema (draft 2020-12) of `gate.json`, with every field's meaning and unit.
pub fn schema() -> Schema {
    schema_for!(GateResult)
}

/// Stands for the port in a command.
pub const PORT: &str = "{port}";

/// It names a server that somebody runs.
pub fn is_url(side: &str) -> bool {
    ["http://", "https://", "ws://", "wss://"].iter().any(|scheme| side.starts_with(scheme))
}

/// The word for a unit in `gate.json`.
const fn unit_word(unit: Unit) -> &'static str {
    match unit {
        Unit::Ns => "ns",
        Unit::CpuSeconds => "cpu_s",
        Unit::Bytes => "bytes",
        Unit::Percent | Unit::Count => "1",
    }
}

impl Plan {
    /// What speaks against trusting the answer, and cannot be helped.
    pub fn notes(&self) -> Vec<String> {
        let note = |(variant, side): (Variant, &String)| match side {
            side if is_url(side) => Some(format!(
                "note: the {} is a url, which cannot be started afresh: its memory, caches and data go from run to run",
                variant.name()
            )),
            side if side.contains(PORT) => None,
            _ => Some(format!(
                "note: the runs of the {} were made earlier: what changed on this host since then looks like a change of \
                 the server",
                variant.name()
            )),
        };
        [(Variant::Base, &self.base), (Variant::Candidate, &self.candidate)]
            .into_iter()
            .filter_map(note)
            .collect()
    }

    /// The first field, by name, in which `other` asks for something else, and both values.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        difference(self, other)
    }
}

/// The first field, by name, in which two of a kind differ, and both values.
pub fn difference<T: Serialize>(one: &T, other: &T) -> Option<(String, String, String)> {
    let [one, other] = [one, other].map(|side| serde_json::to_value(side).unwrap_or_default());
    first_difference("", &one, &other)
}

/// Descends into objects, so that the name is that of the innermost field.
fn first_difference(
    name: &str,
    mine: &serde_json::Value,
    others: &serde_json::Value,
) -> Option<(String, String, String)> {
    if let (Some(mine), Some(others)) = (mine.as_object(), others.as_object()) {
        return mine.iter().find_map(|(field, value)| {
            let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            first_difference(&name, value, others.get(field).unwrap_or(&serde_json::Value::Null))
        });
    }
    (mine != others).then(|| (name.to_owned(), mine.to_string(), others.to_string()))
}

impl GateResult {
    /// A gate of which nothing has been measured yet.
    pub fn planned(plan: Plan, rule: &Rule, feedmark_version: &str) -> Self {
        let mut gate = Self {
            schema_version: SCHEMA_VERSION,
            feedmark_version: feedmark_version.to_owned(),
            plan,
            verdict: Verdict { status: Status::Unresolved, reasons: Vec::new() },
            finished: false,
            host: None,
            looks_done: Vec::new(),
            metrics: Vec::new(),
            pairs: Vec::new(),
            repeats: Vec::new(),
        };
        gate.judge(rule);
        gate
    }
}
