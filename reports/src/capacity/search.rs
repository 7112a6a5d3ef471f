//! One search: a probe, a ramp, a bisection, verifications (METHOD section 6).
//!
//! Invariants:
//! * The steps are the state. Nothing else is remembered, so a search goes on from any prefix of them.
//! * A verification that fails is a load that failed: the search falls back to the next lower one that held, and halves
//!   again where that is far below.
//! * A search plans no step beyond its share of the budget, but to end a verification that has begun: one that is known is worth
//!   more than two that are not. What it leaves of its share goes to those after it, and what the last one leaves to those
//!   before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::length::{steady_ns, took_ns, warmup_ns};
use super::next::Measure;
use super::prediction::Prediction;
use super::{
    BRACKET_MAX, Fixed, Outcome, Plan, REPEATS_MASTERED_MAX, REPEATS_MAX, Role, Step, VERIFICATIONS,
};

/// From one step of the ramp to the next.
const RAMP: f64 = 1.5;
/// The ramp begins at this share of what a probe predicts.
const RAMP_FROM: f64 = 0.25;
/// A probe is made at this share of what is thought possible.
const PROBE_SHARE: f64 = 0.15;
/// One that turns out to have been above this share is repeated at a lower load.
const PROBE_SHARE_MAX: f64 = 0.3;
/// Most probes of a search.
const PROBES_MAX: usize = 3;
/// Least subscribers of a probe: a fan-out slope is read from it.
const PROBE_SUBSCRIBERS_MIN: f64 = 10.0;
/// A ramp that fails from the start goes down by this factor and no further.
const RAMP_DOWN_MAX: f64 = 32.0;
/// Digits of a rate: it has to be read by people.
const RATE_DIGITS: i32 = 4;

/// How a search ended; with the load where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A load held in every verification.
    Verified,
    /// The generator could not be trusted here, however often it was tried: that is no capacity of the target.
    GeneratorLimited(f64),
    /// No run could be judged by here, however often it was tried, for the target had not settled or the host was disturbed.
    Unsettled(f64),
    /// The least load that was tried did not hold.
    NothingHolds(f64),
    /// The next step would have been over the budget.
    BudgetSpent,
}

/// What encloses a capacity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bracket {
    /// The greatest load that held, of those below `failing`.
    pub held: Option<f64>,
    /// The least load that failed.
    pub failing: Option<f64>,
}

impl Bracket {
    /// From steps of one search.
    pub(crate) fn of<'a>(fixed: &Fixed, steps: impl Iterator<Item = &'a Step> + Clone) -> Self {
        let loads = |outcome| {
            let with = move |step: &&Step| step.outcome == outcome && step.role != Role::Probe;
            steps.clone().filter(with).map(move |step| step.load(fixed))
        };
        let failing = loads(Outcome::Fail).reduce(f64::min);
        let held = loads(Outcome::Pass)
            .filter(|load| failing.is_none_or(|failing| *load < failing))
            .reduce(f64::max);
        Self { held, failing }
    }
}

/// A search with all that decides about it.
#[derive(Debug, Clone)]
pub(super) struct Search<'a> {
    plan: &'a Plan,
    index: usize,
    pub(super) fixed: Fixed,
    /// Its own.
    steps: Vec<&'a Step>,
    /// Those of all searches.
    all_steps: &'a [Step],
    /// `None`: it may take what it needs.
    budget: Option<Budget>,
}

/// What a search may spend.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Its share of the whole, what it has spent included.
    share_ns: u64,
    /// What all searches together have left.
    left_ns: u64,
}

/// Where a ramp begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// It has to be found out.
    Probe(f64),
    /// Here; and where it is thought to end, if there is a reason to think so.
    Ramp { from: f64, expected: Option<f64> },
}

/// What a search wants, before its length and the budget are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Wanted {
    role: Role,
    load: f64,
    /// Steps that are likely from here on, with this one.
    steps_left: usize,
}

impl<'a> Search<'a> {
    /// Steps that a search is taken to need when nothing is known but where to begin: one that holds, one that fails,
    /// halvings, verifications.
    const STEPS_TYPICAL: usize = 2 + 4 + VERIFICATIONS;

