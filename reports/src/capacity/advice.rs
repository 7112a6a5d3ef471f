//! What to do next, from what a session found.
//!
//! Invariant: every sentence follows from the result; a session that answers everything still says how to keep to it.

use super::headroom::Fits;
use super::limit::Limit;
use super::search::Ending;
use super::search_result::{fixed_text, load_text};
use super::{CapacityResult, Role, SearchResult, Step};
use crate::gate::PORT;
use crate::scenario_text::{search_command, step_command};

const SECOND_NS: u64 = 1_000_000_000;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What, and why.
    pub sentence: String,
    /// The command that does it, in the folder of the session, which has its `scenario.toml`; for a shell, one line.
    pub command: Option<String>,
}

/// The most urgent first, each once.
pub fn advice(capacity: &CapacityResult) -> Vec<Advice> {
    let mut advice: Vec<Advice> = Vec::new();
    let mut add = |sentence: String, command: Option<String>| {
        let one = Advice { sentence, command };
        if !advice.contains(&one) {
            advice.push(one);
        }
    };
    let mut say = |sentence: String| add(sentence, None);
    if !capacity.finished {
        say("the same command with --out and the folder of this session goes on where it is".to_owned());
    }
    let endings = capacity.searches.iter().filter_map(|search| Some((search, search.ending?)));
    endings.filter_map(|(search, ending)| of_ending(search, ending)).for_each(&mut say);
    if capacity.searches.iter().any(|search| search.ending.is_some() && !search.left_out.is_empty()) {
        say("a greater --budget goes on where this one ended, and makes up for what was left out".to_owned());
    }
    let verified = capacity.searches.iter().filter(|search| search.verified.is_some());
    verified.filter_map(|search| Some(of_limit(search.limit.as_ref()?.name).to_owned())).for_each(&mut say);
    let untold = capacity.headroom.iter().filter(|headroom| headroom.answer == Fits::Unresolved);
    for load in untold.map(|headroom| headroom.planned) {
        let command = search_command(&capacity.plan, load);
        add(format!("whether {load} fits is told by a search there"), Some(command));
    }
    if let Some((what, command)) = in_every_build(capacity) {
        add(what.to_owned(), Some(command));
    }
    advice
}

/// The last load that was verified, as one run.
fn in_every_build(capacity: &CapacityResult) -> Option<(&'static str, String)> {
    let index = capacity.searches.iter().rposition(|search| search.verified.is_some())?;
    let search = &capacity.searches[index];
    let load = search.fixed.with(search.verified?);
    let is_one = |step: &&Step| step.search as usize == index && step.role == Role::Verify;
    let length_ns = capacity.steps.iter().rfind(is_one)?.steady_ns.next_multiple_of(SECOND_NS);
    let what = match capacity.plan.target.contains(PORT) {
        false => {
            "to notice when it carries less, run it at that load with the same thresholds in every build"
        }
        true => {
            "to notice when it carries less, start it with a port for {port}, and run it at that load with the same thresholds in \
             every build"
        }
    };
    Some((what, step_command(&capacity.plan, load, length_ns)))
}

fn of_ending(search: &SearchResult, ending: Ending) -> Option<String> {
    let (at, load) = (fixed_text(&search.fixed), |load| load_text(&search.fixed, load));
    match ending {
        Ending::Verified | Ending::BudgetSpent => None,
        Ending::GeneratorLimited(_) => Some(
            "give the generator CPUs of its own, a faster host or more threads, and search again: what it cannot drive says \
             nothing of the target"
                .to_owned(),
        ),
        Ending::Unsettled(at) => {
            Some(format!("look at a run at {}: why it could not be judged by says whether a longer --warmup or a quieter host does", load(at)))
        }
        Ending::NothingHolds(lowest) => Some(format!(
            "{at}: look at a single run at {}, whose report says what does not hold; if that is the threshold, it asks for more \
             than an idle target gives",
            load(lowest)
        )),
    }
}

/// What would move the limit.
const fn of_limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => {
            "more memory moves the limit, or less for each subscriber: the costs say how much one takes"
        }
        Limit::Descriptors => {
            "let the target open more files (ulimit -n, LimitNOFILE=): a subscriber takes one"
        }
        Limit::CpuQuota => {
            "raise the target's CPU quota: it was stopped by it, whatever the CPUs of the host had left"
        }
        Limit::TargetCpu => {
            "more CPUs move the limit only as far as the target's work spreads over them, which --cores searches for; a busiest \
             thread near 100 % says that it does not"
        }
        Limit::Storage => "a faster disk moves the limit, or fewer commits for the same posts",
        Limit::Network => {
            "a wider network moves the limit, or fewer bytes for each delivery: the costs say how many one takes"
        }
        Limit::SocketBuffers => {
            "larger socket buffers only bridge bursts: find out why they are not emptied in time"
        }
        Limit::Latency => {
            "nothing was used up, so more of the same hardware changes little: a post to so many takes its time. A laxer \
             threshold, a faster CPU or a fan-out in parallel does"
        }
        Limit::TargetEnded => {
            "the target ended under this load: its log, beside the run of that step, says why"
        }
        Limit::Unknown => {
            "nothing that could be seen was used up: run the target where its process can be seen, or look for locks and queues \
             in it"
        }
    }
}
