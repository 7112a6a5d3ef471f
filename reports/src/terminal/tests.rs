//! Golden summaries, and what holds for any run.

use std::collections::BTreeMap;

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::quantile::new_histogram;
use crate::run_result::{ArrivalLaw, Deliveries, Driver, Posts, Timestamps};
use crate::sample::{self, arbitrary};
use crate::threshold::judge::{Sample, Window};
use crate::threshold::result::ThresholdResult;
use crate::{LatencySummary, Quantile, Status};

const PLAIN: Style = Style { color: false, width: 80 };

fn plain(run: &RunResult) -> String {
    summary(run, &PLAIN)
}

fn every_latency(run: &mut RunResult, summary: &LatencySummary) {
    let latencies = &mut run.latency_ns;
    for series in [
        &mut latencies.delivery,
        &mut latencies.first_delivery,
        &mut latencies.full_fanout,
        &mut latencies.spread,
        &mut latencies.send_lag,
        &mut latencies.service_time,
        &mut latencies.response_time,
        &mut latencies.receive_delay,
    ] {
        *series = summary.clone();
    }
}

#[test]
fn a_pass() {
    insta::assert_snapshot!(plain(&sample::run()));
}

#[test]
fn a_pass_in_color() {
    let text = summary(&sample::run(), &Style { color: true, width: 80 });
    insta::assert_snapshot!(text.replace('\u{1b}', "ESC"));
}

#[test]
fn a_pass_on_a_narrow_terminal() {
    insta::assert_snapshot!(summary(&sample::run(), &Style { color: false, width: 20 }));
}

