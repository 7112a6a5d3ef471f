//! Any run at all, for properties: hostile texts, counts that do not add up, quantiles out of order.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::metric::Value;
use crate::run_result::*;
use crate::target_use::{
    Bucket, BusiestThread, Meaning, MetricSample, MetricSeries, TargetSample, TargetUse,
};
use crate::threshold::Threshold;
use crate::threshold::judge::{Sample, Window};
use crate::threshold::result::ThresholdResult;
use crate::{LatencySummary, Quantile, RunResult, Status, Verdict};

/// The greatest numbers of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Greatest count of anything, bytes included.
    pub(crate) count: u64,
    /// Longest duration, ns.
    pub(crate) ns: u64,
    /// Greatest number of seconds or of anything per second.
    pub(crate) number: f64,
}

/// Everything that the types can hold (numbers that are not finite have no JSON and are left out).
pub(crate) const ANY: Bounds = Bounds { count: u64::MAX, ns: u64::MAX, number: f64::MAX };
/// What a run of a day on a big machine can produce.
pub(crate) const PLAUSIBLE: Bounds = Bounds { count: 1_000_000_000_000, ns: 3_600_000_000_000, number: 1e6 };

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[a-z_ ]{0,60}",
        "[\\x00-\\x1f\\x7f-\\u{9f}\\u{202e}日e\\u{301}]{0,40}",
        "[a-z]{500}"
    ]
    .boxed()
}

fn quantile(bounds: Bounds) -> BoxedStrategy<Quantile> {
    prop_oneof![
        6 => (0..=bounds.ns).prop_map(Quantile::Ns),
        2 => (0..=100_000_000_u64).prop_map(Quantile::Ns),
        1 => Just(Quantile::BeyondDeadline),
        1 => Just(Quantile::NotAvailable),
    ]
    .boxed()
}

fn count(bounds: Bounds) -> BoxedStrategy<u64> {
    prop_oneof![Just(0), Just(1), 0..=1_000_u64, 0..=bounds.count].boxed()
}

fn number(bounds: Bounds) -> BoxedStrategy<f64> {
    prop_oneof![Just(0.0), 0.0..=1_000.0, 0.0..=bounds.number].boxed()
}

fn by_cause(bounds: Bounds) -> BoxedStrategy<BTreeMap<String, u64>> {
    btree_map(text(), count(bounds), 0..8).boxed()
}

fn latency(bounds: Bounds) -> BoxedStrategy<LatencySummary> {
    let quantiles = [(); 6].map(|()| quantile(bounds));
    (count(bounds), count(bounds), number(bounds), quantiles, text())
        .prop_map(|(count, beyond_deadline, effective_samples, [min, p50, p90, p99, p999, max], hdr)| {
            LatencySummary { count, beyond_deadline, effective_samples, min, p50, p90, p99, p999, max, hdr }
        })
        .boxed()
}

fn posts(bounds: Bounds) -> BoxedStrategy<Posts> {
    ([(); 6].map(|()| count(bounds)), by_cause(bounds))
        .prop_map(|([scheduled, sent, acknowledged, failed, dropped, waited_at_cap], failures)| Posts {
            scheduled,
            sent,
            acknowledged,
            failed,
            dropped,
            waited_at_cap,
            failures,
        })
        .boxed()
}

fn deliveries(bounds: Bounds) -> BoxedStrategy<Deliveries> {
    let misses = (any::<u32>(), count(bounds), count(bounds))
        .prop_map(|(subscriber, missing, late)| SubscriberMisses { subscriber, missing, late });
    let residual = prop_oneof![3 => Just(0), 1 => any::<i64>()];
    ([(); 9].map(|()| count(bounds)), residual, by_cause(bounds), vec(misses, 0..11))
        .prop_map(|(counts, residual, missing_by_cause, worst_subscribers)| {
            let [owed, delivered, late, missing, duplicate, reordered, unexpected, not_owed, misses] = counts;
            Deliveries {
                owed,
                delivered,
                late,
                missing,
                residual,
                duplicate,
                reordered,
                unexpected,
                unexpected_other_run: 0,
                not_owed,
                not_owed_by_cause: BTreeMap::new(),
                missing_by_cause,
                worst_subscribers,
                subscribers_with_misses: misses,
            }
        })
        .boxed()
}

