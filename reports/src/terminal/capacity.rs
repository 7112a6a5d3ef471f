//! A capacity session for people at a terminal: the answer first, then the searches, what limits, the fits, whether the
//! planned loads fit, what things cost, and what to do next.

use super::Style;
use super::layout::{Page, Paint, clean};
use crate::Status;
use crate::capacity::advice::{Advice, advice};
use crate::capacity::cost::Cost;
use crate::capacity::frontier::{Estimate, Frontier};
use crate::capacity::headroom::{Headroom, spare_text};
use crate::capacity::scalability::Scalability;
use crate::capacity::search_result::{SearchResult, fixed_text, load_text};
use crate::capacity::{BRACKET_MAX, CapacityResult, Plan, Progress, VERIFICATIONS, Vary};
use crate::units::{counted, flag_duration, number, percent, seconds};

const TEXT_COLUMNS_MAX: usize = 1_000;
/// Sentences of a kind that are printed; the others stand in `capacity.json`.
const LINES_MAX: usize = 12;

/// Renders a session; every line ends in `\n`.
pub fn capacity(capacity: &CapacityResult, style: &Style) -> String {
    let mut page = Page::new(style);
    headline(&mut page, capacity);
    page.blank();
    asked(&mut page, capacity);
    page.blank();
    page.table(&SEARCHES_HEAD, &capacity.searches.iter().map(search_row).collect::<Vec<_>>());
    let limits = capacity.searches.iter().filter_map(|search| {
        let limit = search.limit.as_ref()?;
        Some(format!("{}: {}", fixed_text(&search.fixed), limit.sentence))
    });
    list(&mut page, "limit", limits.collect());
    let fits = capacity.frontier.iter().flat_map(frontier_lines).chain(capacity.frontier_refused.clone());
    list(&mut page, "frontier", fits.collect());
    let scaling =
        capacity.scalability.iter().flat_map(scalability_lines).chain(capacity.scalability_refused.clone());
    list(&mut page, "cores", scaling.collect());
    if !capacity.headroom.is_empty() {
        page.blank();
        page.table(
            &HEADROOM_HEAD,
            &capacity.headroom.iter().map(|of| headroom_row(of).to_vec()).collect::<Vec<_>>(),
        );
    }
    if !capacity.costs.is_empty() {
        page.blank();
        page.table(&COSTS_HEAD, &capacity.costs.iter().map(cost_row).collect::<Vec<_>>());
    }
    list(&mut page, "left out", left_out(capacity));
    list(&mut page, "findings", capacity.findings.clone());
    next(&mut page, capacity);
    page.into_text()
}

/// Heads of the tables, here and in Markdown.
pub(crate) const SEARCHES_HEAD: [&str; 5] = ["search", "verified", "failing", "bracket", "limit"];
pub(crate) const HEADROOM_HEAD: [&str; 3] = ["planned load", "answer", "headroom"];
pub(crate) const COSTS_HEAD: [&str; 3] = ["cost", "value", "from to"];

/// A line of progress: the time left, the bracket as it narrows, and what a narrow window may cut.
pub fn capacity_progress(plan: &Plan, progress: &Progress) -> String {
    let fixed = plan.searches().get(progress.search as usize).copied();
    let load = |load: Option<f64>| load.map_or_else(|| "?".to_owned(), number);
    let verified = match progress.verifications {
        0 => String::new(),
        passed => format!(", verified {passed} of {VERIFICATIONS}"),
    };
    format!(
        "about {} left, [{}, {}]{verified}, next: {} at {}{}",
        flag_duration(progress.time_left_ns.div_ceil(1_000_000_000) * 1_000_000_000),
        load(progress.held),
        load(progress.failing),
        progress.role.name(),
        fixed.map_or_else(|| number(progress.load), |fixed| load_text(&fixed, progress.load)),
        fixed.map_or_else(String::new, |fixed| format!(", {}", fixed_text(&fixed)))
    )
}

fn headline(page: &mut Page, capacity: &CapacityResult) {
    let paint = match capacity.verdict.status {
        Status::Pass => Paint::Green,
        Status::Fail => Paint::Red,
        Status::Invalid | Status::Unresolved => Paint::Yellow,
    };
    page.headline(capacity.verdict.status.word(), paint, &bounded(capacity.verdict.reasons.clone()));
}

fn asked(page: &mut Page, capacity: &CapacityResult) {
    page.section("target", &[vec![clean(&capacity.plan.target, TEXT_COLUMNS_MAX)]]);
    for (label, words) in asked_words(capacity) {
        page.section(label, &[words]);
    }
    if let Some(progress) = &capacity.progress {
        page.section("under way", &[vec![capacity_progress(&capacity.plan, progress)]]);
    }
}

