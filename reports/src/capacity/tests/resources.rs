//! What a run recorded of the target's means, as a step has it.

use super::*;
use crate::RunResult;
use crate::run_result::{Phase, ProcessSample, Resources};
use crate::target_use::{Bucket, Meaning, MetricSample, MetricSeries, TargetSample, TargetUse};

const S: u64 = 1_000_000_000;

/// The steady phase is from 7 to 37 s, connecting from 0 to 1 s.
fn run_with(samples: &[(u64, f64, u64)]) -> RunResult {
    let mut run = sample::run();
    let target = run.resources.target.as_mut().unwrap();
    target.samples = samples
        .iter()
        .map(|&(at_ns, cpu_s, memory_bytes)| ProcessSample { at_ns, cpu_s, memory_bytes })
        .collect();
    run
}

#[test]
fn cpu_and_memory_are_those_of_the_steady_phase() {
    let run = run_with(&[
        (0, 0.1, 10),
        (S + 1, 1.0, 30),
        (7 * S + 5, 2.0, 40),
        (20 * S, 9.0, 70),
        (37 * S + 5, 47.0, 60),
        (46 * S, 48.0, 90),
    ]);
    let resources = StepResources::of(&run);
    assert_eq!((resources.cpus_used, resources.cpus), (Some(1.5), Some(2.0)));
    assert_eq!((resources.memory_bytes, resources.memory_limit_bytes), (Some(70), Some(8_000_000_000)));
    assert_eq!(resources.memory_unconnected_bytes, Some(10));
    assert_eq!(resources.memory_connected_bytes, Some(30));
}

#[test]
fn a_target_that_ended_is_known_up_to_there() {
    let run = run_with(&[(0, 0.0, 10), (7 * S, 1.0, 20), (17 * S, 16.0, 30)]);
    let resources = StepResources::of(&run);
    assert_eq!((resources.cpus_used, resources.memory_bytes), (Some(1.5), Some(30)));
    assert_eq!(resources.memory_connected_bytes, Some(10), "a second away");
}

/// A run that ended itself has phases without length.
#[test]
fn what_a_target_used_until_it_gave_way_is_known() {
    let mut run = run_with(&[(0, 0.0, 10), (S, 1.0, 30), (3 * S, 3.0, 20)]);
    run.phases.truncate(2);
    run.phases[1].end_ns = 4 * S;
    for name in ["warm-up", "steady", "drain"] {
        run.phases.push(Phase { name: name.to_owned(), start_ns: 4 * S, end_ns: 4 * S });
    }
    let resources = StepResources::of(&run);
    assert_eq!((resources.cpus_used, resources.memory_bytes), (Some(1.0), Some(30)));
    assert_eq!(resources.memory_connected_bytes, Some(30));
}

#[test]
fn what_was_not_sampled_is_not_known() {
    for samples in [&[][..], &[(3 * S, 1.0, 10)], &[(7 * S, 1.0, 10)]] {
        let resources = StepResources::of(&run_with(samples));
        assert_eq!((resources.cpus_used, resources.memory_connected_bytes), (None, None), "{samples:?}");
    }
    let mut run = sample::run();
    run.resources = Resources {
        target: None,
        target_use: None,
        series: Vec::new(),
        received_bytes: None,
        network_limit_bytes_per_s: None,
        ..run.resources
    };
    run.scenario.url = Some("http://feed.example.test".to_owned());
    assert_eq!(StepResources::of(&run), StepResources::default());
}

#[test]
fn refusals_are_known_of_a_target_that_tells() {
    let mut run = sample::run();
    assert_eq!(StepResources::of(&run).buffer_refusals, Some(0));
    run.deliveries.missing_by_cause.insert("refused_by_full_buffer".to_owned(), 7);
    run.scenario.url = Some("http://feed.example.test".to_owned());
    assert_eq!(StepResources::of(&run).buffer_refusals, Some(7));
}