#[test]
fn a_long_pass_with_every_quantile() {
    let mut run = sample::run();
    run.scenario.duration_ns = 3_600_000_000_000;
    run.scenario.arrivals = ArrivalLaw::Constant;
    run.timestamps = Timestamps::User;
    every_latency(&mut run, &sample::latency(20_000, 900, 12_345_678, 0, 20_000.0));
    run.latency_ns.receive_delay = LatencySummary::new(&new_histogram(), 0, 0.0);
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn a_fail_with_losses_beyond_the_deadline() {
    insta::assert_snapshot!(plain(&sample::lossy()));
}

#[test]
fn checks_that_were_not_measured() {
    let mut run = sample::run();
    run.evidence.floor = None;
    run.timestamps = Timestamps::User;
    run.judge();
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn an_invalid_run() {
    let mut run = sample::run();
    run.verdict.status = Status::Invalid;
    run.verdict.reasons = vec![
        "send lag p99 is 14.2 ms, the limit is 1.00 ms: the writers had too little CPU; lower the rate, or \
         give the generator a core of its own"
            .to_owned(),
        "the ledger does not close: residual -3".to_owned(),
    ];
    run.deliveries.residual = -3;
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn an_interrupted_run() {
    let mut run = sample::run();
    run.interrupted = true;
    run.verdict.status = Status::Unresolved;
    run.verdict.reasons = vec!["12 posts are too few to judge".to_owned()];
    run.phases[3].end_ns = run.phases[3].start_ns + 620_000_000;
    run.posts = Posts { scheduled: 12, sent: 12, acknowledged: 12, ..Posts::default() };
    run.deliveries = Deliveries { owed: 12_000, delivered: 12_000, ..Deliveries::default() };
    every_latency(&mut run, &sample::latency(12, 8_000_000, 18_000_000, 0, 12.0));
    run.latency_ns.delivery = sample::latency(12_000, 2_000_000, 18_000_000, 0, 9.3);
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn no_deliveries_at_all() {
    let mut run = sample::run();
    let empty = LatencySummary::new(&new_histogram(), 0, 0.0);
    run.verdict.status = Status::Unresolved;
    run.verdict.reasons = vec!["no subscriber was connected".to_owned()];
    run.interrupted = true;
    run.phases.truncate(1);
    run.posts = Posts::default();
    run.deliveries = Deliveries::default();
    run.connections.established = 0;
    run.connections.failed = 1_000;
    run.connections.retries = 3_000;
    run.connections.failed_by_cause = BTreeMap::from([("connection refused".to_owned(), 1_000)]);
    run.connections.connect_ns.total = empty.clone();
    every_latency(&mut run, &empty);
    run.resources.generator.cpu_s_per_million_deliveries = None;
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn thresholds_of_every_kind() {
    let mut run = sample::lossy();
    let whole = |text: &str, sample| {
        let threshold = text.parse().unwrap();
        ThresholdResult::of_whole(&threshold, &run, sample)
    };
    let of_run = |text: &str| whole(text, Sample::of_run(&text.parse().unwrap(), &run));
    let posts = |posts, misses| Sample::Posts { posts, misses };
    let window = |index: u64, sample| Window {
        start_ns: index * 10_000_000_000,
        end_ns: (index + 1) * 10_000_000_000,
        sample,
    };
    let windows = [posts(200, 0.0), posts(200, 90.0), posts(200, 2.5)];
    let windows: Vec<Window> = (0..).zip(windows).map(|(index, sample)| window(index, sample)).collect();
    let over = "full_fanout p90 < 15ms over 10s".parse().unwrap();
    run.thresholds = vec![
        whole("delivery p90 < 12ms", posts(600, 1.5)),
        whole("delivery p99 < 250ms", posts(600, 61.3)),
        whole("response_time p99 < 5ms", posts(600, 3.0)),
        whole("first_delivery p50 < 3ms advisory", posts(600, 400.0)),
        ThresholdResult::of_windows(&over, &run, &windows),
        of_run("missing < 100000"),
        of_run("completeness >= 99.99%"),
        of_run("target cpu_per_million < 9s advisory"),
        of_run("generator peak_memory < 64MiB"),
    ];
    run.judge();
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn a_run_that_ended_itself() {
    let mut run = sample::run();
    run.aborted = Some("ended 12.0 s into the 30 s of the steady phase: `missing == 0 abort` could not hold any more, 7 so far".to_owned());
    run.judge();
    assert_eq!(run.verdict.status, Status::Fail);
    assert!(
        plain(&run).starts_with("FAIL  ended 12.0 s into the 30 s of the steady phase: `missing == 0 abort`")
    );
}

#[test]
fn hostile_texts() {
    let mut run = sample::lossy();
    run.scenario.url = Some(format!("http://a\u{1b}]0;owned\u{7}\r\n{}", "b".repeat(500)));
    run.verdict.reasons =
        vec!["status \u{9b}31m503\nPASS  all is well \u{202e}lla".to_owned(), "c".repeat(5_000)];
    run.deliveries.missing_by_cause =
        (0..8).map(|i| (format!("cause {i} \u{1b}[2J{}", "日".repeat(40)), 10 + i)).collect();
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn one_of_each_is_singular() {
    let mut run = sample::run();
    run.scenario.subscribers = 1;
    run.scenario.rate_per_s = 1.0;
    run.latency_ns.delivery = sample::latency(1, 5_000_000, 5_000_000, 0, 1.0);
    run.posts.scheduled = 1;
    let text = plain(&run);
    assert!(text.starts_with("PASS  the only delivery arrived within 5.00 ms; nothing was lost\n"), "{text}");
    assert!(text.contains("1 subscriber, 1 post/s poisson for 30s"), "{text}");
    assert!(text.contains("n/a: 1 post; p50"), "{text}");
}

#[test]
fn a_driver_that_is_not_the_engine_is_named() {
    let mut run = sample::run();
    assert!(!plain(&run).contains("driver"));
    run.scenario.driver = Driver::RustSocketio;
    assert!(plain(&run).contains("driver rust_socketio"), "{}", plain(&run));
}

#[test]
fn a_pass_says_only_what_the_samples_support() {
    let mut run = sample::run();
    for (summary, expected) in [
        (sample::latency(9_000, 1, 9_000_000, 0, 1_000.0), "99 % of 9,000 deliveries arrived within 8.91 ms"),
        (sample::latency(9_000, 1, 9_000_000, 0, 999.0), "90 % of 9,000 deliveries arrived within 8.10 ms"),
        (sample::latency(9_000, 1, 9_000_000, 0, 99.0), "50 % of 9,000 deliveries arrived within 4.50 ms"),
        (sample::latency(9_000, 1, 9_000_000, 0, 19.0), "all 9,000 deliveries arrived within 9.00 ms"),
        (
            sample::latency(9_000, 1, 9_000_000, 2_000, 1e6),
            "50 % of 11,000 deliveries arrived within 5.50 ms",
        ),
        (sample::latency(0, 1, 1, 3, 1.0), "3 deliveries were owed"),
        (sample::latency(0, 1, 1, 0, 0.0), "no delivery was owed"),
    ] {
        run.latency_ns.delivery = summary;
        let text = plain(&run);
        assert!(text.starts_with(&format!("PASS  {expected}")), "expected `{expected}` in\n{text}");
    }
    run.latency_ns.delivery = sample::latency(9_000, 1, 9_000_000, 0, 1_000.0);
    run.deliveries.late = 2;
    assert!(plain(&run).contains("ms; 0 missing, 2 late\n"));
}

#[test]
fn advice_names_the_row_and_a_duration_that_is_long_enough() {
    let mut run = sample::run();
    run.scenario.arrivals = ArrivalLaw::Constant;
    run.latency_ns.delivery.p99 = Quantile::Ns(12_300_000);
    let text = plain(&run);
    let expected =
        "n/a: 600 posts; p99 of first delivery needs 1,000 (-d 50s),\np99.9 needs 10,000 (-d 8m20s)\n";
    assert!(text.contains(expected), "{text}");
}

/// What a terminal would obey: control characters, C1 included, and marks of direction.
fn is_obeyed(c: char, color: bool) -> bool {
    (c.is_control() && c != '\n' && !(color && c == '\u{1b}'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text without the sequences that color it.
fn without_color(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any run is printed: without a panic, a control character or a blank at the end of a line.
    #[test]
    fn any_run_is_printed_safely(run in arbitrary::run(arbitrary::ANY), color: bool, width: u16) {
        let text = summary(&run, &Style { color, width });
        prop_assert!(text.ends_with('\n'));
        prop_assert!(!text.chars().any(|c| is_obeyed(c, color)), "{text:?}");
        prop_assert!(without_color(&text).lines().all(|line| !line.ends_with(' ')), "{text:?}");
    }

    /// Numbers that a run can have leave every line within the width.
    #[test]
    fn plausible_runs_fit(run in arbitrary::run(arbitrary::PLAUSIBLE), color: bool, width in 80_u16..200) {
        for line in without_color(&summary(&run, &Style { color, width })).lines() {
            prop_assert!(line.width() <= usize::from(width), "{} columns: {line:?}", line.width());
        }
    }
}
