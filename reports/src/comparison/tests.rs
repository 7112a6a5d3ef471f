//! Words, mirrors, what cannot be said, and how it all looks.

use std::sync::LazyLock;

use jsonschema::validator_for;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::quantile::{Quantile, new_histogram};
use crate::terminal::Style;
use crate::{LatencySummary, markdown, sample, schema, terminal};

const MS: f64 = 1e6;
const CPU: Metric = Metric::CpuPerMillion(Side::Generator);

/// A run whose series are small, so that it is quick to copy.
static SMALL_RUN: LazyLock<RunResult> = LazyLock::new(|| {
    let mut run = sample::run();
    let few = sample::latency(20, 2_000_000, 13_000_000, 0, 600.0);
    run.latency_ns.receive_delay = few.clone();
    run.evidence.delivery_earliest_ns = few.clone();
    run.latency_ns.delivery = few;
    run
});

fn set(name: &str, values: &[f64], change: impl Fn(&mut RunResult, f64)) -> RunSet {
    let changed = |(index, value): (usize, &f64)| {
        let mut run = SMALL_RUN.clone();
        run.run_id = format!("{name}{index}");
        run.seed = index as u64;
        change(&mut run, *value);
        run
    };
    RunSet { name: name.to_owned(), runs: values.iter().enumerate().map(changed).collect() }
}

fn with_cpu(name: &str, values: &[f64]) -> RunSet {
    set(name, values, |run, value| run.resources.generator.cpu_s_per_million_deliveries = Some(value))
}

fn with_missing(name: &str, values: &[f64]) -> RunSet {
    set(name, values, |run, value| run.deliveries.missing = value as u64)
}

/// Every latency and every cost of a healthy run, times `value`.
fn scaled(name: &str, values: &[f64]) -> RunSet {
    set(name, values, |run, value| {
        let between = |least: f64, greatest: f64| {
            sample::latency(2_000, (least * value * MS) as u64, (greatest * value * MS) as u64, 0, 1_000.0)
        };
        let latencies = &mut run.latency_ns;
        latencies.delivery = between(2.0, 13.0);
        latencies.first_delivery = between(2.0, 4.0);
        latencies.full_fanout = between(8.0, 18.0);
        latencies.response_time = between(2.1, 5.2);
        run.connections.connect_ns.total = between(0.6, 14.0);
        run.resources.generator.cpu_s_per_million_deliveries = Some(7.187 * value);
        run.resources.target.as_mut().unwrap().cpu_s_per_million_deliveries = Some(8.4 * value);
    })
}

fn one(base: &RunSet, candidate: &RunSet, metric: Metric) -> MetricChange {
    let comparison = compare(base, candidate, &[metric], false).unwrap();
    comparison.metrics.into_iter().next().unwrap()
}

fn metric(name: &str) -> Metric {
    name.parse().unwrap()
}

#[test]
fn words_follow_interval_and_margins() {
    let base = [8.0, 8.1, 7.9, 8.05, 7.95];
    let times = |factor: f64| base.map(|value| value * factor);
    for (candidate, word) in [
        (times(1.0), Word::Same),
        (times(1.04), Word::Same),
        (times(1.0 / 1.04), Word::Same),
        (times(1.06), Word::Worse),
        (times(1.0 / 1.06), Word::Better),
        (times(2.0), Word::Worse),
        ([8.0, 12.0, 5.0, 9.0, 7.0], Word::Unresolved),
        // Certainly greater, but nobody knows whether by enough.
        ([8.2, 8.3, 8.25, 9.4, 9.5], Word::Unresolved),
    ] {
        let found = one(&with_cpu("a", &base), &with_cpu("b", &candidate), CPU);
        assert_eq!(found.word, word, "{candidate:?}: {found:?}");
        let interval = found.interval.unwrap();
        assert!(
            interval.low <= found.change.unwrap()
                && found.change.unwrap() <= interval.high
                && interval.coverage > 0.95
        );
        assert_eq!(found.reason, None);
    }
    let found = one(&with_cpu("a", &base), &with_cpu("b", &times(1.25)), CPU);
    assert!((found.change.unwrap() - 0.25).abs() < 1e-12, "{found:?}");
    assert_eq!(found.base.overall, Figure::Number(8.0));
    assert_eq!(found.candidate.runs.len(), 5);
}

