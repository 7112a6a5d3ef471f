//! From the steps to the answer.

use super::cost::costs;
use super::frontier::{FrontierFit, FrontierPoint};
use super::headroom::{Fits, Headroom};
use super::limit::{BUSY, HOST_BUSY, Limit};
use super::next::progress;
use super::scalability::{Scalability, ScalabilityPoint};
use super::search::{Ending, Search};
use super::search_result::{SearchResult, fixed_text};
use super::{CapacityResult, Outcome, Role, Step, Vary};
use crate::units::{change, counted, number, percent};
use crate::{Status, Verdict};

/// What the overload estimate may differ from the bracket.
pub(crate) const OVERLOAD_DIFFERENCE_MAX: f64 = 0.1;
/// What Little's law may be off.
pub(crate) const LITTLE_DIFFERENCE_MAX: f64 = 0.02;

impl CapacityResult {
    /// Judges what is there: fills everything that follows from plan, budget, planned loads and steps.
    pub fn judge(&mut self) {
        let budget_left_ns = self.budget_left_ns();
        let searches = Search::all(&self.plan, &self.steps, budget_left_ns);
        self.searches = searches.iter().map(SearchResult::of).collect();
        self.progress = progress(&self.plan, &self.steps, budget_left_ns);
        self.finished = self.progress.is_none();
        let frontier = frontier(self);
        self.frontier = frontier.as_ref().and_then(|fit| fit.as_ref().ok()).map(FrontierFit::record);
        self.frontier_refused = frontier.as_ref().and_then(|fit| fit.as_ref().err().cloned());
        let scalability = scalability(self);
        self.scalability_refused = scalability.as_ref().and_then(|fit| fit.as_ref().err().cloned());
        self.scalability = scalability.and_then(Result::ok);
        let fit = frontier.and_then(Result::ok);
        let fits = |load| Headroom::of(load, &self.searches, fit.as_ref());
        self.headroom = self.planned_loads.iter().copied().map(fits).collect();
        self.costs = costs(&self.steps, &self.searches, self.frontier.as_ref());
        self.findings = findings(self);
        self.verdict = verdict(self);
    }
}

/// Where several numbers of subscribers were to be searched.
fn frontier(capacity: &CapacityResult) -> Option<Result<FrontierFit, String>> {
    let point = |search: &SearchResult| {
        Some(FrontierPoint { subscribers: search.fixed.subscribers?, rate_per_s: search.middle()? })
    };
    let points = || capacity.searches.iter().filter_map(point).collect();
    (capacity.plan.vary == Vary::Both).then(|| FrontierFit::of(points()))
}

/// Where several numbers of cores were to be searched.
fn scalability(capacity: &CapacityResult) -> Option<Result<Scalability, String>> {
    let point = |search: &SearchResult| {
        Some(ScalabilityPoint { cores: search.fixed.cores?, rate_per_s: search.middle()? })
    };
    let points = || capacity.searches.iter().filter_map(point).collect();
    (capacity.plan.core_counts.len() > 1).then(|| Scalability::of(points()))
}

/// The gravest first: a target that holds nothing or does not fit what is planned, then what could not be measured.
fn verdict(capacity: &CapacityResult) -> Verdict {
    let ended = |is: fn(&Ending) -> bool| {
        capacity.searches.iter().any(|search| search.ending.as_ref().is_some_and(is))
    };
    let fits = |answer: Fits| capacity.headroom.iter().any(|headroom| headroom.answer == answer);
    let status = match () {
        () if !capacity.finished => Status::Unresolved,
        () if ended(|ending| matches!(ending, Ending::GeneratorLimited(_))) => Status::Invalid,
        () if fits(Fits::DoesNotFit) || ended(|ending| matches!(ending, Ending::NothingHolds(_))) => {
            Status::Fail
        }
        () if fits(Fits::Unresolved) || ended(|ending| *ending != Ending::Verified) => Status::Unresolved,
        () => Status::Pass,
    };
    let searches = capacity.searches.iter().map(|search| search.sentence.clone());
    let planned = capacity.headroom.iter().map(|headroom| headroom.sentence.clone());
    Verdict { status, reasons: searches.chain(planned).collect() }
}

/// Cross-checks that disagree, then what cannot be helped.
fn findings(capacity: &CapacityResult) -> Vec<String> {
    let overload = capacity.searches.iter().filter_map(overload_disagrees);
    let little = capacity.steps.iter().enumerate().filter_map(little_disagrees);
    overload.chain(little).chain(host_is_busy(capacity)).chain(capacity.plan.notes()).collect()
}

/// How far what a search says of the target by its overload lies outside of the bracket, as a share. Only a target that is
/// at its end takes as much as it can: one that is merely too slow for the thresholds takes more.
pub(crate) fn overload_difference(search: &SearchResult) -> Option<f64> {
    let estimate = search.overload_estimate_per_s.filter(|_| !search.fixed.varies_subscribers())?;
    let (held, failing) = (search.verified?, search.bracket.failing?);
    if search.limit.as_ref()?.name == Limit::Latency {
        return None;
    }
    Some(if estimate < held { estimate / held - 1.0 } else { (estimate / failing - 1.0).max(0.0) })
}

/// By Little's law, of a step that says something of it.
pub(crate) fn little_difference(step: &Step) -> Option<f64> {
    // A probe is a few posts: those at its ends count for too much.
    step.readings.little_difference.filter(|_| step.outcome == Outcome::Pass && step.role != Role::Probe)
}

fn overload_disagrees(search: &SearchResult) -> Option<String> {
    let (estimate, difference) = (search.overload_estimate_per_s?, overload_difference(search)?);
    (difference.abs() > OVERLOAD_DIFFERENCE_MAX).then(|| {
        format!(
            "{}: by its overload the target takes {} posts/s, which is {} off what the search found (at most {}): it \
             takes more, or less, while it is overloaded",
            fixed_text(&search.fixed),
            number((estimate * 100.0).round() / 100.0),
            change(difference),
            percent(OVERLOAD_DIFFERENCE_MAX)
        )
    })
}

fn little_disagrees((index, step): (usize, &Step)) -> Option<String> {
    let difference = little_difference(step)?;
    (difference.abs() > LITTLE_DIFFERENCE_MAX).then(|| {
        format!(
            "step {}: deliveries outstanding are {} off what rate and mean latency make them (Little's law, at most {})",
            index + 1,
            change(difference),
            percent(LITTLE_DIFFERENCE_MAX)
        )
    })
}

/// On a host that generator and target share, what the one uses the other lacks.
fn host_is_busy(capacity: &CapacityResult) -> Option<String> {
    let busy = capacity.steps.iter().filter(|step| {
        let share = |used: Option<f64>, of: Option<f64>| Some(used? / of?);
        let own = share(step.resources.cpus_used, step.resources.cpus).unwrap_or(0.0);
        step.outcome == Outcome::Fail
            && step.resources.host_cpu_share.is_some_and(|host| host >= HOST_BUSY && own < BUSY)
    });
    let count = busy.count() as u64;
    (count > 0).then(|| {
        format!(
            "in {} the host's CPUs were used up and not by the target alone: on a host of its own it carries more",
            counted(count, "step that failed", "steps that failed")
        )
    })
}
