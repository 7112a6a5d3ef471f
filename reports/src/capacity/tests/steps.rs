//! What a run says as a step, and what is named as the limit.

use super::super::limit::{Limit, NamedLimit};
use super::simulated::Server;
use super::*;
use crate::RunResult;
use crate::evidence::Drift;
use crate::metric::Value;
use crate::run_result::Posts;
use crate::threshold::judge::Sample;
use crate::threshold::result::ThresholdResult;

static HEALTHY: LazyLock<RunResult> = LazyLock::new(sample::run);

fn measure() -> Measure {
    Measure {
        search: 0,
        role: Role::Ramp,
        subscribers: 1_000,
        rate_per_s: 20.0,
        cores: None,
        warmup_ns: 5_000_000_000,
        steady_ns: 30_000_000_000,
        is_short: false,
        seed: 1,
    }
}

fn step(mut run: RunResult) -> Step {
    run.judge();
    Step::of_run(&measure(), &run, 50_000_000_000)
}

#[test]
fn a_healthy_run_passes() {
    let step = step(HEALTHY.clone());
    assert_eq!((step.outcome, step.is_saturated, step.reasons.len()), (Outcome::Pass, false, 0), "{step:?}");
    assert_eq!((step.readings.delivered_share, step.readings.overload_estimate_per_s), (Some(1.0), None));
    assert_eq!(step.readings.slope_ns_per_rank, Some(9_876.5));
}

/// T20's arithmetic: a target that takes half of what it is offered shows a latency that grows by half a second per second.
#[test]
fn half_of_the_offered_rate() {
    let mut run = HEALTHY.clone();
    run.evidence.drift = Some(Drift { relative: 3.0, p: 1e-4, slope_s_per_s: 0.5 });
    let step = step(run);
    assert_eq!((step.outcome, step.is_saturated), (Outcome::Fail, true));
    assert!(
        (step.readings.overload_estimate_per_s.unwrap() / 10.0 - 1.0).abs() < 0.05,
        "{:?}",
        step.readings
    );
    assert!(step.reasons[0].contains("grows by 0.5 s per s"), "{:?}", step.reasons);
    assert_eq!(super::super::step::overload_estimate(100.0, 1.5), 0.0, "never less than nothing");
}

#[test]
fn what_was_not_delivered_or_had_to_wait_is_saturation() {
    let mut run = HEALTHY.clone();
    // A threshold allows it, and it is too much all the same.
    run.deliveries.missing = 12_000;
    run.deliveries.delivered -= 12_000;
    let allowed = "missing < 20000".parse().unwrap();
    run.thresholds = vec![ThresholdResult::of_whole(&allowed, &run, Sample::of_run(&allowed, &run))];
    let lossy = step(run);
    assert_eq!((lossy.outcome, lossy.is_saturated), (Outcome::Fail, true));
    assert!(lossy.reasons[0].starts_with("98 % of what was offered"), "{:?}", lossy.reasons);
    let mut run = HEALTHY.clone();
    run.posts.waited_at_cap = 7;
    let waiting = step(run);
    assert_eq!((waiting.outcome, waiting.is_saturated), (Outcome::Fail, true));
    assert!(waiting.reasons[0].starts_with("7 of 600 posts had to wait"), "{:?}", waiting.reasons);
}

#[test]
fn who_took_no_post_takes_less_than_this_load() {
    let mut run = HEALTHY.clone();
    (run.aborted, run.posts) = (Some("no reply to the probe".to_owned()), Posts::default());
    let step = step(run);
    assert_eq!((step.outcome, step.is_saturated), (Outcome::Fail, true));
    assert_eq!(step.reasons[0], "no reply to the probe");
    let untried = Step::not_measured(&measure(), Outcome::Fail, "it does not start".to_owned(), 0);
    let limit = NamedLimit::of(&untried);
    assert_eq!(limit.name, Limit::Unknown);
    assert_eq!(limit.sentence, "unknown: it does not start; nothing of the target could be seen");
}

