//! Capacity planning (METHOD section 6): how much of a load the target carries, what gives way first, and how sure that is.
//!
//! Invariants:
//! * What is measured next, and what the steps say, are pure functions of the plan, the budget and the steps so far: a
//!   session that is resumed, or judged again from its file, comes to the same answer.
//! * A capacity is what held in every verification. An INVALID step is never part of one, and what the generator cannot
//!   drive is no capacity of the target.
//! * Nothing is said of loads further off than what the fits allow.
//!
//! Must not know: how steps are run.

pub mod advice;
pub mod cost;
pub mod csv;
mod file;
pub mod frontier;
pub mod headroom;
pub(crate) mod judge;
mod length;
pub mod limit;
pub mod next;
pub mod plan;
pub mod planned_load;
mod prediction;
pub mod resources;
pub mod scalability;
pub mod search;
pub mod search_result;
pub mod step;
#[cfg(test)]
pub(crate) mod tests;

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};

pub use file::read;
pub use length::STEADY_NS_MIN;
pub use next::{Measure, Next, Progress, next};
pub use plan::{Fixed, Plan, PlanError, Vary, Watched};
pub use planned_load::PlannedLoad;
pub use resources::StepResources;
pub use step::{Outcome, Role, Step};

use cost::Cost;
use frontier::Frontier;
use headroom::Headroom;
use scalability::Scalability;
use search_result::SearchResult;

use crate::run_result::Host;
use crate::{Status, Verdict};

/// Raised when a field changes its meaning or disappears; additions keep it.
pub const SCHEMA_VERSION: u32 = 1;
/// Largest `capacity.json` that is read.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How often a step that turned out INVALID is repeated.
pub const REPEATS_MAX: usize = 3;
/// The same at a load that the generator has mastered.
pub const REPEATS_MASTERED_MAX: usize = 9;
/// Runs in a row that have to hold at a load before it is a capacity.
pub const VERIFICATIONS: usize = 5;
/// A bracket whose upper end is at most this much above the lower one is not halved any more.
pub const BRACKET_MAX: f64 = 0.05;
/// One that is wider than this is no point of a fit, whose bands would not hold what they say.
pub const FIT_BRACKET_MAX: f64 = 2.0 * BRACKET_MAX;

/// `capacity.json`: what was asked, what was measured so far, and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityResult {
    /// Version of this schema that the writer used.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Version of the feedmark that judged.
    pub feedmark_version: String,
    /// What was asked.
    pub plan: Plan,
    /// What the steps may take together; `null` is as long as they need. A session can be resumed with more.
    pub budget_ns: Option<u64>,
    /// Loads of which is asked whether they fit.
    pub planned_loads: Vec<PlannedLoad>,
    /// The answer; of a session that is under way UNRESOLVED.
    pub verdict: Verdict,
    /// Nothing is left to measure within the budget.
    pub finished: bool,
    /// Where the generator ran; `null` before the first step.
    pub host: Option<Host>,
    /// How far it got; `null` when it is finished.
    pub progress: Option<Progress>,
    /// What each search found, in the order of the plan.
    pub searches: Vec<SearchResult>,
    /// What one post costs a server for itself and for each subscriber; `null` where the searches do not support it.
    pub frontier: Option<Frontier>,
    /// Why there is no frontier, where several numbers of subscribers were searched.
    pub frontier_refused: Option<String>,
    /// How the rate grows with cores; `null` where the searches do not support it.
    pub scalability: Option<Scalability>,
    /// Why there is none, where several numbers of cores were searched.
    pub scalability_refused: Option<String>,
    /// Whether the planned loads fit.
    pub headroom: Vec<Headroom>,
    /// What things cost.
    pub costs: Vec<Cost>,
    /// Cross-checks that disagree, and what speaks against trusting the answer.
    pub findings: Vec<String>,
    /// Every step, in the order in which they were run.
    pub steps: Vec<Step>,
}

/// The JSON Schema (draft 2020-12) of `capacity.json`, with every field's meaning and unit.
pub fn schema() -> Schema {
    schema_for!(CapacityResult)
}

impl CapacityResult {
    /// A session of which nothing has been measured yet.
    pub fn planned(
        plan: Plan,
        budget_ns: Option<u64>,
        planned_loads: Vec<PlannedLoad>,
        feedmark_version: &str,
    ) -> Self {
        let mut capacity = Self {
            schema_version: SCHEMA_VERSION,
            feedmark_version: feedmark_version.to_owned(),
            plan,
            budget_ns,
            planned_loads,
            verdict: Verdict { status: Status::Unresolved, reasons: Vec::new() },
            finished: false,
            host: None,
            progress: None,
            searches: Vec::new(),
            frontier: None,
            frontier_refused: None,
            scalability: None,
            scalability_refused: None,
            headroom: Vec::new(),
            costs: Vec::new(),
            findings: Vec::new(),
            steps: Vec::new(),
        };
        capacity.judge();
        capacity
    }

    /// What is left of the budget.
    pub fn budget_left_ns(&self) -> Option<u64> {
        let took: u64 = self.steps.iter().map(|step| step.took_ns).sum();
        self.budget_ns.map(|budget| budget.saturating_sub(took))
    }

    /// What is to be measured next.
    pub fn next(&self) -> Next {
        next(&self.plan, &self.steps, self.budget_left_ns())
    }
}
