//! Every check trips for its own reason alone, and says what to do.

use proptest::prelude::*;

use super::*;
use crate::evidence::{Drift, GapError};
use crate::run_result::{ArrivalLaw, Driver, Timestamps};
use crate::sample::{self, arbitrary};
use crate::{Quantile, RunResult, Status};

const MS: u64 = 1_000_000;

fn judged(change: impl FnOnce(&mut RunResult)) -> RunResult {
    let mut run = sample::run();
    change(&mut run);
    run.judge();
    run
}

fn tripped(run: &RunResult) -> Vec<&str> {
    let mut ids: Vec<&str> =
        run.validity.iter().filter(|check| check.tripped()).map(|check| check.id.as_str()).collect();
    ids.dedup();
    ids
}

#[test]
fn a_healthy_run_passes_twelve_checks() {
    let run = judged(|_| ());
    assert_eq!(run.verdict.status, Status::Pass);
    let mut ids: Vec<&str> = run.validity.iter().map(|check| check.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids, ["V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9", "V10", "V11", "V12"]);
    assert_eq!(ids.len(), CHECKS);
    let all_passed = |check: &Check| check.passed == Some(true) && check.remedy.is_none();
    assert!(run.validity.iter().all(all_passed), "{:#?}", run.validity);
    assert!(run.findings.is_empty());
}

#[test]
fn each_check_trips_alone_and_says_what_to_do() {
    type Change = fn(&mut RunResult);
    let cases: [(&str, Change, &str); 21] = [
        ("V1", |run| run.posts.acknowledged -= 1, "a defect of feedmark"),
        ("V1", |run| run.evidence.achieved_rate_ratio = Some(0.95), "5 % off"),
        (
            "V1",
            |run| fail_posts(run, "out of local ports: widen net.ipv4.ip_local_port_range"),
            "3 of the posts and subscribers failed because this host, not the target, ran out of local ports: sysctl",
        ),
        ("V1", |run| fail_posts(run, "out of memory for sockets: free memory"), "memory for sockets"),
        (
            "V1",
            |run| *run.connections.failed_by_cause.entry("out of file descriptors".into()).or_default() += 7,
            "ulimit -n",
        ),
        (
            "V2",
            |run| run.latency_ns.send_lag = sample::latency(600, 1, 5 * MS, 0, 600.0),
            "p90 of the send lag",
        ),
        (
            "V2",
            |run| run.latency_ns.send_lag = sample::latency(1_000, 1, 5 * MS, 0, 1_000.0),
            "p99 of the send lag",
        ),
        ("V2", |run| one_in(600, 200 * MS, &mut run.latency_ns.send_lag), "200 ms after its time"),
        ("V3", |run| run.latency_ns.receive_delay = sample::latency(600, 1, 900 * MS, 0, 600.0), "--threads"),
        (
            "V3",
            |run| run.evidence.delivery_earliest_ns = sample::latency(600, 1, 9 * MS, 0, 600.0),
            "shared a read",
        ),
        (
            "V4",
            |run| {
                run.timestamps = Timestamps::User;
                run.evidence.hiccups[1].late_ns = sample::latency(30_000, 1, 20 * MS, 0, 30_000.0);
            },
            "all others",
        ),
        ("V4", |run| one_in(30_000, 90 * MS, &mut run.evidence.hiccups[0].late_ns), "reactors"),
        ("V5", |run| run.evidence.threads[0].cpu_share_max = 0.97, "97 % of a CPU"),
        ("V5", |run| run.evidence.steal_share_max = Some(0.3), "hypervisor"),
        ("V5", |run| run.evidence.throttled_ns = Some(7 * MS), "control group"),
        ("V6", |run| run.clock_jump_ns_max = 3 * MS, "--timestamps user"),
        ("V7", |run| run.deliveries.residual = -2, "accounted for nowhere"),
        ("V7", |run| run.evidence.probe_unreached = Some(3), "heard none of 1 probe post"),
        ("V10", |run| run.evidence.arrival_a2 = Some(4.2), "not exponential"),
        ("V12", |run| run.scenario.warmup_ns = 1_000 * MS, "raise --warmup"),
        ("V12", |run| run.evidence.warmup_spread = Some(0.5), "had not settled"),
    ];
    for (id, change, part) in cases {
        let run = judged(change);
        assert_eq!(tripped(&run), [id], "{part}: {:#?}", run.verdict);
        let expected = if id == "V12" { Status::Unresolved } else { Status::Invalid };
        assert_eq!(run.verdict.status, expected, "{id}");
        let reason = &run.verdict.reasons[0];
        assert!(reason.starts_with(&format!("{id}: ")) && reason.contains(part), "{reason}");
        assert!(run.findings.is_empty());
    }
}

/// Three posts failed for this cause.
fn fail_posts(run: &mut RunResult, cause: &str) {
    run.posts.acknowledged -= 3;
    run.posts.failed += 3;
    run.posts.failures.insert(cause.into(), 3);
}

