//! What a search found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit::NamedLimit;
use super::search::{Bracket, Ending, Search};
use super::{BRACKET_MAX, FIT_BRACKET_MAX, Fixed, Outcome, Role, Step, VERIFICATIONS};
use crate::stats::median::median;
use crate::units::{count, counted, number, percent};

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// What it kept fixed.
    pub fixed: Fixed,
    /// Steps so far.
    pub steps: u32,
    /// The greatest load that held (of a search that ended with one, the greatest that is verified), and the least that failed.
    pub bracket: Bracket,
    /// The capacity: the greatest load that held in every verification; `null` unless one did.
    pub verified: Option<f64>,
    /// Verifications in which the load that held did so again.
    pub verifications: u32,
    /// How it ended; `null` of a search that is under way.
    pub ending: Option<Ending>,
    /// What gave way at the least load that failed.
    pub limit: Option<NamedLimit>,
    /// Posts per second that the target takes by its overload: median of `rate x (1 - latency slope)` over the saturated
    /// steps.
    pub overload_estimate_per_s: Option<f64>,
    /// What was left out for want of budget.
    pub left_out: Vec<String>,
    /// All of it in a sentence.
    pub sentence: String,
}

impl SearchResult {
    pub(super) fn of(search: &Search<'_>) -> Self {
        let (fixed, mut bracket, steps) = (search.fixed, search.bracket(), search.steps());
        let (verified, mut verifications) = (search.verified(), search.verifications());
        let mut ending = search.decide().err();
        // However the narrowing ended: the answer is there.
        if verified.is_some() && ending.is_some() {
            (bracket.held, verifications, ending) = (verified, VERIFICATIONS, Some(Ending::Verified));
        }
        let failed =
            steps.iter().rfind(|step| is_at(step, &fixed, bracket.failing) && step.outcome == Outcome::Fail);
        let saturated = steps.iter().filter_map(|step| step.readings.overload_estimate_per_s);
        let mut result = Self {
            fixed,
            steps: steps.len() as u32,
            bracket,
            verified,
            verifications: verifications as u32,
            ending,
            limit: failed.map(|step| NamedLimit::of(step)),
            overload_estimate_per_s: median(&mut saturated.collect::<Vec<f64>>()),
            left_out: left_out(bracket, verifications, ending, steps),
            sentence: String::new(),
        };
        result.sentence = sentence(&result);
        result
    }

    /// The middle of what encloses the capacity, where that is narrow: what fits are made of.
    pub(crate) fn middle(&self) -> Option<f64> {
        let (verified, failing) = (self.verified?, self.bracket.failing?);
        (failing / verified <= 1.0 + FIT_BRACKET_MAX).then(|| (verified * failing).sqrt())
    }
}

/// A load with its noun.
pub(crate) fn load_text(fixed: &Fixed, load: f64) -> String {
    if fixed.varies_subscribers() {
        counted(load as u64, "subscriber", "subscribers")
    } else {
        format!("{} posts/s", number(load))
    }
}

/// What a search kept fixed, in words.
pub(crate) fn fixed_text(fixed: &Fixed) -> String {
    let kept = match (fixed.subscribers, fixed.rate_per_s) {
        (Some(subscribers), _) => counted(u64::from(subscribers), "subscriber", "subscribers"),
        (None, rate) => format!("{} posts/s", number(rate.unwrap_or_default())),
    };
    match fixed.cores {
        Some(cores) => format!("{kept}, {}", counted(u64::from(cores), "core", "cores")),
        None => kept,
    }
}

fn is_at(step: &Step, fixed: &Fixed, load: Option<f64>) -> bool {
    step.role != Role::Probe && Some(step.load(fixed)) == load
}

/// In sentences, one for each thing.
fn left_out(bracket: Bracket, verifications: usize, ending: Option<Ending>, steps: &[&Step]) -> Vec<String> {
    let mut left_out = Vec::new();
    let short = steps.iter().filter(|step| step.is_short && step.outcome.is_valid()).count() as u64;
    if short > 0 {
        let steps = counted(short, "step was", "steps were");
        left_out.push(format!("{steps} shorter than the method has it: as long as the thresholds need"));
    }
    let Some(ending) = ending else { return left_out };
    if let (Some(held), Some(failing)) = (bracket.held, bracket.failing) {
        let width = failing / held - 1.0;
        if width > BRACKET_MAX && matches!(ending, Ending::Verified | Ending::BudgetSpent) {
            let most = percent(BRACKET_MAX);
            left_out.push(format!("the bracket is {} wide, and would be halved to {most}", percent(width)));
        }
    }
    if ending == Ending::BudgetSpent {
        left_out.push(match bracket {
            Bracket { held: None, failing: None } => {
                "the budget was spent before anything held or failed".to_owned()
            }
            Bracket { held: None, .. } => "the budget was spent before anything held".to_owned(),
            Bracket { failing: None, .. } => "the budget was spent before anything failed".to_owned(),
            _ => format!("{verifications} of {VERIFICATIONS} verifications: the budget was spent"),
        });
    }
    left_out
}

fn sentence(result: &SearchResult) -> String {
    let fixed = &result.fixed;
    let load = |load: f64| load_text(fixed, load);
    let at = fixed_text(fixed);
    let Bracket { held, failing } = result.bracket;
    let held_once = held.map_or(String::new(), |held| format!("; {} held", load(held)));
    let Some(ending) = result.ending else {
        let failed = failing.map_or(String::new(), |failing| format!("; {} failed", load(failing)));
        return format!("{at}: under way{held_once}{failed}");
    };
    let what = match ending {
        Ending::Verified => {
            let verified = result.verified.map_or_else(String::new, load);
            let held =
                format!("{verified} held {} times of {VERIFICATIONS}", count(result.verifications.into()));
            match (failing, &result.limit) {
                (Some(failing), Some(limit)) => {
                    format!("{held}, {} failed; the limit is {}", load(failing), limit.name.name())
                }
                _ => format!("{held}; it is the greatest load that was to be tried"),
            }
        }
        Ending::GeneratorLimited(at) => {
            format!("generator-limited at {}{held_once}: this is no capacity of the target", load(at))
        }
        Ending::Unsettled(at) => format!("no run at {} could be judged by{held_once}", load(at)),
        Ending::NothingHolds(at) => format!("not even {} held", load(at)),
        Ending::BudgetSpent => {
            let failed = failing.map_or(String::new(), |failing| format!(", {} failed", load(failing)));
            format!("the budget is spent{held_once}{failed}; nothing is verified")
        }
    };
    format!("{at}: {what}")
}
