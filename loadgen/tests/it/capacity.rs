//! A capacity session: what it refuses, how it is stopped and goes on, and what a step leaves.

use std::fs;
use std::process::Stdio;

use feedmark_reports::capacity::search::Ending;
use feedmark_reports::capacity::{self, CapacityResult, Measure, Outcome, Role, Step};
use feedmark_reports::run_result::Host;
use feedmark_reports::{Status, files};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Bed, DOOMED, FEEDMARK, Finished, Process, eventually, finish};

const ASKED: [&str; 8] =
    ["capacity", "--out", "out", "-c", "5", "--slo", "full_fanout p90 < 1s", "--deadline=1s"];

fn capacity(bed: &Bed, args: &[&str]) -> Finished {
    let mut command = bed.command(FEEDMARK);
    command.args(ASKED).args(args);
    finish(command)
}

fn result(bed: &Bed) -> CapacityResult {
    let file = bed.out().join("capacity.json");
    files::read_bounded(&file, capacity::FILE_BYTES_MAX, capacity::SCHEMA_VERSION).unwrap()
}

#[test]
fn a_session_is_stopped_and_goes_on() {
    let bed = Bed::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let process = start(&bed, &[]);
        eventually("the first step", || bed.said("stderr").contains("step: 1, ").then_some(()));
        capacity(&bed, &[]).refuses(2, &["another feedmark works in out", "choose another --out"]);
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
        let says = "interrupted after 0 steps: the same command with --out out goes on from there";
        assert!(bed.said("stderr").contains(says), "{}", bed.said("stderr"));
        eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
        assert!(!result(&bed).finished && result(&bed).steps.is_empty());
        let page = fs::read_to_string(bed.out().join("report.html")).unwrap();
        assert!(
            page.contains("capacity") && bed.said("stdout").contains("\nresults: out\n"),
            "{}",
            bed.said("stdout")
        );
        fs::remove_file(bed.out().join("report.html")).unwrap();
    }
    capacity(&bed, &["--target-metrics", "/else"]).refuses(2, &["watched.target_metrics", "/else", "--out"]);
    capacity(&bed, &["-r", "7/s"]).refuses(2, &["scenario.rate_per_s", "20", "7", "--out"]);

    // A budget for a single step.
    let exports = ["--export", "junit=out/junit.xml", "--export", "openmetrics=out/metrics.txt"];
    let one = capacity(
        &bed,
        &[&["--budget", "40s", "--plan", "5 subscribers, 1/s", "--quiet"][..], &exports].concat(),
    );
    one.ended_with(97);
    assert_eq!(one.stderr, "");
    let result = result(&bed);
    assert_eq!((result.steps.len(), result.finished), (1, true));
    assert_eq!(
        (result.verdict.status, result.searches[0].ending),
        (Status::Unresolved, Some(Ending::BudgetSpent))
    );
    assert_eq!((result.steps[0].role, result.headroom.len()), (Role::Probe, 1));
    assert!(result.host.is_some() && bed.out().join("steps/001/run/run.json").exists());
    assert!(fs::read_to_string(bed.out().join("report.html")).unwrap().contains("capacity"));
    for (file, part) in [
        ("junit.xml", "<testcase name=\"capacity at 5 subscribers\" classname=\"feedmark capacity\">"),
        ("metrics.txt", "feedmark_case_passed{case=\"5 subscribers, 1/s\"} 0\n"),
        ("scenario.toml", "subscribers = 5\n"),
    ] {
        let text = fs::read_to_string(bed.out().join(file)).unwrap();
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(one.stdout.contains("\nnext         a greater --budget"), "{}", one.stdout);
    let lines = fs::read_to_string(bed.out().join("steps.csv")).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let again = capacity(&bed, &["--budget", "40s"]);
    assert!(again.stdout.contains("\n5 subscribers, 1/s"), "what was planned stays: {}", again.stdout);
    assert!(bed.is_clean(), "{:?}", bed.processes());
}