#[test]
fn one_run_a_side_says_what_it_cannot_know() {
    let comparison = compare(&scaled("a", &[1.0]), &scaled("b", &[1.5]), &METRICS, false).unwrap();
    let sentence = comparison.too_few_runs.as_deref().unwrap();
    assert_eq!(
        sentence,
        "1 run against 1 cannot tell a change from the noise between runs: 4 runs a side make a 95 % interval possible"
    );
    for change in &comparison.metrics {
        let is_exact = change.unit.is_exact();
        assert_eq!(change.word, if is_exact { Word::Same } else { Word::Unresolved }, "{change:?}");
        assert_eq!(change.interval, None);
    }
    assert!((comparison.metrics[0].change.unwrap() - 0.5).abs() < 0.01, "{:?}", comparison.metrics[0]);
    let counters =
        compare(&scaled("a", &[1.0]), &scaled("b", &[1.5]), &[Metric::Count(Count::Missing)], false).unwrap();
    assert_eq!(counters.too_few_runs, None, "one run is enough for what is exact");
    let enough = compare(&scaled("a", &[1.0; 4]), &scaled("b", &[1.5; 4]), &METRICS, false).unwrap();
    assert_eq!((enough.too_few_runs.as_deref(), enough.word), (None, Word::Worse));
}

#[test]
fn counters_have_a_word_from_one_run_on() {
    for (base, candidate, word) in [
        (&[0.0][..], &[0.0][..], Word::Same),
        (&[0.0], &[1.0], Word::Worse),
        (&[1.0], &[0.0], Word::Better),
        (&[100.0], &[104.0], Word::Same),
        (&[100.0], &[105.0], Word::Worse),
        (&[105.0], &[100.0], Word::Better),
        (&[0.0, 0.0, 3.0], &[1.0], Word::Same),
        (&[0.0, 0.0, 3.0], &[0.0, 3.0], Word::Worse),
    ] {
        let found = one(&with_missing("a", base), &with_missing("b", candidate), metric("missing"));
        assert_eq!((found.word, found.interval), (word, None), "{base:?} {candidate:?}: {found:?}");
    }
    // What lacks is compared: from 0.02 % to 0.1 % is a lot.
    let complete = |name: &str, share: f64| {
        set(name, &[share], |run, share| {
            run.deliveries.delivered = (run.deliveries.owed as f64 * share).round() as u64
        })
    };
    let found = one(&complete("a", 0.999_8), &complete("b", 0.999), metric("completeness"));
    assert_eq!((found.word, found.base.overall), (Word::Worse, Figure::Number(99.98)));
    let found = one(&complete("a", 0.999), &complete("b", 0.999_8), metric("completeness"));
    assert_eq!(found.word, Word::Better);
}

#[test]
fn beyond_the_deadline_bounds_a_change_on_one_side() {
    let fanout = metric("full_fanout p50");
    let beyond = |name: &str, lost: &[f64]| {
        set(name, lost, |run, lost| {
            run.latency_ns.full_fanout = sample::latency(600, 8_000_000, 18_000_000, lost as u64, 600.0);
        })
    };
    let (whole, lost) = (beyond("a", &[0.0; 5]), beyond("b", &[0.0, 700.0, 700.0, 700.0, 700.0]));
    let found = one(&whole, &lost, fanout);
    assert_eq!(
        (found.word, found.change, found.interval),
        (Word::Unresolved, None, None),
        "one run is as before"
    );
    assert_eq!(found.candidate.overall, Figure::Unavailable(Unavailable::BeyondDeadline));
    let all_lost = beyond("b", &[700.0; 5]);
    let found = one(&whole, &all_lost, fanout);
    assert_eq!((found.word, found.change, found.interval), (Word::Worse, None, None));
    let reason = found.reason.unwrap();
    assert!(reason.starts_with("beyond the deadline in 5 of 5 candidate runs: at least +76"), "{reason}");
    let found = one(&all_lost, &whole, fanout);
    assert_eq!(found.word, Word::Better);
    assert!(found.reason.unwrap().ends_with("5 of 5 base runs: at most -99.9 %"));
    let found = one(&lost, &all_lost, fanout);
    assert_eq!(found.word, Word::Unresolved);
    assert_eq!(
        found.reason.as_deref(),
        Some("beyond the deadline in 4 of 5 base runs and 5 of 5 candidate runs")
    );
}