fn used(run: &mut RunResult) -> &mut TargetUse {
    run.resources.target_use.as_mut().unwrap()
}

#[test]
fn a_healthy_run_is_seen_whole() {
    let resources = StepResources::of(&sample::run());
    assert_eq!((resources.cpus, resources.host_cpu_share), (Some(2.0), Some(0.31)));
    assert_eq!((resources.busiest_thread_share, resources.throttled_share), (Some(0.1), Some(0.0)));
    assert_eq!((resources.descriptors, resources.descriptors_limit), (Some(1_031), Some(1_048_576)));
    assert_eq!((resources.memory_kills, resources.socket_memory_bytes), (Some(0), Some(0)));
    assert!((resources.storage_busy_share.unwrap() - 0.03).abs() < 1e-9);
    assert_eq!(resources.commit_p99_ns, Some(2_000_000));
    assert_eq!(resources.network_bytes, Some(200_000_000));
    assert!((resources.network_bytes_per_s.unwrap() * 30.0 - 2e8).abs() < 1.0);
}

#[test]
fn a_quota_is_a_share_of_the_time_that_it_would_have_run() {
    // It has one thread, which is stopped for half of the time.
    let samples: Vec<_> = (0..48).map(|second| (second * S, second as f64 / 2.0, 10)).collect();
    let mut run = run_with(&samples);
    for (second, sample) in used(&mut run).samples.iter_mut().enumerate() {
        sample.throttled_ns = Some(second as u64 * S / 2);
    }
    for cpus in [1, 2, 64] {
        used(&mut run).cpus = Some(cpus);
        assert_eq!(StepResources::of(&run).throttled_share, Some(0.5), "{cpus} CPUs");
    }
    used(&mut run).samples.iter_mut().for_each(|sample| sample.throttled_ns = None);
    assert_eq!(StepResources::of(&run).throttled_share, None);
}

#[test]
fn memory_is_that_of_the_group_that_limits_it() {
    let mut run = sample::run();
    let own = StepResources::of(&run).memory_bytes;
    used(&mut run).memory_limit_bytes = Some(100);
    assert_eq!(StepResources::of(&run).memory_bytes, own, "what the group has is not known");
    for (second, sample) in used(&mut run).samples.iter_mut().enumerate() {
        (sample.group_memory_bytes, sample.kernel_memory_bytes) = (Some(90), Some(second as u64 * 7));
    }
    let resources = StepResources::of(&run);
    assert_eq!((resources.group_memory_bytes, resources.memory_limit_bytes), (Some(90), Some(100)));
    assert_eq!(resources.memory_bytes, own, "resident");
    assert_eq!(resources.socket_memory_bytes, Some(7), "what connecting took, in a second");
}

/// The generator has 1.5 GB of the 2 GB, which is not what gave way.
#[test]
fn of_a_group_that_the_generator_is_in_the_targets_own_memory_counts() {
    let samples: Vec<_> = (0..48).map(|second| (second * S, second as f64, 450_000_000)).collect();
    let mut run = run_with(&samples);
    let used = used(&mut run);
    (used.memory_limit_bytes, used.memory_is_shared) = (Some(2_000_000_000), true);
    used.samples.iter_mut().for_each(|sample| sample.group_memory_bytes = Some(1_950_000_000));
    let resources = StepResources::of(&run);
    assert_eq!((resources.memory_bytes, resources.group_memory_bytes), (Some(450_000_000), None));
    let gauges = super::super::limit::gauges(&resources);
    let memory = gauges.iter().find(|gauge| gauge.used.ends_with("GB of memory")).unwrap();
    assert_eq!((memory.used.as_str(), memory.is_used_up), ("450 MB of 2.00 GB of memory", false));
}

