//! Each limit, planted in the reference server, is named from one run of it. Nothing else may run beside these tests: what
//! uses up the host is a limit, too.

use std::fs;
use std::io::Write as _;

use feedmark_reports::capacity::limit::{Limit, NamedLimit};
use feedmark_reports::capacity::{Measure, Outcome, Role, Step};
use feedmark_reports::{RunResult, Status};

use crate::group::{Group, Held};
use crate::support::{Bed, FEEDMARK, Server};

/// A short run; whoever is refused is known soon.
const RUN: [&str; 8] = ["--warmup", "1s", "-d", "4s", "--deadline", "2s", "--connect-timeout", "2s"];

/// Runs against the server, watches it, and names what gave way.
fn limit_of(bed: &Bed, server: &Server, load: &[&str]) -> (NamedLimit, RunResult) {
    let target = ["--url", &server.url, "--target-pid", &server.pid(), "--target-metrics", "/metrics"];
    let finished = bed.run(&[&RUN, load, &target]);
    // A short run on a busy machine may be INVALID; what gave way shows all the same.
    assert!(matches!(finished.code, Some(98 | 99)), "{}\n{}", finished.stdout, finished.stderr);
    let run = bed.result();
    let measure = Measure {
        search: 0,
        role: Role::Ramp,
        subscribers: run.scenario.subscribers,
        rate_per_s: run.scenario.rate_per_s,
        cores: None,
        warmup_ns: run.scenario.warmup_ns,
        steady_ns: run.scenario.duration_ns,
        is_short: true,
        seed: run.seed,
    };
    let step = Step::of_run(&measure, &run, 0);
    assert_ne!(step.outcome, Outcome::Pass);
    (NamedLimit::of(&step), run)
}

fn assert_named(limit: &NamedLimit, name: Limit) {
    assert_eq!(limit.name, name, "{limit:#?}");
}

/// `None`, with a word, where no control group can be made.
fn group(held: Held) -> Option<Group> {
    Group::new(held)
        .inspect_err(|error| {
            let skipped = format!("skipped: no control group can be made ({error}): run as root");
            let _ = writeln!(std::io::stderr(), "{skipped}");
        })
        .ok()
}

/// A reference server that is held so. The group outlives it: nothing ends one that still has processes.
fn server_in_group(held: Held) -> Option<(Group, Bed, Server)> {
    let group = group(held)?;
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    group.take(server.pid().parse().unwrap());
    Some((group, bed, server))
}

#[test]
fn a_cpu_quota() {
    let Some((_group, bed, server)) = server_in_group(Held::CpuPercent(5)) else { return };
    let (limit, _) = limit_of(&bed, &server, &["-c", "300", "-r", "100/s"]);
    assert_named(&limit, Limit::CpuQuota);
    assert!(limit.sentence.starts_with("CPU quota: stopped by its quota for "), "{}", limit.sentence);
}

/// What is posted is kept in memory.
#[test]
fn memory() {
    let Some((_group, bed, server)) = server_in_group(Held::MemoryBytes(40_000_000)) else { return };
    let body = r#"{"title":"{{marker}}","content":"{{text:90000}}"}"#;
    let (limit, run) = limit_of(&bed, &server, &["-c", "5", "-r", "100/s", "--body", body]);
    assert_named(&limit, Limit::Memory);
    assert!(limit.sentence.contains("1 process killed for want of memory"), "{}", limit.sentence);
    assert_eq!(run.resources.target_use.unwrap().memory_limit_bytes, Some(39_997_440), "in whole pages");
}

/// Memory that connections alone use up: nothing is posted, and what was seen until then is kept.
#[test]
fn memory_of_subscribers() {
    let Some((_group, bed, server)) = server_in_group(Held::MemoryBytes(16_000_000)) else { return };
    let (limit, run) = limit_of(&bed, &server, &["-c", "1500", "-r", "1/s"]);
    assert_gave_way(&run);
    assert_named(&limit, Limit::Memory);
    assert!(limit.sentence.contains("1 process killed for want of memory"), "{}", limit.sentence);
}

/// Some subscribers find a descriptor, the others and the first writer do not.
#[test]
fn descriptors_of_subscribers() {
    let bed = Bed::new();
    let server = server_of_descriptors(&bed, &[]);
    let (limit, run) = limit_of(&bed, &server, &["-c", "300", "-r", "40/s"]);
    assert_gave_way(&run);
    assert_named(&limit, Limit::Descriptors);
    assert!(limit.sentence.ends_with(" of 200 descriptors"), "{}", limit.sentence);
}

/// Before the schedule.
fn assert_gave_way(run: &RunResult) {
    let aborted = run.aborted.as_deref().unwrap_or_default();
    assert!(
        aborted.starts_with("ended before the schedule: the probe post to "),
        "{aborted}\n{:?}",
        run.verdict.reasons
    );
    assert_eq!((run.posts.scheduled, run.verdict.status), (0, Status::Fail), "{:?}", run.verdict.reasons);
}

const DESCRIPTORS: usize = 200;

fn server_of_descriptors(bed: &Bed, args: &[&str]) -> Server {
    let mut command = bed.command("sh");
    let script = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    command.args(["-c", &script, FEEDMARK, "target", "--port", "0", "--store", "memory", "--open"]);
    command.arg("--stop-on-stdin-eof").args(args);
    Server::spawn(command)
}

fn open_descriptors(server: &Server) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count()
}

/// Subscribers and one writer find a descriptor; replies that wait make more writers, who find none.
#[test]
fn descriptors() {
    const LEFT: usize = 4;
    let bed = Bed::new();
    let server = server_of_descriptors(&bed, &["--fault", "kind=stall-replies,by=500ms"]);
    let subscribers = (DESCRIPTORS - LEFT - open_descriptors(&server)).to_string();
    let (limit, _) = limit_of(&bed, &server, &["-c", &subscribers, "-r", "40/s"]);
    assert_named(&limit, Limit::Descriptors);
    assert!(limit.sentence.ends_with(" of 200 descriptors"), "{}", limit.sentence);
}

#[test]
fn buffers_of_sockets() {
    let bed = Bed::new();
    let server = Server::of_full_buffers(&bed);
    let (limit, _) = limit_of(&bed, &server, &["-c", "50", "-r", "200/s"]);
    assert_named(&limit, Limit::SocketBuffers);
}

#[test]
fn storage() {
    let bed = Bed::new();
    let mut command = bed.command(FEEDMARK);
    command.args(["target", "--port", "0", "--open", "--stop-on-stdin-eof", "--commit-writes", "1"]);
    command.args(["--fault", "kind=slow-commit,by=50ms"]);
    let server = Server::spawn(command);
    let (limit, run) = limit_of(&bed, &server, &["-c", "50", "-r", "30/s"]);
    assert_named(&limit, Limit::Storage);
    assert!(limit.sentence.contains(", a commit took "), "{}", limit.sentence);
    assert!(run.resources.series.iter().any(|series| series.selector == "feed_store_commit_seconds"));
}
