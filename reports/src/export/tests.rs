//! Golden files of every format, and what holds for any outcome.

use proptest::prelude::*;

use super::*;
use crate::capacity::tests::simulated::Server;
use crate::capacity::tests::{of_both, of_subscribers, plan};
use crate::capacity::{self, CapacityResult, Next, Step};
use crate::gate::tests::{gate_of, judged};
use crate::gate::{GateResult, Repeat, Variant};
use crate::metric::Value;
use crate::run_result::Timestamps;
use crate::sample::{self, arbitrary};
use crate::threshold::judge::Sample;
use crate::threshold::result::ThresholdResult;
use crate::{RunResult, Status, Verdict};

/// A run with thresholds of every kind: one passes, one fails, one is open, one advises.
fn thresholds() -> RunResult {
    let mut run = sample::run();
    let posts = |misses| Sample::Posts { posts: sample::POSTS, misses };
    for (expression, sample) in [
        ("delivery p50 < 250ms", posts(0.0)),
        ("full_fanout p90 <= 9ms", posts(500.0)),
        ("delivery p99.9 < 20ms over 10s", posts(0.0)),
        ("delivery p99.9 < 20ms", posts(0.0)),
        ("first_delivery p50 < 1ms advisory", posts(600.0)),
        ("missing == 0", Sample::Exact(Value::Number(0.0))),
    ] {
        let threshold = expression.parse().unwrap();
        let result = match expression.contains("over") {
            true => ThresholdResult::of_windows(&threshold, &run, &[]),
            false => ThresholdResult::of_whole(&threshold, &run, sample),
        };
        run.thresholds.push(result);
    }
    run.judge();
    run
}

fn failed_gate() -> GateResult {
    let mut gate = gate_of(10, [1.12, 1.02, 0.97]);
    gate.repeats = vec![Repeat {
        pair: 2,
        variant: Variant::Base,
        run_id: "7f3a9c0d".to_owned(),
        reasons: vec!["V4: paused for 80 ms".to_owned()],
    }];
    judged(gate)
}

/// Every text that a user or a target has a hand in, at its worst.
const HOSTILE: &str = "a]]><script>alert(1)</script> | \\| `b` ``` c\u{1b}[31m\r\n::error::d\n```\n<details>%0A, \"e\" 'f' \\ \
                       \u{fffe}\u{0}@someone https://example.test {g=\"h\"} # EOF";

fn hostile() -> Outcome {
    let mut outcome = Outcome::of_run(&thresholds());
    let bad = || HOSTILE.repeat(20);
    for case in &mut outcome.cases {
        (case.name, case.observed, case.allowed, case.sentence) = (bad(), bad(), bad(), bad());
    }
    outcome.facts.iter_mut().for_each(|(_, value)| *value = bad());
    // The summary is cleaned where it is made; its fences are not.
    outcome.summary = "FAIL  ```` <script>\n```\n\n`````` </details>\n".to_owned();
    outcome
}

fn golden(outcome: &Outcome) -> String {
    let all = Format::ALL.map(|format| format!("== {format}\n{}", format.render(outcome).unwrap()));
    format!("{}== annotations\n{}", all.concat(), github::annotations(outcome))
}

#[test]
fn a_run_with_thresholds() {
    insta::assert_snapshot!(golden(&Outcome::of_run(&thresholds())));
}

#[test]
fn a_run_that_lost_something() {
    let mut run = sample::lossy();
    // With the kernel's stamps such latencies are not believed.
    run.timestamps = Timestamps::User;
    run.judge();
    let outcome = Outcome::of_run(&run);
    assert_eq!(outcome.verdict.status, Status::Fail);
    assert!(outcome.figures.iter().any(|figure| figure.is_beyond && figure.is_tracked));
    insta::assert_snapshot!(golden(&outcome));
}

#[test]
fn a_gate_that_failed() {
    insta::assert_snapshot!(golden(&Outcome::of_gate(&failed_gate())));
}

/// Of its planned loads one fits, one does not, and one cannot be told.
fn failed_session() -> CapacityResult {
    let mut session = Server::default().session(&of_both(), None, usize::MAX);
    session.planned_loads = ["3000 subscribers, 40/s", "16000 subscribers, 20/s", "30000 subscribers, 1/s"]
        .map(|load| load.parse().unwrap())
        .to_vec();
    session.judge();
    session
}

#[test]
fn a_session_that_failed() {
    insta::assert_snapshot!(golden(&Outcome::of_capacity(&failed_session())));
}

#[test]
fn hostile_texts_are_inert() {
    insta::assert_snapshot!(golden(&hostile()));
}

#[test]
fn an_invalid_run_has_cases_and_no_figures() {
    let mut run = sample::run();
    run.evidence.steal_share_max = Some(0.5);
    run.judge();
    let outcome = Outcome::of_run(&run);
    assert_eq!(outcome.cases[0].status, Status::Invalid);
    assert_eq!(Format::GithubActionBenchmark.render(&outcome).unwrap(), "[]\n");
    assert_eq!(Format::Bencher.render(&outcome).unwrap(), "{}\n");
    let metrics = Format::OpenMetrics.render(&outcome).unwrap();
    assert!(metrics.contains("{status=\"INVALID\"} 1\n") && !metrics.contains("latency"), "{metrics}");
}