#[test]
fn thresholds_decide_and_what_cannot_be_told_does_not_hold() {
    let judged = |text: &str, sample| {
        let mut run = HEALTHY.clone();
        run.thresholds = vec![ThresholdResult::of_whole(&text.parse().unwrap(), &run, sample)];
        step(run)
    };
    let posts = |posts, misses| Sample::Posts { posts, misses };
    assert_eq!(judged("delivery p99 < 250ms", posts(600, 0.0)).outcome, Outcome::Pass);
    let bad = judged("delivery p99 < 5ms", posts(600, 300.0));
    assert_eq!((bad.outcome, bad.is_saturated, bad.is_slow), (Outcome::Fail, false, true));
    let untold = judged("delivery p99 < 250ms", posts(600, 5.0));
    assert_eq!((untold.outcome, untold.is_slow), (Outcome::Fail, true));
    // Of too few posts, or of nothing, nobody knows; and it is no failure at all in a probe.
    assert_eq!(judged("delivery p99 < 250ms", posts(298, 0.0)).outcome, Outcome::Unsettled);
    let mut run = HEALTHY.clone();
    run.resources.target = None;
    let unknown = "target cpu_per_million < 30s".parse().unwrap();
    let nothing = Sample::Exact(Value::NotMeasured);
    run.thresholds = vec![ThresholdResult::of_whole(&unknown, &run, nothing)];
    assert_eq!(step(run.clone()).outcome, Outcome::Unsettled);
    let threshold = "delivery p99 < 250ms".parse().unwrap();
    run.thresholds = vec![ThresholdResult::of_whole(&threshold, &run, posts(30, 0.0))];
    run.judge();
    let probe = Step::of_run(&Measure { role: Role::Probe, ..measure() }, &run, 0);
    assert_eq!((probe.outcome, probe.reasons.len()), (Outcome::Pass, 0));
}

/// 29 posts in each window are what it takes; 20 posts/s have 40 in 2 s, and 20 in one.
#[test]
fn windows_of_too_few_posts_say_nothing_of_a_load() {
    for (text, outcome) in [
        ("full_fanout p90 < 400ms over 2s", Outcome::Fail),
        ("full_fanout p90 < 400ms over 1s", Outcome::Unsettled),
    ] {
        let mut run = HEALTHY.clone();
        run.thresholds = vec![ThresholdResult::of_windows(&text.parse().unwrap(), &run, &[])];
        assert_eq!(step(run).outcome, outcome, "{text}");
    }
}

/// What it was killed for comes first; that CPUs were busy does not say why it ended.
#[test]
fn a_target_that_ended_is_named_so() {
    let mut run = HEALTHY.clone();
    run.target_ended = Some("the server ended during the run (exit status: 4)".to_owned());
    run.deliveries.missing = 60_000;
    run.deliveries.delivered -= 60_000;
    let mut ended = step(run);
    assert_eq!((ended.outcome, ended.is_saturated), (Outcome::Fail, true));
    assert_eq!(ended.reasons.iter().filter(|reason| reason.contains("exit status: 4")).count(), 1);
    assert!(ended.reasons[0].starts_with("the server ended"), "{:?}", ended.reasons);
    ended.resources = StepResources { cpus_used: Some(1.99), cpus: Some(2.0), ..StepResources::default() };
    let limit = NamedLimit::of(&ended);
    assert_eq!(limit.name, Limit::TargetEnded);
    assert!(limit.sentence.ends_with("(exit status: 4)"), "{}", limit.sentence);
    ended.resources.memory_kills = Some(1);
    assert_eq!(NamedLimit::of(&ended).name, Limit::Memory);
}

/// A target that lost a connection is none that is too slow.
#[test]
fn a_loss_is_not_called_latency() {
    let mut run = HEALTHY.clone();
    run.deliveries.missing = 5;
    run.deliveries.delivered -= 5;
    let lossy = step(run);
    assert_eq!((lossy.outcome, lossy.is_saturated, lossy.is_slow), (Outcome::Fail, false, false));
    let limit = NamedLimit::of(&lossy);
    assert!(limit.name == Limit::Unknown && limit.sentence.contains("never arrived"), "{limit:?}");
}

#[test]
fn what_says_nothing_of_the_target_is_told_apart() {
    let mut invalid = HEALTHY.clone();
    invalid.deliveries.residual = 1;
    // Whatever else there is to say.
    invalid.evidence.drift = Some(Drift { relative: 3.0, p: 1e-4, slope_s_per_s: 0.5 });
    let invalid = step(invalid);
    assert_eq!(invalid.outcome, Outcome::Invalid);
    assert!(invalid.reasons[0].starts_with("V7"), "{:?}", invalid.reasons);
    let mut moving = HEALTHY.clone();
    moving.evidence.warmup_spread = Some(0.9);
    assert_eq!(step(moving).outcome, Outcome::Unsettled);
}

