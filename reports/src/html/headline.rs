//! What a report begins with: the verdict, one sentence in plain words, and the figures that it rests on.

use maud::{Markup, html};

use super::definitions;
use super::view::View;
use crate::terminal::{latency_table, plain_sentence, scenario_words};
use crate::validity::{Check, Consequence};
use crate::{RunResult, Status};

pub(super) fn headline(view: &View<'_>) -> Markup {
    let result = view.result;
    let table = latency_table(result);
    html! {
        div.verdict.{ (class(result.verdict.status)) } {
            h1 { span.word { (result.verdict.status.word()) } }
            p.lead { (sentence(result)) }
            @if !result.verdict.reasons.is_empty() {
                ul { @for reason in &result.verdict.reasons { li { (reason) } } }
            }
            @for finding in &result.findings { p.finding { b { (finding.label.word()) } " " (finding.sentence) } }
            p.facts {
                @for (index, word) in scenario_words(result).iter().enumerate() { @if index > 0 { " · " } (word) }
            }
            p.facts { "run " (result.run_id) " · started " time { (result.started_at) } }
        }
        div.scroll tabindex="0" role="group" aria-label="latencies" {
            table.latencies {
                thead { tr { @for head in table.head { th scope="col" { (head) } } } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                @if column == 0 { th scope="row" { (definitions::term(cell)) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(needs) = table.needs { p.remark { (needs.join(", ")) } }
    }
}

/// The class of a verdict's colors.
pub(super) fn class(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Fail => "fail",
        Status::Invalid | Status::Unresolved => "unsure",
    }
}

fn sentence(result: &RunResult) -> String {
    let said = plain_sentence(result);
    let mut said = said.chars();
    let first = said.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let said = format!("{first}{}", said.as_str());
    match result.verdict.status {
        Status::Invalid => {
            "The generator was not trustworthy: the figures below say nothing about the target.".to_owned()
        }
        Status::Unresolved => unbroken(&format!("{said}; {}.", open_question(result))),
        Status::Pass | Status::Fail => unbroken(&format!("{said}; the measurement is valid.")),
    }
}

/// Why there is no answer, in a word or two; the reasons below say the rest.
fn open_question(result: &RunResult) -> &'static str {
    let short = |check: &&Check| check.tripped() && check.consequence() == Consequence::Unresolved;
    let short = result.validity.iter().find(short).map(|check| check.id.as_str());
    match () {
        () if result.deliveries.owed == 0 => "nothing was measured",
        () if result.interrupted => "the run was interrupted",
        () if short == Some("V12") => "its warm-up was too short",
        () if short.is_some() => "the run was too short to say more",
        () => "it does not answer everything that it was asked",
    }
}

/// No line ends between a number and what it counts.
pub(super) fn unbroken(text: &str) -> String {
    let mut before = None;
    let glue = |c: char| {
        let is_glue = c == ' ' && before.is_some_and(|before: char| before.is_ascii_digit());
        before = Some(c);
        if is_glue { '\u{a0}' } else { c }
    };
    text.chars().map(glue).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LatencySummary;
    use crate::quantile::new_histogram;
    use crate::sample;
    use crate::threshold::judge::Sample;
    use crate::threshold::result::ThresholdResult;

    fn said(change: impl FnOnce(&mut RunResult)) -> String {
        let mut run = sample::run();
        change(&mut run);
        run.judge();
        assert_eq!(run.verdict.status, Status::Unresolved, "{:?}", run.verdict.reasons);
        sentence(&run)
    }

    #[test]
    fn a_run_without_an_answer_says_why_and_nothing_untrue() {
        let short = said(|run| run.latency_ns.delivery.effective_samples = 3.0);
        assert!(short.ends_with("; the run was too short to say more."), "{short}");
        let unsettled = said(|run| run.scenario.warmup_ns = 0);
        assert!(unsettled.ends_with("; its warm-up was too short."), "{unsettled}");
        let interrupted = said(|run| run.interrupted = true);
        assert!(interrupted.ends_with("; the run was interrupted."), "{interrupted}");
        let empty = said(|run| {
            run.deliveries = Default::default();
            run.latency_ns.delivery = LatencySummary::new(&new_histogram(), 0, 0.0);
        });
        assert!(empty.ends_with("o delivery was owed; nothing was measured."), "{empty}");
        let unknown = said(|run| {
            run.resources.target = None;
            run.resources.target_use = None;
            let threshold = "target cpu_per_million < 5s".parse().unwrap();
            let sample = Sample::of_run(&threshold, run);
            run.thresholds = vec![ThresholdResult::of_whole(&threshold, run, sample)];
        });
        assert!(unknown.ends_with("; it does not answer everything that it was asked."), "{unknown}");
    }
}