#[test]
fn a_figure_has_an_interval_over_the_posts() {
    let outcome = Outcome::of_run(&sample::run());
    let of = |name: &str| {
        let metric = name.parse().unwrap();
        outcome.figures.iter().find(|figure| figure.metric == metric).unwrap()
    };
    // 600 posts, evenly from 2 to 13 ms: Clopper and Pearson give 300 of 600 the shares 0.4592 and 0.5408.
    let (low, high) = of("delivery p50").interval.unwrap();
    assert!((low - (2e6 + 0.4592 * 11e6)).abs() < 2e4, "{low}");
    assert!((high - (2e6 + 0.5408 * 11e6)).abs() < 2e4, "{high}");
    assert_eq!(of("delivery max").interval, None);
    assert!(outcome.figures.iter().all(|figure| figure.metric != "delivery p99.9".parse().unwrap()));
}

#[test]
fn annotations_are_no_more_than_are_shown() {
    let mut outcome = Outcome::of_run(&thresholds());
    let failed = outcome.cases.iter().find(|case| case.status == Status::Fail).unwrap().clone();
    outcome.cases = (0..25).map(|n| Case { name: format!("case {n}"), ..failed.clone() }).collect();
    let text = github::annotations(&outcome);
    assert_eq!(text.lines().count(), 10);
    assert!(text.ends_with("::error title=feedmark run::and 16 more, which are in its output\n"), "{text}");
}

#[test]
fn a_comment_is_as_long_as_github_takes_it() {
    let most = crate::threshold::THRESHOLDS_MAX + 9;
    let mut outcome = hostile();
    outcome.cases = outcome.cases.iter().cycle().take(most).cloned().collect();
    let bytes = Format::Markdown.render(&outcome).unwrap().len();
    assert!(bytes < 65_536, "{bytes} bytes");
}

/// The gravest status of what decides.
fn gravest(outcome: &Outcome) -> Status {
    outcome.by_gravity().first().filter(|case| !case.advisory).map_or(Status::Pass, |case| case.status)
}

#[test]
fn the_gravest_case_of_a_gate_is_its_verdict() {
    let mut broken = gate_of(2, [1.0; 3]);
    broken.pairs[1].candidate.verdict =
        Verdict { status: Status::Fail, reasons: vec!["3 of 600 deliveries owed never arrived".to_owned()] };
    let mut invalid = gate_of(2, [1.0; 3]);
    let repeat = |pair| Repeat { pair, variant: Variant::Base, run_id: String::new(), reasons: Vec::new() };
    invalid.repeats = vec![repeat(3); 4];
    for (gate, status) in [
        (failed_gate(), Status::Fail),
        (gate_of(10, [1.0; 3]), Status::Pass),
        (judged(broken), Status::Fail),
        (judged(invalid), Status::Invalid),
    ] {
        assert!(gate.finished);
        assert_eq!(gate.verdict.status, status);
        assert_eq!(gravest(&Outcome::of_gate(&gate)), status, "{gate:?}");
    }
}

#[test]
fn the_gravest_case_of_a_session_is_its_verdict() {
    let server = Server::default();
    let limited = Server { generator_max: 100_000.0, ..Server::default() };
    let mut failing = server.session(&plan(), None, 0);
    while let Next::Measure(measure) = failing.next() {
        failing.steps.push(Step { outcome: capacity::Outcome::Fail, ..server.measure(&measure) });
    }
    failing.judge();
    for (session, status) in [
        (failed_session(), Status::Fail),
        (server.session(&of_subscribers(), None, usize::MAX), Status::Pass),
        (limited.session(&plan(), None, usize::MAX), Status::Invalid),
        (failing, Status::Fail),
        (server.session(&plan(), Some(60_000_000_000), usize::MAX), Status::Unresolved),
    ] {
        assert!(session.finished);
        assert_eq!(session.verdict.status, status, "{:?}", session.verdict);
        let outcome = Outcome::of_capacity(&session);
        assert_eq!(gravest(&outcome), status);
        let verified = session.searches.iter().filter(|search| search.verified.is_some()).count();
        assert_eq!(outcome.carried.len(), if status == Status::Invalid { 0 } else { verified });
        let metrics = Format::OpenMetrics.render(&outcome).unwrap();
        assert_eq!(metrics.matches("\nfeedmark_capacity_").count(), outcome.carried.len(), "{metrics}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The gravest case that decides is the verdict, every format has every case, and none has a line too many.
    #[test]
    fn no_case_is_lost(run in arbitrary::run(arbitrary::ANY)) {
        let mut run = run;
        run.judge();
        let outcome = Outcome::of_run(&run);
        prop_assert_eq!(gravest(&outcome), run.verdict.status);
        let cases = outcome.cases.len();
        let junit = Format::Junit.render(&outcome).unwrap();
        prop_assert_eq!(junit.matches("<testcase ").count(), cases);
        let markdown = markdown::short(&outcome);
        prop_assert_eq!(markdown.lines().filter(|line| line.starts_with("| ")).count(), cases + 1);
        let not_passed = outcome.cases.iter().filter(|case| case.status != Status::Pass).count();
        let annotations = github::annotations(&outcome);
        prop_assert!(annotations.lines().count() == not_passed || not_passed > 10);
        prop_assert!(annotations.lines().all(|line| line.starts_with("::")));
    }
}