    /// Those of a plan. Of the budget each has what those before it left, in equal shares; what the last one leaves goes to
    /// the first for which its share was too little: to be verified, or else to be narrow.
    pub(super) fn all(plan: &'a Plan, steps: &'a [Step], budget_left_ns: Option<u64>) -> Vec<Self> {
        let took = |steps: &mut dyn Iterator<Item = &Step>| -> u64 { steps.map(|step| step.took_ns).sum() };
        let budget_ns = budget_left_ns.map(|left| left + took(&mut steps.iter()));
        let searches = plan.searches();
        let count = searches.len();
        let of_index = |(index, fixed): (usize, Fixed)| {
            let before = took(&mut steps.iter().filter(|step| (step.search as usize) < index));
            let own: Vec<&Step> = steps.iter().filter(|step| step.search as usize == index).collect();
            let share = budget_ns.map(|budget| budget.saturating_sub(before) / (count - index) as u64);
            let budget = share.zip(budget_left_ns).map(|(share_ns, left_ns)| Budget { share_ns, left_ns });
            Self { plan, index, fixed, steps: own, all_steps: steps, budget }
        };
        let mut searches: Vec<Self> = searches.into_iter().enumerate().map(of_index).collect();
        if let Some(left_ns) = budget_left_ns
            && searches.iter().all(|search| search.decide().is_err())
        {
            let all_of_it = Some(Budget { share_ns: u64::MAX, left_ns });
            let goes_on = |search: &Self| Self { budget: all_of_it, ..search.clone() }.decide().is_ok();
            let is_open = |search: &Self| search.decide() == Err(Ending::BudgetSpent);
            let open = searches.iter().position(|search| is_open(search) && goes_on(search));
            if let Some(index) = open.or_else(|| searches.iter().position(goes_on)) {
                searches[index].budget = all_of_it;
            }
        }
        searches
    }

    /// What is measured next, or how it ended.
    pub(super) fn decide(&self) -> Result<Measure, Ending> {
        if let Some(ending) = self.given_up() {
            return Err(ending);
        }
        let mut wanted = self.wanted()?;
        if wanted.role == Role::Bisect && !self.affords(&wanted, 1 + VERIFICATIONS) {
            // A wide bracket that is verified says more than a narrow one that is not.
            wanted = self.verification()?;
        }
        if self.affords(&wanted, 1) { Ok(self.measure(&wanted)) } else { Err(Ending::BudgetSpent) }
    }

    /// What encloses the capacity so far.
    pub(super) fn bracket(&self) -> Bracket {
        Bracket::of(&self.fixed, self.steps.iter().copied())
    }

    /// Verifications of the load that held.
    pub(super) fn verifications(&self) -> usize {
        self.bracket().held.map_or(0, |held| self.verified_loads().filter(|load| *load == held).count())
    }

    /// The greatest load that held in every verification, of those below the least that failed. A search that goes on from
    /// there, to narrow its bracket, has it until a greater one does.
    pub(super) fn verified(&self) -> Option<f64> {
        let failing = self.bracket().failing;
        let is_enough = |load: &f64| {
            failing.is_none_or(|failing| *load < failing)
                && self.verified_loads().filter(|other| other == load).count() >= VERIFICATIONS
        };
        self.verified_loads().filter(is_enough).reduce(f64::max)
    }

    /// Of each verification that held.
    fn verified_loads(&self) -> impl Iterator<Item = f64> {
        let held =
            self.steps.iter().filter(|step| step.role == Role::Verify && step.outcome == Outcome::Pass);
        held.map(|step| step.load(&self.fixed))
    }

    /// Steps that are likely to come.
    pub(super) fn steps_left(&self) -> usize {
        self.wanted().map_or(0, |wanted| wanted.steps_left)
    }

    /// The steps that belong to it.
    pub(super) fn steps(&self) -> &[&'a Step] {
        &self.steps
    }

