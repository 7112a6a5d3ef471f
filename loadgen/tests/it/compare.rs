//! `feedmark compare`, and the baselines of `feedmark run`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use feedmark_reports::comparison::{Comparison, Word};
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::{LatencySummary, RunResult, Status, files, sample};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Bed, FEEDMARK, Finished, SHORT, eventually, finish};

/// A machine that is busy now may not be soon.
const ATTEMPTS: usize = 3;

fn with_store(bed: &Bed, args: &[&[&str]]) -> Command {
    let mut command = bed.command(FEEDMARK);
    command.env("FEEDMARK_STORE", bed.path().join("store")).args(args.concat());
    command
}

fn compare(bed: &Bed, args: &[&str]) -> Finished {
    finish(with_store(bed, &[&["compare"], args]))
}

/// A run folder; `change` makes the run what it is.
fn add_run(bed: &Bed, folder: &str, change: impl FnOnce(&mut RunResult)) -> PathBuf {
    let mut run = sample::run();
    change(&mut run);
    let folder = bed.path().join(folder);
    fs::create_dir_all(&folder).unwrap();
    files::write_atomically(&folder.join("run.json"), &run).unwrap();
    folder
}

/// Four runs whose deliveries take about `ms` each.
fn add_set(bed: &Bed, folder: &str, ms: u64) {
    for index in 0..4 {
        add_run(bed, &format!("{folder}/{index}"), |run| {
            let mut histogram = new_histogram();
            (0..2_000).for_each(|i| histogram.record(ms * 1_000_000 + i * 500 + index * 10_000).unwrap());
            run.latency_ns.delivery = LatencySummary::new(&histogram, 0, 2_000.0);
            run.seed = index;
        });
    }
}

fn comparison(finished: &Finished) -> Comparison {
    finished.ended_with(0);
    serde_json::from_str(&finished.stdout).unwrap()
}

fn word_of(comparison: &Comparison, metric: &str) -> Word {
    comparison.metrics.iter().find(|change| change.metric == metric).unwrap().word
}

#[test]
fn sets_have_words_in_every_format_and_the_exit_code_is_0() {
    let bed = Bed::new();
    add_set(&bed, "before", 10);
    add_set(&bed, "after", 12);
    let json = comparison(&compare(&bed, &["before", "after", "--format", "json"]));
    assert_eq!((json.base.runs.len(), json.candidate.runs.len()), (4, 4));
    assert_eq!(word_of(&json, "delivery p50"), Word::Worse);
    assert_eq!(word_of(&json, "delivery p99"), Word::Worse);
    assert_eq!(word_of(&json, "missing"), Word::Same);
    let back = comparison(&compare(&bed, &["after", "before", "--format", "json"]));
    assert_eq!(word_of(&back, "delivery p50"), Word::Better);
    let text = compare(&bed, &["before", "after"]);
    text.ended_with(0);
    assert_eq!(text.stderr, "");
    assert!(text.stdout.starts_with("WORSE  delivery p50, delivery p90, delivery p99\n"), "{}", text.stdout);
    for part in ["before, 4 runs", "after, 4 runs", "│███"] {
        assert!(text.stdout.contains(part), "no `{part}` in {}", text.stdout);
    }
    assert!(!text.stdout.contains('\u{1b}'), "no color in a pipe");
    let markdown = compare(&bed, &["before", "after", "--format", "markdown"]);
    assert!(markdown.stdout.contains("| delivery p50 | 10.5 ms | 12.5 ms |"), "{}", markdown.stdout);
}

#[test]
fn metrics_can_be_chosen() {
    let bed = Bed::new();
    add_set(&bed, "before", 10);
    add_set(&bed, "after", 10);
    let asked = ["before", "after", "--format", "json", "--metric", "delivery max", "--metric", "spread p50"];
    let names: Vec<String> =
        comparison(&compare(&bed, &asked)).metrics.into_iter().map(|m| m.metric).collect();
    assert_eq!(names, ["delivery max", "spread p50"]);
    compare(&bed, &["before", "after", "--metric", "latency p50"]).ended_with(2);
}