/// A probe that held, as if it had been measured.
fn add_probe(bed: &Bed) {
    let mut session = result(bed);
    let measure = Measure {
        search: 0,
        role: Role::Probe,
        subscribers: 5,
        rate_per_s: 20.0,
        cores: None,
        warmup_ns: 5_000_000_000,
        steady_ns: 20_000_000_000,
        is_short: false,
        seed: 1,
    };
    let mut step = Step::not_measured(&measure, Outcome::Pass, String::new(), 26_000_000_000);
    step.run_id = "00000001".to_owned();
    session.steps.push(step);
    files::write_atomically(&bed.out().join("capacity.json"), &session).unwrap();
}

/// Starts the session, or goes on with it; what it says can be watched.
fn start(bed: &Bed, args: &[&str]) -> Process {
    let mut command = bed.command(FEEDMARK);
    command.args(ASKED).args(args);
    let log = |name: &str| fs::File::create(bed.path().join(name)).unwrap();
    command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
    Process::start(command)
}

/// The folder of a session that was stopped before its first step came to an end.
pub(crate) fn begin(bed: &Bed, args: &[&str]) {
    let process = start(bed, args);
    eventually("the session's file", || bed.out().join("capacity.json").exists().then_some(()));
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
}

/// The `feedmark` of the bed whose command line has this in it.
fn child(bed: &Bed, part: &str) -> Option<i32> {
    let command_line = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bed.processes().into_iter().find(|pid| command_line(pid).replace('\0', " ").contains(part))
}

/// CPUs that a process may use, as the kernel lists them.
fn cpus(pid: i32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim().to_owned()
}

/// What was never measured is not held against the target; and the run keeps off its CPU.
#[test]
fn a_generator_that_is_killed_says_nothing_of_the_target() {
    let bed = Bed::new();
    let on_one_cpu = ["--cores", "1"];
    begin(&bed, &on_one_cpu);
    add_probe(&bed);
    let process = start(&bed, &on_one_cpu);
    let run = eventually("the run of the second step", || child(&bed, " run /dev/stdin "));
    let target = child(&bed, " target --port ").unwrap();
    if std::thread::available_parallelism().unwrap().get() > 1 {
        assert_ne!(cpus(run), cpus(target));
    }
    assert!(!cpus(target).contains(['-', ',']), "{}", cpus(target));
    kill(Pid::from_raw(run), Signal::SIGKILL).unwrap();
    eventually("the step", || (result(&bed).steps.len() == 2).then_some(()));
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    let step = &result(&bed).steps[1];
    assert_eq!(step.outcome, Outcome::Invalid, "{:?}", step.reasons);
    assert!(step.reasons[0].contains("signal: 9"), "{:?}", step.reasons);
}

/// Steps of another host, or of another feedmark, do not count beside ours.
#[test]
fn a_session_goes_on_where_it_was_measured() {
    let bed = Bed::new();
    begin(&bed, &[]);
    add_probe(&bed);
    let mut session = result(&bed);
    let file = bed.out().join("capacity.json");
    let here = Host {
        os: "Linux 0.1".to_owned(),
        cpu: "Z80".to_owned(),
        cpus: 1,
        memory_bytes: 65_536,
        open_files_max: 8,
    };
    session.host = Some(here);
    files::write_atomically(&file, &session).unwrap();
    capacity(&bed, &[]).refuses(2, &["host.os Linux 0.1, and this is Linux ", "choose another --out"]);
    session.steps[0].took_ns = u64::MAX;
    session.steps.push(session.steps[0].clone());
    files::write_atomically(&file, &session).unwrap();
    capacity(&bed, &[]).refuses(1, &["capacity.json: steps[1].took_ns: "]);
    session.steps.truncate(1);
    session.feedmark_version = "0.0.7".to_owned();
    files::write_atomically(&file, &session).unwrap();
    capacity(&bed, &[]).refuses(2, &["feedmark_version 0.0.7, and this is ", "choose another --out"]);
}