/// 600,000 deliveries in 30 s of 7.5 ms each: 150 of them are outstanding on average.
#[test]
fn littles_law_is_checked() {
    let difference = |outstanding| {
        let mut run = HEALTHY.clone();
        run.evidence.outstanding_mean = Some(outstanding);
        step(run).readings.little_difference.unwrap()
    };
    assert!(difference(150.0).abs() < 0.01, "{}", difference(150.0));
    assert!((difference(165.0) - 0.1).abs() < 0.01);
    let mut capacity = Server::default().session(&plan(), None, usize::MAX);
    assert_eq!(capacity.findings, Vec::<String>::new());
    capacity.steps[2].readings.little_difference = Some(-0.03);
    capacity.judge();
    assert!(
        capacity.findings[0].starts_with("step 3: deliveries outstanding are -3 % off"),
        "{:?}",
        capacity.findings
    );
}

#[test]
fn an_overload_that_says_something_else_is_a_finding() {
    let mut capacity = Server::default().session(&plan(), None, usize::MAX);
    for step in &mut capacity.steps {
        step.readings.overload_estimate_per_s =
            step.readings.overload_estimate_per_s.map(|estimate| estimate * 0.7);
    }
    capacity.judge();
    assert!(capacity.findings[0].contains("by its overload the target takes"), "{:?}", capacity.findings);
    // A target that is only too slow for the thresholds has not shown what it takes.
    for step in &mut capacity.steps {
        (step.is_saturated, step.is_slow, step.resources) = (false, true, StepResources::default());
    }
    capacity.judge();
    assert_eq!(capacity.findings, Vec::<String>::new());
}

fn limit(resources: StepResources, is_saturated: bool) -> NamedLimit {
    let reasons = vec!["latency grows by 0.2 s per s".to_owned()];
    let outcome = Outcome::Fail;
    let failed = Step { resources, is_saturated, is_slow: true, reasons, outcome, ..step(HEALTHY.clone()) };
    NamedLimit::of(&failed)
}

#[test]
fn each_limit_is_named_with_its_evidence() {
    let healthy = || StepResources {
        cpus_used: Some(0.4),
        cpus: Some(2.0),
        memory_bytes: Some(80_000_000),
        memory_limit_bytes: Some(8_000_000_000),
        descriptors: Some(1_012),
        descriptors_limit: Some(65_536),
        buffer_refusals: Some(0),
        ..StepResources::default()
    };
    let cases: [(Limit, &str, StepResources); 12] = [
        (
            Limit::Memory,
            "7.90 GB of 8.00 GB",
            StepResources { memory_bytes: Some(7_900_000_000), ..healthy() },
        ),
        (Limit::Memory, "1 process killed", StepResources { memory_kills: Some(1), ..healthy() }),
        (Limit::Descriptors, "1,012 of 1,024", StepResources { descriptors_limit: Some(1_024), ..healthy() }),
        // A quota makes CPUs look idle.
        (
            Limit::CpuQuota,
            "for 31 % of the time that",
            StepResources { throttled_share: Some(0.31), ..healthy() },
        ),
        (Limit::TargetCpu, "1.94 of 2 CPUs", StepResources { cpus_used: Some(1.94), ..healthy() }),
        (
            Limit::TargetCpu,
            "thread used 97 %",
            StepResources { busiest_thread_share: Some(0.974), ..healthy() },
        ),
        (
            Limit::TargetCpu,
            "of the host",
            StepResources { cpus_used: Some(0.9), host_cpu_share: Some(0.99), ..healthy() },
        ),
        (
            Limit::Storage,
            "the disk",
            StepResources {
                cpus_used: Some(0.04),
                host_cpu_share: Some(0.99),
                storage_busy_share: Some(0.96),
                ..healthy()
            },
        ),
        (
            Limit::Storage,
            "a commit took 81.0 ms",
            StepResources { storage_busy_share: Some(0.96), commit_p99_ns: Some(81_000_000), ..healthy() },
        ),
        (
            Limit::Network,
            "118 MB/s of 125 MB/s",
            StepResources {
                network_bytes_per_s: Some(118e6),
                network_limit_bytes_per_s: Some(125e6),
                ..healthy()
            },
        ),
        (
            Limit::SocketBuffers,
            "90 packets refused",
            StepResources { buffer_refusals: Some(90), ..healthy() },
        ),
        // Buffers fill when the target has no CPU left to empty them: the cause is named, not what comes of it.
        (
            Limit::TargetCpu,
            "2 of 2 CPUs",
            StepResources { cpus_used: Some(2.0), buffer_refusals: Some(90), ..healthy() },
        ),
    ];
    for (name, evidence, resources) in cases {
        let found = limit(resources, true);
        assert!(found.name == name && found.sentence.contains(evidence), "{name:?}, {evidence}: {found:?}");
        assert!(found.evidence.iter().any(|gauge| gauge.limit == name && gauge.is_used_up));
    }
    let unknown = limit(healthy(), true);
    assert_eq!(unknown.name, Limit::Unknown);
    assert!(unknown.sentence.contains("nothing was used up (80.0 MB of 8.00 GB"), "{}", unknown.sentence);
    assert!(limit(StepResources::default(), true).sentence.contains("nothing of the target could be seen"));
    assert_eq!(limit(healthy(), false).name, Limit::Latency);
}

