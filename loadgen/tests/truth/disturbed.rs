//! T10, T11, T13: when the generator says that it cannot be trusted, and when not.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use feedmark_reports::{RunResult, Status};

use crate::bed::{MS_NS, Plan, assert_near, ms, reported_ns, scaled, tell};
use crate::log::Truth;
use crate::support::{Bed, Process, Server, eventually};
use crate::thread;

/// A run in the background, against a server of its own: the generator can be disturbed alone.
struct Background {
    bed: Bed,
    process: Process,
    server: Option<Server>,
}

impl Background {
    fn start(args: &[&str]) -> Self {
        let bed = Bed::new();
        let log = bed.path().join("truth.gz");
        let server = Server::reference(&bed, &["--open", "--truth-log", log.to_str().unwrap()]);
        let process = bed.start(&[args, &["--url", &server.url]]);
        Self { bed, process, server: Some(server) }
    }

    fn await_steady(&self) {
        eventually("the steady phase", || self.bed.said("stderr").contains("steady: ").then_some(()));
    }

    fn finish(mut self) -> (RunResult, Truth) {
        eventually("the run ends", || self.process.has_ended());
        let result = self.bed.result();
        // The server ends its log with its standard input.
        if let Some(server) = self.server.take() {
            server.finish();
        }
        let truth = Truth::read(&self.bed.path().join("truth.gz"), &result.run_id);
        (result, truth)
    }
}

/// INVALID, for one of these reasons.
fn assert_invalid(row: &str, result: &RunResult, ids: &[&str]) {
    let reasons = &result.verdict.reasons;
    tell(row, &format!("{}: {}", result.verdict.status.word(), reasons.first().map_or("", String::as_str)));
    assert_eq!(result.verdict.status, Status::Invalid, "{:#?}", result.validity);
    let named = |id: &&str| reasons.iter().any(|reason| reason.starts_with(&format!("{id}: ")));
    assert!(ids.iter().any(named), "none of {ids:?} in {reasons:?}");
}

const BED: [&str; 8] = ["-c", "500", "-r", "20/s", "-d", "10s", "--deadline", "3s"];

/// A control group with a quota of a tenth of a CPU; gone when dropped.
struct TenthOfACpu(PathBuf);

impl TenthOfACpu {
    /// `None` where control groups cannot be made.
    fn new() -> Option<Self> {
        let name = format!("feedmark-truth-{}", std::process::id());
        let (v1, v2) =
            (PathBuf::from("/sys/fs/cgroup/cpu").join(&name), PathBuf::from("/sys/fs/cgroup").join(&name));
        if fs::create_dir(&v1).is_ok() {
            let group = Self(v1);
            let set = |file: &str, value: &str| fs::write(group.0.join(file), value);
            set("cpu.cfs_period_us", "100000").and_then(|()| set("cpu.cfs_quota_us", "10000")).ok()?;
            return Some(group);
        }
        fs::create_dir(&v2).ok()?;
        let group = Self(v2);
        fs::write(group.0.join("cpu.max"), "10000 100000").ok()?;
        Some(group)
    }

    fn take(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for TenthOfACpu {
    fn drop(&mut self) {
        eventually("the control group is empty", || fs::remove_dir(&self.0).ok());
    }
}

#[test]
fn t10_a_starved_generator_is_invalid() {
    for _ in 0..scaled(20, 1) {
        let Some(group) = TenthOfACpu::new() else {
            tell("T10", &"skipped: control groups cannot be made here, run as root");
            return;
        };
        let run = Background::start(&BED);
        group.take(run.process.pid());
        assert_invalid("T10 quota", &run.finish().0, &["V5", "V2", "V4"]);
    }
}

#[test]
fn t10_a_writer_that_was_stopped_is_invalid() {
    for _ in 0..scaled(20, 1) {
        // Nearly every 300 ms have a post in them.
        let run = Background::start(&[&BED[..], &["--arrivals", "constant"]].concat());
        run.await_steady();
        let writers = eventually("the writers", || thread::named(run.process.pid(), "writers"));
        thread::stop(writers, Duration::from_millis(300));
        assert_invalid("T10 writer", &run.finish().0, &["V2"]);
    }
}

/// Arrivals keep their time in the kernel while nobody reads; the reader's absence is told all the same.
fn stopped_reader(rate: &str) {
    let run = Background::start(&[&BED[..], &["-r", rate, "--arrivals", "constant"]].concat());
    run.await_steady();
    let reader = eventually("the reactor", || thread::named(run.process.pid(), "reactor-0"));
    // Three stops, a third of half a second apart in phase: whatever it is, a post at 2/s falls well into one of them.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(870));
        thread::stop(reader, Duration::from_millis(300));
    }
    let (result, truth) = run.finish();
    assert_invalid(&format!("T11 at {rate}"), &result, &["V3"]);
    if rate != "2/s" {
        return;
    }
    let offsets =
        |seq: u32| result.started_monotonic_ns + first_post_ns(&result) + u64::from(seq) * 500_000_000;
    let judged = |seq: u32| offsets(seq) >= result.started_monotonic_ns + steady_ns(&result);
    let worst = truth
        .writes
        .iter()
        .filter(|write| judged(write.seq))
        .map(|write| write.at_ns - offsets(write.seq))
        .max();
    let (found, expected) = (reported_ns(&result.latency_ns.delivery, 1.0), worst.unwrap() as f64);
    tell(
        "T11",
        &format!(
            "max {} (truth {}), receive delay max {}",
            ms(found),
            ms(expected),
            ms(reported_ns(&result.latency_ns.receive_delay, 1.0))
        ),
    );
    assert_near("max", found, expected, 5.0 * MS_NS);
}

/// Run time of the schedule's start: that of the first post of constant arrivals.
fn first_post_ns(result: &RunResult) -> u64 {
    steady_ns(result) - result.scenario.warmup_ns
}

fn steady_ns(result: &RunResult) -> u64 {
    result.phases.iter().find(|phase| phase.name == "steady").unwrap().start_ns
}

#[test]
fn t11_a_reader_that_was_stopped_is_flagged_and_its_stamps_are_right() {
    stopped_reader("2/s");
}

#[test]
fn t11_a_reader_that_was_stopped_at_a_higher_rate_is_flagged() {
    stopped_reader("100/s");
}

/// A healthy run: nothing injected, and nothing to find.
pub(crate) fn t13_once(mutant: Option<&'static str>) {
    let run = Plan::new(&[]).mutant(mutant).run();
    assert_eq!(run.code, 0, "{:?}", run.result.verdict);
}

#[test]
fn t13_healthy_runs_are_valid() {
    let runs = scaled(100, 3);
    let mut invalid = Vec::new();
    for _ in 0..runs {
        let run = Plan::new(&[]).with(&["-d", "10s", "--deadline", "3s"]).run_once();
        match run.result.verdict.status {
            Status::Pass => {}
            Status::Invalid => invalid.push(run.result.verdict.reasons),
            other => panic!("{other:?}: {:?}", run.result.verdict),
        }
    }
    tell("T13", &format!("{} of {runs} INVALID: {invalid:?}", invalid.len()));
    assert!(invalid.len() <= 1, "{invalid:#?}");
}