    /// The same load was tried too often without a word on the target. Where the generator could be trusted at no lesser load,
    /// it is the host that is disturbed, which may pass.
    fn given_up(&self) -> Option<Ending> {
        let last = self.steps.last()?;
        let load = last.load(&self.fixed);
        let is_mastered =
            self.steps.iter().any(|step| step.outcome.is_valid() && step.load(&self.fixed) >= load);
        let wasted = self.steps.iter().rev().take_while(|step| !step.outcome.is_valid()).count();
        if wasted <= if is_mastered { REPEATS_MASTERED_MAX } else { REPEATS_MAX } {
            return None;
        }
        Some(if last.outcome == Outcome::Invalid && !is_mastered {
            Ending::GeneratorLimited(load)
        } else {
            Ending::Unsettled(load)
        })
    }

    fn wanted(&self) -> Result<Wanted, Ending> {
        let (from, expected) = match self.start() {
            Start::Probe(load) => {
                let steps_left = 2 + Self::STEPS_TYPICAL;
                return Ok(Wanted { role: Role::Probe, load: self.rounded(load), steps_left });
            }
            Start::Ramp { from, expected } => (self.rounded(from), expected),
        };
        let ramp = |load: f64, to_come: usize| {
            let steps_left = to_come + halvings(RAMP) + VERIFICATIONS;
            Ok(Wanted { role: Role::Ramp, load: self.rounded(load), steps_left })
        };
        let Bracket { held, failing } = self.bracket();
        match (held, failing) {
            (None, None) => ramp(from, expected.map_or(1, |expected| 1 + ramps(from, expected))),
            (Some(held), None) if held < self.load_max() => {
                ramp(held * RAMP, expected.map_or(1, |expected| ramps(held, expected)))
            }
            (None, Some(failing)) => {
                let lower = self.rounded(failing / RAMP);
                let is_lowest = failing <= from / RAMP_DOWN_MAX || lower >= failing;
                if is_lowest { Err(Ending::NothingHolds(failing)) } else { ramp(lower, 1) }
            }
            (Some(held), Some(failing)) => {
                let middle = self.rounded((held * failing).sqrt());
                let is_narrow = failing / held <= 1.0 + BRACKET_MAX || middle <= held || middle >= failing;
                if is_narrow {
                    return self.verification();
                }
                let steps_left = halvings(failing / held) + VERIFICATIONS;
                Ok(Wanted { role: Role::Bisect, load: middle, steps_left })
            }
            (Some(_), None) => self.verification(),
        }
    }

    /// Of the load that held.
    fn verification(&self) -> Result<Wanted, Ending> {
        let steps_left = VERIFICATIONS.saturating_sub(self.verifications());
        let load = self.bracket().held.filter(|_| steps_left > 0).ok_or(Ending::Verified)?;
        Ok(Wanted { role: Role::Verify, load, steps_left })
    }

    /// Where another search has ended, its end says where to begin, scaled by the prediction; else a probe does.
    fn start(&self) -> Start {
        if let Some(expected) = self.expected_from_others() {
            return Start::Ramp { from: expected / RAMP, expected: Some(expected) };
        }
        let probes: Vec<&&Step> = self.steps.iter().filter(|step| is_probe(step)).collect();
        let Some(last) = probes.last() else {
            return Start::Probe((self.first_guess() * PROBE_SHARE).max(self.probe_min()));
        };
        let load = last.load(&self.fixed);
        match Prediction::of(last).and_then(|prediction| prediction.load_max(&self.fixed)) {
            None => Start::Ramp { from: load, expected: None },
            Some(expected) => {
                let lower = self.rounded((expected * PROBE_SHARE).max(self.probe_min()));
                let is_high = load > expected * PROBE_SHARE_MAX && lower < load;
                if is_high && probes.len() < PROBES_MAX {
                    return Start::Probe(lower);
                }
                Start::Ramp { from: expected * RAMP_FROM, expected: Some(expected) }
            }
        }
    }

    fn first_guess(&self) -> f64 {
        self.fixed.load(self.plan.scenario.subscribers, self.plan.scenario.rate_per_s)
    }

    fn probe_min(&self) -> f64 {
        if self.fixed.varies_subscribers() { PROBE_SUBSCRIBERS_MIN } else { 0.0 }
    }