/// Nobody is left to stop it.
#[test]
fn the_reference_server_does_not_outlive_its_session() {
    let bed = Bed::new();
    let process = start(&bed, &[]);
    let run = eventually("the run of the first step", || child(&bed, " run /dev/stdin "));
    process.signal(Signal::SIGKILL);
    process.wait();
    eventually("the server ends", || child(&bed, " target --port ").is_none().then_some(()));
    kill(Pid::from_raw(run), Signal::SIGKILL).unwrap();
    eventually("nothing is left", || bed.is_clean().then_some(()));
}

#[test]
fn a_run_says_whom_its_error_is_to_be_blamed_on() {
    let bed = Bed::new();
    let blamed = |args: &[&str]| {
        bed.run(&[&DOOMED, args, &["--blame-file", "blame"]]).ended_with(1);
        fs::read_to_string(bed.path().join("blame")).unwrap()
    };
    // Nobody listens on port 1.
    assert_eq!(blamed(&["--url", "http://127.0.0.1:1"]), "target");
    assert_eq!(blamed(&["--url", "http://127.0.0.1:1", "--out", "/proc/none"]), "folder");
    assert_eq!(blamed(&["--target-args=--no-such-flag"]), "generator");
}

/// No load is to blame for what goes wrong at once.
#[test]
fn a_target_that_does_not_start_is_told_with_its_log() {
    let bed = Bed::new();
    let broken = ["--target", "echo no database at {port} >&2; exit 3"];
    capacity(&bed, &broken)
        .refuses(1, &["step 1: ", "ended before it answered", "exit status: 3", "no database at"]);
    capacity(&bed, &["--target", "other {port}"]).refuses(2, &["target", "other {port}"]);
    let nobody = Bed::new();
    // Nobody listens on port 1.
    let finished = capacity(&nobody, &["--url", "http://127.0.0.1:1"]);
    finished.ended_with(1);
    for part in
        ["note: a url cannot be started afresh", "step 1: the run could not be carried out", "cannot reach"]
    {
        assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
    }
}

#[test]
fn wrong_usage_is_refused_before_anything_starts() {
    let bed = Bed::new();
    let target = ["--target", "./server {port}"];
    for (args, part) in [
        (&["--target", "./server"][..], "has no {port}"),
        (&["--target", "http://feed"], "give it by --url"),
        (&["--url", "https://feed"], "TLS"),
        (&["--url", "http://127.0.0.1:1", target[0], target[1]], "two targets"),
        (&["--url", "http://127.0.0.1:1", "--cores", "1"], "--cores"),
        (
            &["--target-args=--store memory", target[0], target[1]],
            "--target-args is for the reference server",
        ),
        (&["--target-pid", "1", target[0], target[1]], "--target-pid"),
        (&["--cores", "9999"], "`9999` are more than"),
        (&["--cores", "1,2", "--vary", "subscribers"], "several numbers of cores"),
        (&["-d", "10s"], "--duration"),
        (&["--vary", "both", "--subscribers-list", "10,20"], "2 numbers of subscribers"),
        (&["--load-max", "5"], "--load-max: `5` is not a rate"),
        (&["--load-max", "5/s", "--vary", "subscribers"], "--load-max: `5/s` is no number of subscribers"),
        (&["--budget", "10"], "`10` is not a duration"),
        (&["--budget", "10s"], "`10s` is less than one step takes, about 31s"),
        (&["--subscribers-list", "10,20,30,40"], "--vary both"),
        (&["--plan", "10 subscribers"], "the rate is missing"),
        (&["--export", "junit=none/junit.xml"], "make the folder none first"),
        (&["--slo", "full_fanout p99 < 20s"], "more than the deadline"),
        (&["--slo", "full_fanout p99"], "full_fanout p99"),
        (&["--body", "none"], "marker"),
    ] {
        let finished = capacity(&bed, args);
        finished.ended_with(2);
        assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
        assert!(!bed.out().exists());
    }
}