#[test]
fn what_cannot_be_compared_is_2_and_names_both_values() {
    let bed = Bed::new();
    add_run(&bed, "base", |_| ());
    add_run(&bed, "small", |run| run.scenario.subscribers = 10);
    add_run(&bed, "slow", |run| run.scenario.rate_per_s = 1.0);
    add_run(&bed, "url", |run| run.scenario.url = Some("http://127.0.0.1:1/".to_owned()));
    add_run(&bed, "invalid", |run| run.verdict.status = Status::Invalid);
    add_run(&bed, "broken", |_| ());
    fs::write(bed.path().join("broken/run.json"), "{}").unwrap();
    fs::create_dir(bed.path().join("empty")).unwrap();
    for (candidate, parts) in [
        ("small", &["not comparable: subscribers: 1,000 in the base, 10 in the candidate", "--force"][..]),
        ("slow", &["rate: 20/s in the base, 1/s in the candidate"]),
        ("url", &["target: the reference server in the base, a server by url in the candidate"]),
        ("invalid", &["verdict: PASS in the base, INVALID in the candidate"]),
        ("broken", &["broken/run.json:1:", "schema_version"]),
        ("empty", &["empty holds neither run.json"]),
        ("nowhere", &["cannot read nowhere", "baseline:NAME"]),
        ("baseline:none", &["no baseline `none` in", "feedmark run --save-baseline NAME"]),
        ("baseline:../x", &["`baseline:../x`: a name has", "letters, digits"]),
    ] {
        let finished = compare(&bed, &["base", candidate]);
        finished.refuses(2, parts);
        assert_eq!(finished.stdout, "", "{candidate}");
    }
    for candidate in ["small", "invalid"] {
        let forced = compare(&bed, &["base", candidate, "--force"]);
        forced.ended_with(0);
        assert!(forced.stdout.contains("\noverruled    "), "{}", forced.stdout);
    }
}

#[test]
fn what_may_explain_a_change_is_a_warning() {
    let bed = Bed::new();
    add_run(&bed, "base", |_| ());
    add_run(&bed, "other", |run| {
        run.host.os = "Linux 7".to_owned();
        run.verdict.status = Status::Unresolved;
    });
    let finished = compare(&bed, &["base", "other"]);
    finished.ended_with(0);
    for part in [
        "differences  host.os: Linux 6.18.0 in the base, Linux 7 in the candidate",
        "verdict: PASS in the base, UNRESOLVED in the candidate",
        "4 runs a side make a 95 % interval possible",
    ] {
        let words = finished.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains(&part.split_whitespace().collect::<Vec<_>>().join(" ")),
            "{}",
            finished.stdout
        );
    }
}

/// A run that saves, one that is compared and replaces: what it prints, keeps and returns.
#[test]
fn a_baseline_is_saved_compared_with_and_replaced() {
    let bed = Bed::new();
    let file = bed.path().join("store/baselines/main.json");
    let saved = (0..ATTEMPTS).any(|_| {
        let finished = run(&bed, &["--save-baseline", "main"]);
        let invalid = bed.result().verdict.status == Status::Invalid;
        assert_eq!(file.exists(), !invalid, "{}\n{}", finished.stdout, finished.stderr);
        assert_eq!(
            finished.stdout.ends_with("\nsaved as baseline `main`\n"),
            !invalid,
            "{}",
            finished.stdout
        );
        if !invalid {
            assert_eq!(files::read(&file).unwrap(), bed.result());
        }
        !invalid
    });
    assert!(saved, "every run was invalid");
    let old = fs::read(&file).unwrap();

    let compared = (0..ATTEMPTS).any(|_| {
        let finished = run(&bed, &["--baseline", "main", "--save-baseline", "main"]);
        let result = bed.result();
        assert_eq!(
            finished.code,
            Some(i32::from(result.verdict.status.exit_code())),
            "it stays that of the run"
        );
        if result.verdict.status == Status::Invalid {
            assert_eq!(fs::read(&file).unwrap(), old, "an invalid run replaces nothing");
            assert!(finished.stderr.contains("not comparable: verdict"), "{}", finished.stderr);
            return false;
        }
        for part in ["base         baseline:main, 1 run, ", "change", "in place of an older run"] {
            assert!(finished.stdout.contains(part), "no `{part}` in {}", finished.stdout);
        }
        let kept: Comparison =
            serde_json::from_slice(&fs::read(bed.out().join("comparison.json")).unwrap()).unwrap();
        assert_eq!(kept.candidate.runs[0].run_id, result.run_id);
        assert_eq!(files::read(&file).unwrap(), result);
        true
    });
    assert!(compared, "every run was invalid");
    let again = compare(&bed, &["baseline:main", "out", "--format", "json"]);
    assert_eq!(word_of(&comparison(&again), "missing"), Word::Same, "a run against itself");
}