#[test]
fn what_the_target_refused_is_no_shortage_of_this_host() {
    let run = judged(|run| fail_posts(run, "status 503"));
    assert_eq!((tripped(&run), run.verdict.status), (vec![], Status::Fail));
}

/// One value in `n` is `value`, the others are 1 ns.
fn one_in(n: u64, value: u64, summary: &mut crate::LatencySummary) {
    let mut histogram = crate::quantile::new_histogram();
    histogram.record_n(1, n - 1).unwrap();
    histogram.record(value).unwrap();
    *summary = crate::LatencySummary::new(&histogram, 0, n as f64);
}

#[test]
fn too_few_posts_are_unresolved() {
    let run = judged(|run| run.latency_ns.delivery.effective_samples = 19.0);
    assert_eq!((tripped(&run), run.verdict.status), (vec!["V9"], Status::Unresolved));
    assert!(run.verdict.reasons[0].contains("20 are needed"), "{:?}", run.verdict);
}

#[test]
fn findings_are_about_the_target_and_decide_nothing() {
    let drift = |relative, slope_s_per_s| Some(Drift { relative, p: 0.001, slope_s_per_s });
    let saturated = judged(|run| run.evidence.drift = drift(1.9, 0.5));
    let moved = judged(|run| run.evidence.drift = drift(-0.3, -0.001));
    let limited = judged(|run| run.evidence.floor.as_mut().unwrap().p90 = Quantile::Ns(6 * MS));
    for (run, id, label, part) in [
        (&saturated, "V8", Label::Saturated, "0.5 s per s: of 20 posts/s the target takes about 10"),
        (&moved, "V8", Label::Nonstationary, "fell by 30 %"),
        (&limited, "V11", Label::FloorLimited, "p90 of a target that does nothing is 6.00 ms"),
    ] {
        assert_eq!((tripped(run), run.verdict.status), (vec![id], Status::Pass));
        assert_eq!(run.findings[0].label, label);
        assert!(run.findings[0].sentence.contains(part), "{}", run.findings[0].sentence);
    }
    let unclear =
        judged(|run| run.evidence.drift = Some(Drift { relative: 0.4, p: 0.2, slope_s_per_s: 0.1 }));
    assert!(unclear.findings.is_empty() && tripped(&unclear).is_empty());
}

#[test]
fn what_was_not_measured_neither_passes_nor_trips() {
    let run = judged(|run| {
        run.evidence.floor = None;
        run.timestamps = Timestamps::User;
        run.evidence.steal_share_max = None;
    });
    let unmeasured: Vec<&str> =
        run.validity.iter().filter(|check| check.passed.is_none()).map(|check| check.id.as_str()).collect();
    assert_eq!(unmeasured, ["V3", "V3", "V3", "V5", "V6", "V11"]);
    assert_eq!(run.verdict.status, Status::Pass);
    let hints: Vec<&str> = run.validity.iter().filter_map(|check| check.remedy.as_deref()).collect();
    assert_eq!(hints.len(), 3);
    let command = "`feedmark calibrate -c 1000 -r 20/s --threads 1 --timestamps user`";
    assert!(hints[2].contains(command) && hints[2].contains("--body"), "{hints:?}");
}

#[test]
fn a_driver_without_kernel_stamps_is_not_told_to_use_them() {
    let run = judged(|run| {
        run.evidence.floor = None;
        run.timestamps = Timestamps::User;
        run.scenario.driver = Driver::RustSocketio;
    });
    let hints: Vec<&str> = run.validity.iter().filter_map(|check| check.remedy.as_deref()).collect();
    assert!(hints[0].ends_with("use --driver engine"), "{hints:?}");
    assert!(hints[2].contains("--threads 1 --driver rust_socketio`"), "{hints:?}");
}

/// The worse of the limits counts: a slow target may be measured by a slower generator.
#[test]
fn limits_grow_with_what_is_measured() {
    let limit =
        |run: &RunResult, name: &str| run.validity.iter().find(|check| check.name == name).unwrap().limit;
    let fast = judged(|_| ());
    let slow = judged(|run| run.latency_ns.delivery = sample::latency(600, 100 * MS, 100 * MS, 0, 600.0));
    let name = "send lag below the cap, highest of p50, p90, p99 that the posts support";
    assert_eq!(limit(&fast, name), 3e6);
    let grown = limit(&slow, name);
    assert!((grown - 5e6).abs() < 1e4, "{grown}");
}

#[test]
fn constant_arrivals_are_held_to_their_gaps() {
    let run = judged(|run| {
        run.scenario.arrivals = ArrivalLaw::Constant;
        run.evidence.arrival_a2 = None;
        run.evidence.gap_error = Some(GapError { quantile: "p90".into(), ns: 20 * MS });
    });
    assert_eq!(tripped(&run), ["V10"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any file that can be read can be judged, again and again with the same outcome.
    #[test]
    fn any_run_can_be_judged(mut run in arbitrary::run(arbitrary::ANY)) {
        run.judge();
        let once = run.clone();
        run.judge();
        prop_assert_eq!(&run.verdict, &once.verdict);
        prop_assert!(run.validity.iter().all(|check| check.limit.is_finite()));
    }
}
