//! Thresholds against the reference server, healthy and with faults.

use feedmark_reports::Status;
use feedmark_reports::threshold::result::ThresholdResult;

use crate::support::{Bed, Finished, eventually};

const LOAD: [&str; 8] = ["-c", "50", "-r", "20/s", "--warmup", "1s", "--deadline", "1s"];

fn thresholds<'a>(expressions: &[&'a str]) -> Vec<&'a str> {
    expressions.iter().flat_map(|expression| ["--threshold", expression]).collect()
}

fn statuses(results: &[ThresholdResult]) -> Vec<Status> {
    results.iter().map(|result| result.status).collect()
}

/// Sentences are wrapped.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn one_run_passes_fails_and_leaves_open() {
    let bed = Bed::new();
    // Nothing is lost, so that only thresholds fail it.
    let expressions = [
        "delivery p50 < 900ms",
        "delivery p50 < 1us",
        "delivery p99 < 900ms",
        "first_delivery p50 < 1us advisory",
        "missing == 0",
        "target cpu_per_million < 60m",
    ];
    let refused = bed.run(&[&LOAD, &["-d", "3s"], &thresholds(&expressions)]);
    refused.refuses_flag("`m` is no unit of this: write ms, s", 27);
    let expressions = [&expressions[..5], &["target cpu_per_million < 3600s", "connect max < 10s"]].concat();
    let finished = bed.run(&[&LOAD, &["-d", "3s"], &thresholds(&expressions)]);
    finished.found_fault("`delivery p50 < 1us` does not hold: delivery p50 is ");
    let result = bed.result();
    use Status::{Fail, Pass, Unresolved};
    assert_eq!(statuses(&result.thresholds), [Pass, Fail, Unresolved, Fail, Pass, Pass, Pass]);
    let open = &result.thresholds[2];
    let needed = open.misses.unwrap().posts_needed;
    assert_eq!(needed, Some(299), "{}", open.sentence);
    assert!(open.sentence.contains("299 such posts would tell (-d "), "{}", open.sentence);
    assert!(result.thresholds[3].advisory);
    assert!(
        result.verdict.reasons.iter().any(|reason| reason.starts_with("note, advisory: `first_delivery"))
    );
    let text = unwrapped(&finished.stdout);
    for part in
        ["threshold observed allowed result", "< 900ms PASS", "< 1us FAIL", "< 1us (FAIL)", "UNRESOLVED"]
    {
        assert!(text.contains(part), "no `{part}` in {}", finished.stdout);
    }
    let record: Vec<String> = result.scenario.thresholds.iter().map(ToString::to_string).collect();
    assert_eq!(record, expressions);
    // What is asked of a run changes nothing in its work.
    let other = Bed::new();
    other.run(&[&LOAD, &["-d", "3s", "--quiet"]]);
    assert_eq!(other.result().scenario_hash, result.scenario_hash);
}

#[test]
fn what_a_threshold_allows_is_no_failure() {
    let drop = ["-d", "3s", "--fault", "kind=drop,share=0.01"];
    let allowing = Bed::new();
    let finished = allowing.run(&[&LOAD, &drop, &thresholds(&["missing < 1000"])]);
    let result = allowing.result();
    assert!((1..1000).contains(&result.deliveries.missing), "{:?}", result.deliveries);
    assert_eq!(statuses(&result.thresholds), [Status::Pass]);
    finished.is_healthy();
    let advised = Bed::new();
    advised.run(&[&LOAD, &drop, &thresholds(&["missing < 1000 advisory"])]).found_fault("owed never arrived");
}