/// `feedmark run` of the reference server with a store, in a fresh folder.
fn run(bed: &Bed, args: &[&str]) -> Finished {
    if bed.out().exists() {
        fs::remove_dir_all(bed.out()).unwrap();
    }
    let run: &[&str] = &["run", "--out", "out", "--warmup", "5s"];
    finish(with_store(bed, &[run, &SHORT[..6], &["--deadline", "2s"], args]))
}

#[test]
fn with_json_stdout_is_the_result_alone() {
    let bed = Bed::new();
    add_baseline(&bed, |run| run.scenario.subscribers = 50);
    let finished = run(&bed, &["--baseline", "main", "--save-baseline", "other", "--json"]);
    let printed: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(printed["run_id"], bed.result().run_id);
    let invalid = bed.result().verdict.status == Status::Invalid;
    assert_eq!(bed.out().join("comparison.json").exists(), !invalid, "{}", finished.stderr);
}

/// A baseline `main` that a run of [`run`] is comparable with, as far as `change` leaves it so.
fn add_baseline(bed: &Bed, change: impl FnOnce(&mut RunResult)) {
    fs::create_dir_all(bed.path().join("store/baselines")).unwrap();
    let mut baseline = sample::run();
    let scenario = &mut baseline.scenario;
    scenario.duration_ns = 3_000_000_000;
    scenario.deadline_ns = 2_000_000_000;
    scenario.post_timeout_ns = 2_000_000_000;
    scenario.body = r#"{"title":"{{marker}}","content":"{{text:200}}"}"#.to_owned();
    change(&mut baseline);
    files::write_atomically(&bed.path().join("store/baselines/main.json"), &baseline).unwrap();
}

#[test]
fn a_baseline_that_cannot_be_used_is_known_before_the_run() {
    let bed = Bed::new();
    add_baseline(&bed, |_| ());
    bed.write("file", "");
    for (args, parts) in [
        (&["--baseline", "mian"][..], &["no baseline `mian` in", "known are main"][..]),
        (
            &["--baseline", "main"],
            &["baseline `main` asked for other work: subscribers: 1,000 in the base, 50"],
        ),
        (&["--save-baseline", "x", "--store", "file"], &["cannot make the folder for baselines", "--store"]),
    ] {
        run(&bed, args).refuses(2, parts);
        assert!(!bed.out().exists(), "nothing was measured");
    }
    for name in ["../x", "a/b", ""] {
        let finished = run(&bed, &["--save-baseline", name]);
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains("letters, digits"), "{}", finished.stderr);
    }
}

#[test]
fn an_interrupted_run_is_kept_but_no_baseline() {
    let bed = Bed::new();
    let long = ["-c", "50", "-r", "20/s", "-d", "10m", "--warmup", "0s", "--deadline", "1s"];
    let process = bed.start(&[&long, &["--save-baseline", "main", "--store", "store"]]);
    eventually("the steady phase", || bed.said("stderr").contains("steady: ").then_some(()));
    thread::sleep(Duration::from_millis(300));
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    let said = bed.said("stderr");
    assert!(said.contains("not saved as baseline `main`, because it was interrupted"), "{said}");
    assert!(bed.result().interrupted);
    assert!(!bed.path().join("store/baselines/main.json").exists());
}