#[test]
fn what_has_no_number_says_why() {
    let (base, candidate) = (with_cpu("a", &[8.0; 4]), with_cpu("b", &[8.0; 4]));
    let found = one(&base, &candidate, metric("delivery p99"));
    assert_eq!(found.base.overall, Figure::Unavailable(Unavailable::TooFewSamples));
    assert_eq!(
        found.reason.as_deref(),
        Some(
            "too few samples in 4 of 4 base runs and 4 of 4 candidate runs: p99 needs 1,000 effective posts a run"
        )
    );
    let mut without = candidate.clone();
    without.runs[1].resources.target = None;
    let found = one(&base, &without, metric("target cpu_per_million"));
    assert_eq!((found.word, found.change), (Word::Unresolved, None));
    let reason = found.reason.unwrap();
    assert!(reason.starts_with("not measured in 1 of 4 candidate runs: --target-pid"), "{reason}");
    let idle = with_cpu("b", &[8.0, 8.0, 8.0, 0.0]);
    let found = one(&base, &idle, CPU);
    assert!(found.reason.as_deref().unwrap().contains("no ratio"), "{found:?}");
    let mut nothing_owed = candidate;
    nothing_owed.runs[0].deliveries.owed = 0;
    let found = one(&base, &nothing_owed, metric("completeness"));
    assert_eq!(found.reason.as_deref(), Some("not measured in 1 of 4 candidate runs"));
}

#[test]
fn other_work_is_refused_unless_it_is_forced() {
    let base = scaled("a", &[1.0]);
    let mut candidate = scaled("b", &[1.0]);
    candidate.runs[0].scenario.subscribers = 500;
    candidate.runs[0].seed = 9;
    let error = compare(&base, &candidate, &METRICS, false).unwrap_err().to_string();
    assert_eq!(error, "not comparable: subscribers: 1,000 in the base, 500 in the candidate");
    let forced = compare(&base, &candidate, &METRICS, true).unwrap();
    assert_eq!(
        forced.differences.iter().map(|d| d.what.as_str()).collect::<Vec<_>>(),
        ["subscribers", "seed"]
    );
}