fn connections(bounds: Bounds) -> BoxedStrategy<Connections> {
    let times = [(); 4].map(|()| latency(bounds));
    ([(); 5].map(|()| count(bounds)), by_cause(bounds), by_cause(bounds), 0..=bounds.ns, times)
        .prop_map(|(counts, lost_by_cause, failed_by_cause, duration_ns, [tcp, upgrade, socketio, total])| {
            let [requested, established, lost, failed, retries] = counts;
            let connect_ns = ConnectTimes { tcp, upgrade, socketio, total };
            Connections {
                requested,
                established,
                lost,
                failed,
                retries,
                lost_by_cause,
                failed_by_cause,
                duration_ns,
                connect_ns,
                ramp: Vec::new(),
            }
        })
        .boxed()
}

fn latencies(bounds: Bounds) -> BoxedStrategy<Latencies> {
    [(); 9]
        .map(|()| latency(bounds))
        .prop_map(
            |[
                delivery,
                first_delivery,
                full_fanout,
                spread,
                send_lag,
                send_lag_at_cap,
                service_time,
                response_time,
                receive_delay,
            ]| {
                Latencies {
                    delivery,
                    first_delivery,
                    full_fanout,
                    spread,
                    send_lag,
                    send_lag_at_cap,
                    service_time,
                    response_time,
                    receive_delay,
                }
            },
        )
        .boxed()
}

fn process(bounds: Bounds) -> BoxedStrategy<ProcessUse> {
    (number(bounds), option::of(number(bounds)), count(bounds))
        .prop_map(|(cpu_s, cpu_s_per_million_deliveries, peak_memory_bytes)| ProcessUse {
            cpu_s,
            cpu_s_per_million_deliveries,
            peak_memory_bytes,
            samples: Vec::new(),
        })
        .boxed()
}

fn scenario(bounds: Bounds) -> BoxedStrategy<ScenarioRecord> {
    let arrivals = prop_oneof![Just(ArrivalLaw::Poisson), Just(ArrivalLaw::Constant)];
    let ns = 0..=bounds.ns;
    (option::of(text()), any::<u32>(), number(bounds), ns.clone(), ns, arrivals, text())
        .prop_map(|(url, subscribers, rate_per_s, duration_ns, deadline_ns, arrivals, event)| {
            ScenarioRecord {
                url,
                subscribers,
                rate_per_s,
                duration_ns,
                deadline_ns,
                arrivals,
                event,
                ..super::run().scenario
            }
        })
        .boxed()
}

fn verdict() -> BoxedStrategy<Verdict> {
    let status =
        prop_oneof![Just(Status::Pass), Just(Status::Fail), Just(Status::Invalid), Just(Status::Unresolved)];
    (status, vec(text(), 0..30)).prop_map(|(status, reasons)| Verdict { status, reasons }).boxed()
}

fn phases(bounds: Bounds) -> BoxedStrategy<Vec<Phase>> {
    let name = prop_oneof![text(), Just("steady".to_owned())];
    let phase = (name, 0..=bounds.ns, 0..=bounds.ns).prop_map(|(name, start_ns, end_ns)| Phase {
        name,
        start_ns,
        end_ns,
    });
    vec(phase, 0..4).boxed()
}

fn thresholds(bounds: Bounds) -> BoxedStrategy<Vec<ThresholdResult>> {
    let expression = prop_oneof![
        Just("delivery p99 < 250ms"),
        Just("first_delivery p99.9999 <= 123.456ms over 60m advisory"),
        Just("generator cpu_per_million < 9s"),
        Just("target peak_memory <= 1073741824B"),
        Just("completeness >= 99.99% over 10s"),
        Just("missing == 0 abort"),
    ];
    let value = prop_oneof![
        number(bounds).prop_map(Value::Number),
        Just(Value::BeyondDeadline),
        Just(Value::NotMeasured),
    ];
    let sample = prop_oneof![
        value.prop_map(Sample::Exact),
        (0..=10_000_u64, 0.0..=1.0)
            .prop_map(|(posts, share)| Sample::Posts { posts, misses: share * posts as f64 }),
    ];
    let result = (expression, vec(sample, 1..4)).prop_map(|(expression, samples)| {
        let threshold: Threshold = expression.parse().expect("the expressions are right");
        let window = |sample: &Sample| Window { start_ns: 0, end_ns: 1_000_000_000, sample: *sample };
        match threshold.window {
            None => ThresholdResult::of_whole(&threshold, &super::run(), samples[0]),
            Some(_) => {
                let windows: Vec<Window> = samples.iter().map(window).collect();
                ThresholdResult::of_windows(&threshold, &super::run(), &windows)
            }
        }
    });
    vec(result, 0..4).boxed()
}

