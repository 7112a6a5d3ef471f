//! What is measured next, and how far a session got.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::length::took_ns;
use super::search::Search;
use super::{Plan, Role, Step};

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Measure a step.
    Measure(Measure),
    /// Nothing is left to measure within the budget.
    Done,
}

/// A step to be measured: a run of the plan's scenario with this load and this length, against a target that was started
/// for it, where that is possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Which search it belongs to, from 0.
    pub search: u32,
    /// What it is measured for.
    pub role: Role,
    /// Subscribers.
    pub subscribers: u32,
    /// Posts per second.
    pub rate_per_s: f64,
    /// Cores that the target is to be held to.
    pub cores: Option<u32>,
    /// Length of the warm-up.
    pub warmup_ns: u64,
    /// Length of the steady phase.
    pub steady_ns: u64,
    /// It is shorter than METHOD has it, for want of budget.
    pub is_short: bool,
    /// Seed of the run.
    pub seed: u64,
}

/// How far a session got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The search under way, from 0.
    pub search: u32,
    /// What is measured next.
    pub role: Role,
    /// At this load: posts per second or subscribers.
    pub load: f64,
    /// The greatest load that held.
    pub held: Option<f64>,
    /// The least that failed.
    pub failing: Option<f64>,
    /// Verifications of `held` so far.
    pub verifications: u32,
    /// Steps so far, of all searches.
    pub steps_done: u32,
    /// Steps that are likely to come, within the budget.
    pub steps_left: u32,
    /// What they are likely to take, within the budget.
    pub time_left_ns: u64,
}

impl Progress {
    /// The same when the step has been under way for so long: its own time runs out, that of the steps after it does not.
    pub fn after(&self, took_ns: u64) -> Self {
        let each_ns = self.time_left_ns / u64::from(self.steps_left.max(1));
        Self { time_left_ns: self.time_left_ns - took_ns.min(each_ns), ..self.clone() }
    }
}

/// The next step of the first search that is not at its end.
pub fn next(plan: &Plan, steps: &[Step], budget_left_ns: Option<u64>) -> Next {
    let under_way =
        Search::all(plan, steps, budget_left_ns).into_iter().find_map(|search| search.decide().ok());
    under_way.map_or(Next::Done, Next::Measure)
}

/// How far it got; `None` when nothing is left to measure.
pub fn progress(plan: &Plan, steps: &[Step], budget_left_ns: Option<u64>) -> Option<Progress> {
    let searches = Search::all(plan, steps, budget_left_ns);
    let (search, measure) = searches.iter().find_map(|search| Some((search, search.decide().ok()?)))?;
    let later = searches[measure.search as usize + 1..].iter().filter(|later| later.decide().is_ok());
    let to_come = search.steps_left() + later.map(Search::steps_left).sum::<usize>();
    let each_ns = took_ns(plan, steps, measure.steady_ns).max(1);
    let within_budget = budget_left_ns.map_or(to_come, |budget| to_come.min((budget / each_ns) as usize));
    let bracket = search.bracket();
    Some(Progress {
        search: measure.search,
        role: measure.role,
        load: search.fixed.load(measure.subscribers, measure.rate_per_s),
        held: bracket.held,
        failing: bracket.failing,
        verifications: search.verifications() as u32,
        steps_done: steps.len() as u32,
        steps_left: within_budget as u32,
        time_left_ns: each_ns.saturating_mul(within_budget as u64),
    })
}