/// With the noise of a quiet host, equal targets are seldom called different, and what is a fifth slower is found.
#[test]
fn words_of_simulated_targets() {
    const SESSIONS: usize = 2_000;
    const RUNS: usize = 5;
    const NOISE: f64 = 0.05;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut noise = || {
        let (u, v): (f64, f64) = (random.random(), random.random());
        // Box and Muller.
        (NOISE * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
    };
    let (mut base, mut candidate) = (with_cpu("a", &[1.0; RUNS]).runs, with_cpu("b", &[1.0; RUNS]).runs);
    let mut share = |factor: f64, word: Word| {
        let mut found = 0;
        for _ in 0..SESSIONS {
            for (runs, factor) in [(&mut base, 1.0), (&mut candidate, factor)] {
                for run in runs.iter_mut() {
                    run.resources.generator.cpu_s_per_million_deliveries = Some(8.0 * factor * noise());
                }
            }
            found += usize::from(change::of(CPU, &base, &candidate).word == word);
        }
        found as f64 / SESSIONS as f64
    };
    let (worse, better) = (share(1.0, Word::Worse), share(1.0, Word::Better));
    // Half of what the interval leaves out is on either side; three standard deviations for the sample.
    assert!(worse < 0.025 + 0.011 && better < 0.025 + 0.011, "{worse} {better}");
    let (worse, better) = (share(1.2, Word::Worse), share(1.0 / 1.2, Word::Better));
    assert!(worse > 0.95 && better > 0.95, "{worse} {better}");
}

#[test]
fn quantiles_are_of_all_runs_together() {
    let (base, mut candidate) = (scaled("a", &[1.0, 1.0]), scaled("b", &[1.0, 1.0]));
    for run in &mut candidate.runs {
        run.latency_ns.delivery = sample::latency(2_000, 3_000_000, 14_000_000, 0, 1_000.0);
    }
    let shifts = compare(&base, &candidate, &METRICS, false).unwrap().delivery_shift;
    let known: Vec<f64> = shifts.iter().filter(|s| s.shift_ns.is_some()).map(|s| s.quantile).collect();
    // 2,000 posts in all: 20 beyond p1 and p99, 2 beyond p99.9.
    assert_eq!(known, [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]);
    for shift in shifts.iter().filter_map(|shift| shift.shift_ns) {
        assert!((shift - 1_000_000).abs() < 20_000, "{shift}");
    }
    let mut lost = candidate.clone();
    lost.runs[0].latency_ns.delivery.beyond_deadline = 2_000;
    let shifts = compare(&base, &lost, &METRICS, false).unwrap().delivery_shift;
    assert_eq!((shifts[8].candidate, shifts[8].shift_ns), (Quantile::BeyondDeadline, None));
    lost.runs[0].latency_ns.delivery.hdr = "?".to_owned();
    assert_eq!(compare(&base, &lost, &METRICS, false).unwrap().delivery_shift, []);
}

proptest! {
    /// What got worse from here to there got better from there to here, by as much.
    #[test]
    fn mirrored(
        base in prop::collection::vec(0.5..2.0f64, 1..8),
        candidate in prop::collection::vec(0.5..2.0f64, 1..8),
        counts in (0..40u64, 0..40u64),
    ) {
        let (mut a, mut b) = (with_cpu("a", &base).runs, with_cpu("b", &candidate).runs);
        a[0].deliveries.missing = counts.0;
        b[0].deliveries.missing = counts.1;
        for metric in [CPU, Metric::Count(Count::Missing)] {
            let (there, back) = (change::of(metric, &a, &b), change::of(metric, &b, &a));
            let mirrored = match there.word {
                Word::Better => Word::Worse,
                Word::Worse => Word::Better,
                word => word,
            };
            prop_assert_eq!(back.word, mirrored);
            prop_assert_eq!((&there.base, &there.candidate), (&back.candidate, &back.base));
            let product = there.change.zip(back.change).map(|(there, back)| (1.0 + there) * (1.0 + back));
            prop_assert!(product.is_none_or(|product| (product - 1.0).abs() < 1e-9));
            prop_assert_eq!(there.interval.is_some(), back.interval.is_some());
            if let Some((there, back)) = there.interval.zip(back.interval) {
                prop_assert!(((1.0 + there.low) * (1.0 + back.high) - 1.0).abs() < 1e-9);
                prop_assert!(((1.0 + there.high) * (1.0 + back.low) - 1.0).abs() < 1e-9);
            }
        }
    }
}

/// Five runs a side: everything is a tenth slower, but for losses of a kind, a metric without a number and one in doubt.
fn a_regression() -> Comparison {
    let base = scaled("runs/base", &[1.0, 1.01, 0.99, 1.005, 0.995]);
    let mut candidate = scaled("runs/candidate", &[1.12, 1.1, 1.09, 1.11, 1.105]);
    for (index, run) in candidate.runs.iter_mut().enumerate() {
        run.started_at = format!("2026-03-02T12:0{index}:00Z");
        run.deliveries.missing = 3 * index as u64;
        run.resources.generator.cpu_s_per_million_deliveries = Some(5.0 + index as f64);
        run.resources.target = None;
        run.host.os = "Linux 6.19.0".to_owned();
    }
    compare(&base, &candidate, &METRICS, false).unwrap()
}

fn plain(comparison: &Comparison) -> String {
    terminal::comparison(comparison, &Style { color: false, width: 80 })
}

#[test]
fn a_regression_on_the_terminal() {
    insta::assert_snapshot!(plain(&a_regression()));
}

#[test]
fn a_regression_in_color() {
    let text = terminal::comparison(&a_regression(), &Style { color: true, width: 80 });
    insta::assert_snapshot!(text.replace('\u{1b}', "ESC"));
}

#[test]
fn a_regression_in_markdown() {
    insta::assert_snapshot!(markdown::comparison(&a_regression()));
}

#[test]
fn one_run_a_side_on_the_terminal() {
    let comparison = compare(&scaled("baseline:main", &[1.0]), &scaled("this run", &[0.93]), &METRICS, false);
    insta::assert_snapshot!(plain(&comparison.unwrap()));
}

#[test]
fn no_deliveries_by_force_on_the_terminal() {
    let base = scaled("a", &[1.0]);
    let mut candidate = scaled("b", &[1.0]);
    let run = &mut candidate.runs[0];
    run.latency_ns.delivery = LatencySummary::new(&new_histogram(), 0, 0.0);
    run.verdict.status = Status::Invalid;
    run.scenario.body = "`{{marker}}`\u{1b}[31m".to_owned();
    let comparison = compare(&base, &candidate, &[metric("delivery p50"), metric("missing")], true).unwrap();
    insta::assert_snapshot!(format!("{}\n{}", plain(&comparison), markdown::comparison(&comparison)));
}

#[test]
fn everything_the_same_on_the_terminal() {
    let same = |name: &str| scaled(name, &[1.0, 1.01, 0.99, 1.02]);
    let metrics = [metric("delivery p50"), metric("completeness"), metric("target peak_memory")];
    insta::assert_snapshot!(plain(&compare(&same("a"), &same("b"), &metrics, false).unwrap()));
}

#[test]
fn lines_fit_a_terminal() {
    use unicode_width::UnicodeWidthStr as _;
    for line in plain(&a_regression()).lines() {
        assert!(line.width() <= 80 && line.trim_end() == line, "{line}");
    }
}

#[test]
fn json_is_what_the_schema_says_and_gives_it_back() {
    let validator = validator_for(&serde_json::to_value(schema::comparison_schema()).unwrap()).unwrap();
    let one_run = compare(&scaled("a", &[1.0]), &scaled("b", &[1.0]), &METRICS, false).unwrap();
    for comparison in [a_regression(), one_run] {
        let json = serde_json::to_value(&comparison).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), comparison);
    }
}
