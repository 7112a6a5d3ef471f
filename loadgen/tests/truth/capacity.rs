//! T21: a capacity search against a server that takes a known time for every post, one after another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use feedmark_reports::capacity::search::Ending;
use feedmark_reports::capacity::{self, CapacityResult, Measure, Outcome, REPEATS_MAX, Role, Step};
use feedmark_reports::files;

use crate::bed::{Plan, full, row, tell};
use crate::place::Place;
use crate::support::FEEDMARK;

/// A post takes so many ms; without anything else the server takes `1000 / ms` posts a second.
const SERVICE_TIMES_MS: [u32; 3] = [5, 10, 20];
/// Sessions of the full form.
const SESSIONS: usize = 10;
/// One asks for some per cent of a CPU, so they do not disturb one another.
const SESSIONS_AT_ONCE: usize = 2;
/// Constant arrivals, because a Poisson run offers some per cent more or less than it was asked for.
const ASKED: [&str; 6] = ["-c", "20", "--arrivals", "constant", "--deadline", "2s"];
/// What the median may take beside the service time: half of the posts may be disturbed, and a backlog reaches it in the middle
/// of a step, 15 s after the first post, at a load that is 0.1 % above the truth.
const SPARE_MS: u32 = 15;

#[test]
fn t21_a_known_service_time_is_found() {
    if full() {
        let (n, next) = (SERVICE_TIMES_MS.len(), AtomicUsize::new(0));
        let sessions =
            || std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|i| *i < SESSIONS);
        thread::scope(|scope| {
            for _ in 0..SESSIONS_AT_ONCE {
                scope.spawn(|| sessions().for_each(|session| search(session, SERVICE_TIMES_MS[session % n])));
            }
        });
    } else {
        SERVICE_TIMES_MS.into_iter().for_each(what_decides);
    }
}

fn threshold(ms: u32) -> [String; 2] {
    ["--threshold".to_owned(), format!("full_fanout p50 < {}ms", ms + SPARE_MS)]
}

fn pace(ms: u32) -> String {
    format!("kind=pace,per_post={ms}ms")
}

/// A whole session.
fn search(session: usize, ms: u32) {
    let place = Place::new(true);
    let (truth, seed) = (1_000.0 / f64::from(ms), (1 + 1_000 * session).to_string());
    let mut command = place.command(FEEDMARK);
    command.args([
        "capacity",
        "--out",
        "out",
        "--quiet",
        "--target-args",
        "--store memory",
        "--fault",
        &pace(ms),
    ]);
    command.args(["--seed", &seed]).args(ASKED).args(threshold(ms));
    // It takes some minutes; nextest ends one that hangs.
    let finished = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&finished.stdout);
    let file = place.out().join("capacity.json");
    let found: CapacityResult =
        files::read_bounded(&file, capacity::FILE_BYTES_MAX, capacity::SCHEMA_VERSION).unwrap();
    let search = &found.searches[0];
    assert_eq!((finished.status.code(), search.ending), (Some(0), Some(Ending::Verified)), "{stdout}");
    let verified = search.verified.unwrap();
    assert!((0.9 * truth..=truth).contains(&verified), "{verified} of {truth}\n{stdout}");
    let repeated = found.steps.iter().filter(|step| !step.outcome.is_valid()).count();
    row(
        "T21",
        format!("{verified} posts/s verified, {} steps, {repeated} of them repeated", found.steps.len()),
        format!("{truth} posts/s"),
    );
}

/// The steps that decide: 5 % below the truth holds, 5 % above fails. (That a search on such answers ends within 10 % below
/// is shown on simulated servers, in `feedmark_reports`.)
fn what_decides(ms: u32) {
    let truth = 1_000.0 / f64::from(ms);
    let once = |rate_per_s: f64| {
        let rate = format!("{rate_per_s}/s");
        let run = Plan { faults: vec![pace(ms)], ..Plan::default() }
            .with(&ASKED)
            .with(&threshold(ms).each_ref().map(String::as_str))
            .with(&["-r", &rate, "-d", "3s"])
            .run();
        let measure = Measure {
            search: 0,
            role: Role::Bisect,
            subscribers: 20,
            rate_per_s,
            cores: None,
            warmup_ns: run.result.scenario.warmup_ns,
            steady_ns: run.result.scenario.duration_ns,
            is_short: true,
            seed: run.result.seed,
        };
        Step::of_run(&measure, &run.result, 0)
    };
    // A run that had not settled says nothing of the server; a session repeats it, too.
    let step = |share: f64| {
        let steps = (0..=REPEATS_MAX).map(|_| once(share * truth)).inspect(|step| {
            tell(step.outcome.name(), &step.reasons.join(" | "));
        });
        steps.into_iter().find(|step| step.outcome.is_valid()).expect("a step that says something")
    };
    let (below, above) = (step(0.95), step(1.05));
    assert_eq!((below.outcome, below.is_saturated), (Outcome::Pass, false), "{:?}", below.reasons);
    assert_eq!((above.outcome, above.is_saturated), (Outcome::Fail, true), "{:?}", above.reasons);
    let overload = above.readings.overload_estimate_per_s.unwrap();
    assert!((overload / truth - 1.0).abs() < 0.05, "{overload} of {truth}");
    row(
        "T21, the steps that decide",
        format!(
            "{} posts/s held, {} failed, by its overload {overload:.2}",
            below.rate_per_s, above.rate_per_s
        ),
        format!("{truth} posts/s"),
    );
}