#[test]
fn descriptors_count_while_all_connected() {
    let mut run = sample::run();
    used(&mut run).samples[0] =
        TargetSample { descriptors: Some(99), descriptors_limit: Some(100), ..TargetSample::default() };
    used(&mut run).samples[1..].iter_mut().for_each(|sample| sample.descriptors_limit = Some(100));
    used(&mut run).samples[1..].iter_mut().for_each(|sample| sample.descriptors = Some(80));
    let resources = StepResources::of(&run);
    assert_eq!((resources.descriptors, resources.descriptors_limit), (Some(99), Some(100)));
}

/// Each sample is of whichever process is nearest to its own limit then.
#[test]
fn descriptors_and_their_limit_are_of_one_process() {
    let mut run = sample::run();
    for (second, sample) in used(&mut run).samples.iter_mut().enumerate() {
        let (open, limit) = if second < 40 { (5_000, 65_536) } else { (100, 1_024) };
        (sample.descriptors, sample.descriptors_limit) = (Some(open), Some(limit));
    }
    let resources = StepResources::of(&run);
    assert_eq!((resources.descriptors, resources.descriptors_limit), (Some(100), Some(1_024)));
}

/// A pool of 20 connections that each commit for 10 % of the time has 2 s of commits a second.
#[test]
fn commits_of_several_at_once_are_no_share_of_the_time() {
    let mut run = sample::run();
    let mut share = |per_s: f64| {
        let samples = run.resources.series[0].samples.iter_mut();
        samples.for_each(|sample| sample.value = per_s * (sample.at_ns / S) as f64);
        StepResources::of(&run).storage_busy_share
    };
    // A commit that began before the first sample makes more than all of the time.
    assert_eq!((share(0.5), share(1.02), share(2.0)), (Some(0.5), Some(1.0), None));
}

/// A target on another host, which tells its figures.
#[test]
fn what_a_target_says_of_itself_serves_where_nobody_can_look() {
    let mut run = sample::run();
    run.scenario.url = Some("http://feed.example.test".to_owned());
    let series = |meaning, value: fn(f64) -> f64| MetricSeries {
        selector: "any".to_owned(),
        meaning: Some(meaning),
        is_counter: false,
        samples: (0..48)
            .map(|second| MetricSample { at_ns: second * S, value: value(second as f64) })
            .collect(),
        buckets: vec![Bucket { at_most: 0.5, count: 100.0 }],
        observations: Some(100.0),
    };
    run.resources = Resources {
        target: None,
        target_use: None,
        series: vec![
            series(Meaning::Cpu, |second| 5.0 + 0.75 * second),
            series(Meaning::Cpu, |second| 0.25 * second),
            series(Meaning::CpuLimit, |_| 1.0),
            series(Meaning::Memory, |second| 10.0 + second),
            series(Meaning::MemoryLimit, |_| 1_000.0),
            series(Meaning::Descriptors, |_| 40.0),
            series(Meaning::DescriptorsLimit, |_| 50.0),
            series(Meaning::Refusals, |second| 2.0 * second),
            series(Meaning::CommitTime, |second| 0.5 * second),
            series(Meaning::Network, |second| 1_000.0 * second),
            series(Meaning::NetworkLimit, |_| 5_000.0),
        ],
        ..run.resources
    };
    let expected = StepResources {
        cpus_used: Some(1.0),
        cpus: Some(1.0),
        memory_bytes: Some(46),
        memory_limit_bytes: Some(1_000),
        descriptors: Some(40),
        descriptors_limit: Some(50),
        buffer_refusals: Some(60),
        storage_busy_share: Some(0.5),
        commit_p99_ns: Some(500_000_000),
        network_bytes_per_s: Some(1_000.0),
        network_limit_bytes_per_s: Some(5_000.0),
        network_bytes: Some(30_000),
        ..StepResources::default()
    };
    assert_eq!(StepResources::of(&run), expected);
    for (interface, least) in [(4_000, 4_000.0), (6_000, 5_000.0)] {
        run.resources.network_limit_bytes_per_s = Some(interface);
        assert_eq!(StepResources::of(&run).network_limit_bytes_per_s, Some(least), "of the way");
    }
}