    /// From the last search before this one in which something held.
    fn expected_from_others(&self) -> Option<f64> {
        let others = Self::all(self.plan, self.all_steps, None);
        let other = others[..self.index].iter().rev().find(|other| other.bracket().held.is_some())?;
        let Bracket { held, failing } = other.bracket();
        let found = held?;
        let found = failing.map_or(found, |failing| (found * failing).sqrt());
        let probe = self.all_steps.iter().rfind(|step| is_probe(step));
        let prediction = probe.and_then(Prediction::of);
        let ratio = prediction.and_then(|prediction| {
            Some(prediction.load_max(&self.fixed)? / prediction.load_max(&other.fixed)?)
        });
        let cores = |fixed: &Fixed| f64::from(fixed.cores.unwrap_or(1));
        Some(found * ratio.unwrap_or(1.0) * cores(&self.fixed) / cores(&other.fixed))
    }

    fn load_max(&self) -> f64 {
        self.rounded(self.plan.load_max)
    }

    /// A load as it is asked for: whole subscribers, rates of few digits; at most the greatest to try.
    fn rounded(&self, load: f64) -> f64 {
        let bounded = load.min(self.plan.load_max);
        if self.fixed.varies_subscribers() {
            return bounded.round().max(1.0);
        }
        let scale = 10f64.powi(RATE_DIGITS - 1 - bounded.log10().floor() as i32);
        ((bounded * scale).round() / scale).min(self.plan.load_max)
    }

    /// What it may still spend, if it is given so much beyond its share.
    fn allowance_ns(&self, beyond_ns: u64) -> Option<u64> {
        let spent_ns: u64 = self.steps.iter().map(|step| step.took_ns).sum();
        // What it left is no longer its own where those after it have spent it.
        let rest = |budget: Budget| budget.share_ns.saturating_add(beyond_ns).saturating_sub(spent_ns);
        self.budget.map(|budget| rest(budget).min(budget.left_ns))
    }

    /// The budget has room for so many of them.
    fn affords(&self, wanted: &Wanted, steps: usize) -> bool {
        let each_ns = took_ns(self.plan, self.all_steps, self.steady_ns(wanted, true));
        let has_begun = wanted.role == Role::Verify && self.verifications() > 0;
        let beyond_ns = if has_begun { each_ns.saturating_mul(VERIFICATIONS as u64) } else { 0 };
        self.allowance_ns(beyond_ns).is_none_or(|allowance| each_ns.saturating_mul(steps as u64) <= allowance)
    }

    /// It has no room for all that is likely to come at full length.
    fn is_short(&self, wanted: &Wanted) -> bool {
        let each_ns = took_ns(self.plan, self.all_steps, self.steady_ns(wanted, false));
        self.allowance_ns(0)
            .is_some_and(|allowance| each_ns.saturating_mul(wanted.steps_left as u64) > allowance)
    }

    fn steady_ns(&self, wanted: &Wanted, short: bool) -> u64 {
        let (_, rate_per_s) = self.fixed.with(wanted.load);
        steady_ns(self.plan, wanted.role, rate_per_s, short)
    }

    fn measure(&self, wanted: &Wanted) -> Measure {
        let (subscribers, rate_per_s) = self.fixed.with(wanted.load);
        let length_ns = self.steady_ns(wanted, self.is_short(wanted));
        Measure {
            search: self.index as u32,
            role: wanted.role,
            subscribers,
            rate_per_s,
            cores: self.fixed.cores,
            warmup_ns: warmup_ns(self.plan),
            steady_ns: length_ns,
            is_short: length_ns < self.steady_ns(wanted, false),
            seed: self.plan.seed.wrapping_add(self.all_steps.len() as u64),
        }
    }
}

fn is_probe(step: &Step) -> bool {
    step.role == Role::Probe && step.outcome.is_valid()
}

/// Steps of a ramp from `load`, which holds, to the first beyond `expected`.
fn ramps(load: f64, expected: f64) -> usize {
    ((expected / load).ln() / RAMP.ln()).ceil().max(1.0) as usize
}

/// Halvings of a bracket of this ratio until it is narrow.
fn halvings(ratio: f64) -> usize {
    (ratio.ln() / BRACKET_MAX.ln_1p()).log2().ceil().max(0.0) as usize
}