#[test]
fn a_run_ends_as_soon_as_a_threshold_is_certain_to_fail() {
    for (fault, expression, reason) in [
        ("kind=drop,share=0.2", "missing == 0 abort", "so far"),
        ("kind=delay,law=fixed,by=300ms", "delivery p99 < 200ms abort", "posts being beyond the limit"),
    ] {
        let bed = Bed::new();
        let mut process = bed.start(&[&LOAD, &["-d", "10m", "--fault", fault], &thresholds(&[expression])]);
        let status = eventually("it ends", || process.has_ended());
        assert!(matches!(status.code(), Some(98 | 99)), "{status}: {}", bed.said("stdout"));
        let result = bed.result();
        assert!(!result.interrupted);
        let aborted = result.aborted.clone().unwrap();
        assert!(aborted.contains(&format!("`{expression}` could not hold any more")), "{aborted}");
        assert!(aborted.contains(reason) && result.verdict.reasons.contains(&aborted), "{aborted}");
        assert_eq!(statuses(&result.thresholds), [Status::Fail]);
        let steady = result.phases.iter().find(|phase| phase.name == "steady").unwrap();
        let steady_s = (steady.end_ns - steady.start_ns) / 1_000_000_000;
        // 10 min of 20 posts/s allow 1 % of 12,000 posts, which pass in 6 s, and a deadline or two.
        assert!(steady_s < 20, "{steady_s} s");
        let posts = &result.posts;
        assert_eq!((posts.scheduled, posts.acknowledged), (posts.sent, posts.sent));
        assert_eq!(result.deliveries.residual, 0);
        assert!(bed.said("stderr").contains("\ndrain: "), "{}", bed.said("stderr"));
    }
}

/// A second in which nothing moves is one post in twenty of the run, and every third of its window.
#[test]
fn a_window_shows_the_freeze_that_the_whole_run_hides() {
    let bed = Bed::new();
    let freeze = ["--fault", "kind=stall,at=8s,for=1s", "-r", "50/s", "--arrivals", "constant"];
    let long = ["-d", "16s", "--deadline", "3s"];
    let expressions = ["delivery p90 < 400ms", "delivery p90 < 400ms over 2s", "missing == 0 over 2s"];
    let finished = bed.run(&[&LOAD, &freeze, &long, &thresholds(&expressions)]);
    finished.found_fault("`delivery p90 < 400ms over 2s` does not hold in ");
    let result = bed.result();
    assert_eq!(statuses(&result.thresholds), [Status::Pass, Status::Fail, Status::Pass]);
    let windows = result.thresholds[1].windows.as_ref().unwrap();
    assert_eq!(windows.judged, 8);
    assert!((1..=2).contains(&windows.failed), "{windows:?}");
    // The server's clock of faults starts with the probe, a second or so before the schedule, which warms up for one.
    let worst = &windows.worst[0];
    assert!((4_000_000_000..8_000_000_000).contains(&worst.start_ns), "{worst:?}");
}

#[test]
fn a_scenario_file_says_it_too_and_check_shows_it() {
    let bed = Bed::new();
    let text = "rate = '20/s'\nduration = '20s'\nthresholds = [\n  'delivery p90 < 250ms over 5s',\n  'delivery p99 < 1s over 10s',\n  \
                { expr = 'missing == 0', abort = true },\n]\n";
    bed.write("feed.toml", text);
    let checked = bed.feedmark(&["check", "feed.toml"]);
    checked.ended_with(0);
    for part in [
        "threshold     delivery p90 < 250ms over 5s, from 29 posts on\n",
        "threshold     delivery p99 < 1s over 10s: cannot hold, it takes 299 posts without a miss, and a window has about 200\n",
        "threshold     missing == 0 abort\n",
    ] {
        assert!(checked.stdout.contains(part), "no `{part}` in {}", checked.stdout);
    }
    let flags = bed.feedmark(&["check", "feed.toml", "--threshold", "late == 0"]);
    assert!(flags.stdout.contains("late == 0") && !flags.stdout.contains("missing == 0"), "{}", flags.stdout);
    bed.feedmark(&["check", "feed.toml", "-d", "8s"])
        .refuses(2, &["feed.toml: line 3: thresholds: ", "no whole window"]);
    bed.feedmark(&["check", "feed.toml", "--deadline", "500ms"])
        .refuses(2, &["allows more than the deadline"]);
    bed.write("feed.toml", "thresholds = [\n  'missing == 0',\n  'delivery p99 > 1s',\n]");
    let wrong = bed.feedmark(&["check", "feed.toml"]);
    wrong.refuses(2, &["line 3", "less of it is better", "\n  delivery p99 > 1s\n               ^"]);
}

impl Finished {
    /// A flag's value is refused, with a caret under this byte of it.
    fn refuses_flag(&self, part: &str, at: usize) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        let caret = format!("\n  {:at$}^", "");
        assert!(self.stderr.contains(part) && self.stderr.contains(&caret), "{}", self.stderr);
    }
}
