//! T10, T11: when the generator must say that it cannot be trusted.

use std::time::Duration;

use feedmark_reports::{RunResult, Status};

use crate::bed::{MS_NS, assert_near, full, ms, reported_ns, row, scaled, tell};
use crate::group::{Group, Held};
use crate::log::Truth;
use crate::place::Place;
use crate::support::{Process, Server, eventually};
use crate::thread;

/// A run in the background, against a server of its own: the generator can be disturbed alone.
struct Background {
    process: Process,
    server: Server,
    place: Place,
}

/// What it left; the place outlives the asserts about it.
struct Left {
    result: RunResult,
    truth: Truth,
    _place: Place,
}

impl Background {
    fn start(args: &[&str]) -> Self {
        let place = Place::new(true);
        let log = place.path().join("truth.gz");
        let server = Server::reference(&place, &["--open", "--truth-log", log.to_str().unwrap()]);
        let process = place.start(&[args, &["--url", &server.url]]);
        Self { process, server, place }
    }

    fn await_steady(&self) {
        eventually("the steady phase", || self.place.said("stderr").contains("steady: ").then_some(()));
    }

    fn finish(self) -> Left {
        let Self { process, server, place } = self;
        process.wait();
        let result = place.result();
        // The server ends its log with its standard input.
        server.finish();
        let truth = Truth::read(&place.path().join("truth.gz"), &result.run_id);
        Left { result, truth, _place: place }
    }
}

/// INVALID, for one of these reasons; the first of all that were given.
fn assert_invalid(result: &RunResult, ids: &[&str]) -> String {
    let reasons = &result.verdict.reasons;
    assert_eq!(result.verdict.status, Status::Invalid, "{:#?}", result.validity);
    let named = |id: &&str| reasons.iter().any(|reason| reason.starts_with(&format!("{id}: ")));
    assert!(ids.iter().any(named), "none of {ids:?} in {reasons:?}");
    reasons[0].clone()
}

const BED: [&str; 6] = ["-c", "500", "-r", "20/s", "--deadline", "3s"];
/// A generator that is starved is INVALID whatever else the run is: short ones do, 20 of them in full.
const STARVED_RUN: [&str; 4] = ["-d", "5s", "--warmup", "1s"];

#[test]
fn t10_a_starved_generator_is_invalid() {
    let runs = scaled(20, 1);
    let mut reason = String::new();
    for _ in 0..runs {
        let group = match Group::new(Held::CpuPercent(10)) {
            Ok(group) => group,
            Err(error) => {
                assert!(
                    !full(),
                    "no control group can be made ({error}): run as root where they are writable"
                );
                tell("T10 quota skipped", &format!("no control group can be made ({error}): run as root"));
                return;
            }
        };
        let run = Background::start(&[&BED[..], &STARVED_RUN].concat());
        group.take(run.process.pid());
        reason = assert_invalid(&run.finish().result, &["V5", "V2", "V4"]);
    }
    row("T10 quota", format!("INVALID, {reason}"), format!("a tenth of a CPU, {runs} of {runs} runs"));
}

#[test]
fn t10_a_writer_that_was_stopped_is_invalid() {
    let runs = scaled(20, 1);
    let mut reason = String::new();
    for _ in 0..runs {
        // Nearly every 300 ms have a post in them.
        let run = Background::start(&[&BED[..], &STARVED_RUN, &["--arrivals", "constant"]].concat());
        run.await_steady();
        let writers = eventually("the writers", || thread::named(run.process.pid(), "writers"));
        thread::stop(writers, Duration::from_millis(300));
        reason = assert_invalid(&run.finish().result, &["V2"]);
    }
    row("T10 writer", format!("INVALID, {reason}"), format!("stopped for 300 ms, {runs} of {runs} runs"));
}

/// Arrivals keep their time in the kernel while nobody reads; the reader's absence is told all the same.
fn stopped_reader(rate: &str) {
    let run = Background::start(&[&BED[..], &["-d", "10s", "-r", rate, "--arrivals", "constant"]].concat());
    run.await_steady();
    let reader = eventually("the reactor", || thread::named(run.process.pid(), "reactor-0"));
    // Three stops, a third of half a second apart in phase: whatever it is, a post at 2/s falls well into one of them.
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(870));
        thread::stop(reader, Duration::from_millis(300));
    }
    let Left { result, truth, .. } = &run.finish();
    assert_invalid(result, &["V3"]);
    let row_name = format!("T11 at {rate}");
    let receive_delay = ms(reported_ns(&result.latency_ns.receive_delay, 1.0));
    if rate != "2/s" {
        row(&row_name, format!("INVALID, V3, receive delay max {receive_delay}"), "three stops of 300 ms");
        return;
    }
    let offsets =
        |seq: u32| result.started_monotonic_ns + first_post_ns(result) + u64::from(seq) * 500_000_000;
    let judged = |seq: u32| offsets(seq) >= result.started_monotonic_ns + steady_ns(result);
    let worst = truth
        .writes
        .iter()
        .filter(|write| judged(write.seq))
        .map(|write| write.at_ns - offsets(write.seq))
        .max();
    let (found, expected) = (reported_ns(&result.latency_ns.delivery, 1.0), worst.unwrap() as f64);
    assert_near("max", found, expected, 5.0 * MS_NS);
    row(
        &row_name,
        format!("INVALID, V3, receive delay max {receive_delay}, delivery max {}", ms(found)),
        format!("three stops of 300 ms, delivery max {}", ms(expected)),
    );
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