/// What was asked, and what was done for it.
pub(crate) fn asked_words(capacity: &CapacityResult) -> [(&'static str, Vec<String>); 3] {
    let (plan, scenario) = (&capacity.plan, &capacity.plan.scenario);
    let vary = match plan.vary {
        Vary::Rate => "greatest rate at a number of subscribers",
        Vary::Subscribers => "most subscribers at a rate",
        Vary::Both => "greatest rate at several numbers of subscribers",
    };
    let thresholds: Vec<String> = scenario.thresholds.iter().map(ToString::to_string).collect();
    let defaults = "nothing lost, late or refused, and no backlog".to_owned();
    let took_ns: u64 = capacity.steps.iter().map(|step| step.took_ns).sum();
    let took = flag_duration(took_ns / 1_000_000_000 * 1_000_000_000);
    let budget =
        capacity.budget_ns.map_or_else(String::new, |budget| format!(" of {}", flag_duration(budget)));
    [
        ("search", vec![vary.to_owned(), format!("to {}", percent(BRACKET_MAX))]),
        ("has to hold", if thresholds.is_empty() { vec![defaults] } else { thresholds }),
        ("steps", vec![counted(capacity.steps.len() as u64, "step", "steps"), format!("{took}{budget}")]),
    ]
}

pub(crate) fn search_row(search: &SearchResult) -> Vec<String> {
    let load = |load: Option<f64>| load.map_or_else(none, |load| load_text(&search.fixed, load));
    let (held, failing) = (search.bracket.held, search.bracket.failing);
    vec![
        fixed_text(&search.fixed),
        load(search.verified),
        load(failing),
        held.zip(failing).map_or_else(none, |(held, failing)| percent(failing / held - 1.0)),
        search.limit.as_ref().map_or_else(none, |limit| limit.name.name().to_owned()),
    ]
}

pub(crate) fn headroom_row(headroom: &Headroom) -> [String; 3] {
    [
        headroom.planned.to_string(),
        headroom.answer.word().to_owned(),
        headroom.spare_rate.map_or_else(none, spare_text),
    ]
}

pub(crate) fn cost_row(cost: &Cost) -> Vec<String> {
    let interval = match (cost.low, cost.high) {
        (Some(low), Some(high)) => format!("{} to {}", cost.unit.shown(low), cost.unit.shown(high)),
        _ => none(),
    };
    vec![cost.name.clone(), cost.unit.shown(cost.value), interval]
}

pub(crate) fn frontier_lines(frontier: &Frontier) -> Vec<String> {
    vec![
        format!(
            "a post takes {} and {} for every subscriber",
            interval(frontier.fixed_s, seconds),
            interval(frontier.per_subscriber_s, seconds)
        ),
        format!("the point predicted worst by the others is {} off", percent(frontier.leave_one_out_error)),
    ]
}

pub(crate) fn scalability_lines(law: &Scalability) -> Vec<String> {
    let rate = |rate: f64| number((rate * 10.0).round() / 10.0);
    let peak = match law.peak_cores {
        Some(cores) => format!("beyond {} cores it gets slower", number(cores.round())),
        None => "no number of cores is known from which on it gets slower".to_owned(),
    };
    vec![
        format!("one core takes {} posts/s", interval(law.one_core_per_s, rate)),
        format!(
            "contention {}, coherency {}; {peak}",
            interval(law.contention, percent),
            interval(law.coherency, percent)
        ),
        format!("the point predicted worst by the others is {} off", percent(law.leave_one_out_error)),
    ]
}

fn interval(estimate: Estimate, shown: impl Fn(f64) -> String) -> String {
    format!("{} (95 %: {} to {})", shown(estimate.value), shown(estimate.low), shown(estimate.high))
}

pub(crate) fn left_out(capacity: &CapacityResult) -> Vec<String> {
    let of = |search: &SearchResult| {
        let fixed = fixed_text(&search.fixed);
        search.left_out.iter().map(move |what| format!("{fixed}: {what}")).collect::<Vec<String>>()
    };
    capacity.searches.iter().flat_map(of).collect()
}

/// What to do next, each with its command.
fn next(page: &mut Page, capacity: &CapacityResult) {
    for (index, Advice { sentence, command }) in advice(capacity).into_iter().enumerate() {
        page.blank();
        page.section(if index == 0 { "next" } else { "" }, &[vec![sentence]]);
        if let Some(command) = command {
            page.command(&clean(&command, usize::MAX));
        }
    }
}

fn none() -> String {
    "n/a".to_owned()
}

/// A labelled list, if there is something in it.
fn list(page: &mut Page, label: &str, sentences: Vec<String>) {
    if !sentences.is_empty() {
        page.blank();
        page.section(label, &bounded(sentences).into_iter().map(|line| vec![line]).collect::<Vec<_>>());
    }
}

/// As many as are printed, each safe to print.
fn bounded(sentences: Vec<String>) -> Vec<String> {
    let more = sentences.len().saturating_sub(LINES_MAX) as u64;
    let more =
        (more > 0).then(|| format!("and {} more in capacity.json", counted(more, "sentence", "sentences")));
    let shown = sentences.iter().take(LINES_MAX).map(|sentence| clean(sentence, TEXT_COLUMNS_MAX));
    shown.chain(more).collect()
}