#[test]
fn planned_loads_fit_by_what_held_failed_or_is_fitted() {
    use super::super::headroom::Fits;
    let server = Server { noise: 0.0, ..Server::default() };
    let answer = |plan: &Plan, load: &str| {
        let mut capacity = server.session(plan, None, usize::MAX);
        capacity.planned_loads = vec![load.parse().unwrap()];
        capacity.judge();
        (capacity.headroom[0].answer, capacity.headroom[0].spare_rate, capacity.headroom[0].sentence.clone())
    };
    // At 1,000 subscribers it takes 222 posts/s.
    for (load, expected, part) in [
        ("1000 subscribers, 100/s", Fits::Fits, "and so would"),
        ("10 subscribers, 200/s", Fits::Fits, "to as many or more held every time"),
        ("1000 subscribers, 300/s", Fits::DoesNotFit, "to as many or fewer failed"),
        ("2000 subscribers, 300/s", Fits::DoesNotFit, "failed"),
        ("10 subscribers, 300/s", Fits::Unresolved, "a search of the rate at 10 subscribers would tell"),
        ("2000 subscribers, 10/s", Fits::Unresolved, "there is no frontier"),
    ] {
        let (found, _, sentence) = answer(&plan(), load);
        assert!(found == expected && sentence.contains(part), "{load}: {sentence}");
    }
    // The frontier speaks between the points and up to twice the largest.
    for (load, expected, part) in [
        ("3000 subscribers, 40/s", Fits::Fits, "and so would"),
        ("12000 subscribers, 15/s", Fits::Fits, "the frontier is at"),
        ("12000 subscribers, 40/s", Fits::DoesNotFit, "failed"),
        ("12000 subscribers, 25/s", Fits::DoesNotFit, "the frontier is at"),
        ("20000 subscribers, 1/s", Fits::Unresolved, "more than 2 times the 8,000"),
    ] {
        let (found, spare, sentence) = answer(&of_both(), load);
        assert!(found == expected && sentence.contains(part), "{load}: {sentence} {spare:?}");
    }
    // 500 held at a greater rate than 1,000 failed at, and 250 at a lesser one failed, too.
    let mut odd = server.session(&of_both(), None, usize::MAX);
    let failed = odd.steps.iter_mut().find(|step| step.search == 0 && step.role == Role::Ramp).unwrap();
    failed.outcome = Outcome::Fail;
    let (subscribers, rate) = (failed.subscribers + 1, failed.rate_per_s + 1.0);
    odd.planned_loads = vec![format!("{subscribers} subscribers, {rate}/s").parse().unwrap()];
    odd.judge();
    assert_eq!(odd.headroom[0].answer, Fits::Unresolved, "{}", odd.headroom[0].sentence);
    assert!(odd.headroom[0].sentence.contains("every time, and "), "{}", odd.headroom[0].sentence);
    let (_, spare, _) = answer(&plan(), "1000 subscribers, 100/s");
    let truth = server.rate_max(1_000, None) / 100.0 - 1.0;
    assert!((truth - 0.15..=truth).contains(&spare.unwrap()), "{spare:?} of {truth}");
}
