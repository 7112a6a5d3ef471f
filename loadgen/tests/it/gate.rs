//! The gate: servers that it starts and stops, runs that it finds again, and what it refuses.

use std::fs;
use std::process::Stdio;

use feedmark_reports::Status;
use feedmark_reports::files;
use feedmark_reports::gate::{self, GateResult};
use nix::sys::signal::Signal;

use crate::support::{Bed, FEEDMARK, Finished, Process, eventually, finish};

/// Runs of some seconds; eight pairs are the fewest with which two metrics can fail.
const QUICK: [&str; 12] =
    ["-c", "5", "-r", "20/s", "-d", "1s", "--warmup", "0s", "--deadline", "1s", "--pairs", "8"];
const METRICS: [&str; 4] = ["--metric", "delivery p50", "--metric", "target cpu_per_million 100%"];

/// The reference server as a command, with these arguments.
fn server(arguments: &str) -> String {
    format!("exec {FEEDMARK} target --open --store memory --port {{port}} {arguments}")
}

/// `feedmark gate` of these two in the folder `out`, to its end.
fn gate(bed: &Bed, base: &str, candidate: &str, args: &[&str]) -> Finished {
    let mut command = bed.command(FEEDMARK);
    command
        .args(["gate", "--out", "out", "--base", base, "--candidate", candidate])
        .args(QUICK)
        .args(METRICS)
        .args(args);
    finish(command)
}

fn result(bed: &Bed) -> GateResult {
    let file = bed.out().join("gate.json");
    files::read_bounded(&file, gate::FILE_BYTES_MAX, gate::SCHEMA_VERSION).unwrap()
}

#[test]
fn a_slower_candidate_fails_also_when_the_gate_was_interrupted() {
    let bed = Bed::new();
    let (base, candidate) = (server(""), server("--fault kind=delay,law=fixed,by=100ms"));
    let mut command = bed.command(FEEDMARK);
    command
        .args(["gate", "--out", "out", "--base", &base, "--candidate", &candidate])
        .args(QUICK)
        .args(METRICS);
    let log = |name: &str| fs::File::create(bed.path().join(name)).unwrap();
    command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
    let process = Process::start(command);
    eventually("the first pair", || bed.said("stderr").contains("pair 1 of at most 8: ").then_some(()));
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    assert!(
        bed.said("stderr").contains("complete pairs: the same command with --out out"),
        "{}",
        bed.said("stderr")
    );
    eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
    let before = result(&bed);
    assert!(!before.finished && !before.pairs.is_empty());

    let finished = gate(&bed, &base, &candidate, &[]);
    let after = result(&bed);
    finished.ended_with(i32::from(after.verdict.status.exit_code()));
    assert!(after.finished);
    assert!(fs::read_to_string(bed.out().join("report.html")).unwrap().contains("id=\"pairs\""));
    assert_eq!(after.pairs[..before.pairs.len()], before.pairs[..]);
    // A machine that disturbs four runs in a row ends the gate before it has an answer.
    if after.verdict.status != Status::Invalid {
        assert_eq!((after.verdict.status, after.pairs.len()), (Status::Fail, 8), "{}", finished.stdout);
        assert!(finished.stdout.starts_with("FAIL  delivery p50 is worse: +"), "{}", finished.stdout);
        let seeds: Vec<u64> = after.pairs.iter().map(|pair| pair.seed).collect();
        assert_eq!(seeds, (1..=8).collect::<Vec<u64>>());
    }
    assert!(bed.is_clean(), "{:?}", bed.processes());
}

#[test]
fn a_server_that_does_not_start_is_told_with_its_log() {
    let bed = Bed::new();
    let broken = "echo no database at {port} >&2; exit 3";
    gate(&bed, broken, broken, &[])
        .refuses(1, &["pair 1, ", "ended before it answered", "exit status: 3", "no database at"]);
    // The plan is kept, and what is asked now has to be the same.
    gate(&bed, broken, broken, &["-c", "6"]).refuses(2, &["scenario.subscribers", "5", "6", "--out"]);
    gate(&bed, broken, "other {port}", &[]).refuses(2, &["candidate", "other {port}"]);
    assert_eq!(result(&bed).plan.scenario.subscribers, 5);
}

#[test]
fn a_candidate_that_dies_fails() {
    let bed = Bed::new();
    let dies = format!("{} & sleep 2; kill -9 $!; wait", server("").trim_start_matches("exec "));
    let finished = gate(&bed, &server(""), &dies, &["-d", "3s"]);
    let result = result(&bed);
    finished.ended_with(i32::from(result.verdict.status.exit_code()));
    if result.verdict.status != Status::Invalid {
        assert!(
            finished
                .stdout
                .starts_with("FAIL  pair 1: the candidate failed, and none of the base's 1 run did"),
            "{}",
            finished.stdout
        );
        assert!(finished.stdout.contains("5 subscribers lost the connection"), "{}", finished.stdout);
    }
    assert!(
        finished.stderr.contains("pair 1, candidate: the server ended during the run"),
        "{}",
        finished.stderr
    );
    assert!(bed.is_clean(), "{:?}", bed.processes());
}

#[test]
fn a_base_that_loses_posts_is_no_base() {
    let bed = Bed::new();
    // Few enough to let every subscriber hear a probe.
    let finished = gate(&bed, &server("--fault kind=drop,share=0.05"), &server(""), &["--quiet"]);
    finished.refuses(1, &["pair 1, base: the base itself fails (", "never arrived"]);
    assert!(bed.is_clean(), "{:?}", bed.processes());
}

#[test]
fn a_url_is_warned_of() {
    let bed = Bed::new();
    // Nobody listens on port 1.
    let finished = gate(&bed, "http://127.0.0.1:1", "http://127.0.0.1:1", &[]);
    finished.ended_with(1);
    for part in ["note: the base is a url, which cannot be started afresh", "cannot reach http://127.0.0.1:1"]
    {
        assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
    }
}

#[test]
fn wrong_usage_is_refused_before_anything_starts() {
    let bed = Bed::new();
    for (base, args, part) in [
        ("./server", &[][..], "has no {port}"),
        ("https://feed", &[], "TLS"),
        ("./server {port}", &["--url", "http://127.0.0.1:1"], "--url is for one target"),
        ("./server {port}", &["--metric", "missing"], "needs no statistics"),
        ("./server {port}", &["--pairs", "5"], "write increasing numbers"),
        ("./server {port}", &["--body", "none"], "marker"),
    ] {
        let finished = gate(&bed, base, "./server {port}", args);
        finished.ended_with(2);
        assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
        assert!(!bed.out().exists());
    }
}