fn target_use(bounds: Bounds) -> BoxedStrategy<TargetUse> {
    let seen = move || option::of(count(bounds));
    let sample = (0..=bounds.ns, option::of(number(bounds)), seen(), seen(), seen(), seen()).prop_map(
        |(at_ns, busiest_thread_share, throttled_ns, descriptors, descriptors_limit, bytes)| TargetSample {
            at_ns,
            busiest_thread_share,
            throttled_ns,
            descriptors,
            descriptors_limit,
            group_memory_bytes: bytes,
            kernel_memory_bytes: bytes,
            socket_buffer_bytes: bytes,
        },
    );
    let thread = (text(), number(bounds)).prop_map(|(name, cpu_share)| BusiestThread { name, cpu_share });
    (any::<u32>(), option::of(any::<u32>()), seen(), seen(), option::of(thread), vec(sample, 0..6))
        .prop_map(|(processes_max, cpus, memory_limit_bytes, memory_kills, busiest_thread, samples)| {
            TargetUse {
                processes_max,
                processes_left_out_max: processes_max / 2,
                cpus,
                memory_limit_bytes,
                memory_is_shared: cpus.is_none(),
                memory_kills,
                busiest_thread,
                samples,
            }
        })
        .boxed()
}

fn series(bounds: Bounds) -> BoxedStrategy<MetricSeries> {
    let sample = (0..=bounds.ns, number(bounds)).prop_map(|(at_ns, value)| MetricSample { at_ns, value });
    let bucket = (number(bounds), number(bounds)).prop_map(|(at_most, count)| Bucket { at_most, count });
    let meaning = option::of(proptest::sample::select(Meaning::ALL.to_vec()));
    let known = (text(), meaning, any::<bool>(), option::of(number(bounds)));
    (known, vec(sample, 0..6), vec(bucket, 0..4))
        .prop_map(|((selector, meaning, is_counter, observations), samples, buckets)| MetricSeries {
            selector,
            meaning,
            is_counter,
            samples,
            buckets,
            observations,
        })
        .boxed()
}

/// A run whose numbers lie within the bounds.
pub(crate) fn run(bounds: Bounds) -> BoxedStrategy<RunResult> {
    let asked = (verdict(), any::<bool>(), scenario(bounds), any::<u64>(), phases(bounds));
    let timestamps = prop_oneof![Just(Timestamps::Kernel), Just(Timestamps::User)];
    let processes = (process(bounds), option::of(process(bounds)));
    let seen = (option::of(target_use(bounds)), vec(series(bounds), 0..3));
    let counted = (posts(bounds), deliveries(bounds), connections(bounds));
    let results = (latencies(bounds), thresholds(bounds));
    (asked, timestamps, counted, results, processes, seen)
        .prop_map(|(asked, timestamps, counted, results, (generator, target), (target_use, series))| {
            let (posts, deliveries, connections) = counted;
            let received_bytes = Some(deliveries.owed);
            let network_limit_bytes_per_s = Some(deliveries.delivered);
            let (latency_ns, thresholds) = results;
            let (verdict, interrupted, scenario, seed, phases) = asked;
            RunResult {
                verdict,
                interrupted,
                scenario,
                seed,
                timestamps,
                stamp_ambiguous: 0,
                clock_jump_ns_max: 0,
                phases,
                posts,
                deliveries,
                connections,
                latency_ns,
                resources: Resources {
                    generator,
                    target,
                    target_use,
                    series,
                    received_bytes,
                    network_limit_bytes_per_s,
                },
                thresholds,
                ..super::run()
            }
        })
        .boxed()
}
