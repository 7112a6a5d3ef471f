//! V1 to V7 and V10: can the generator be trusted?

use super::comparison::{MS_NS, S_NS, at_most};
use super::shortage::failed_for_want;
use super::{Check, Unit};
use crate::evidence::Hiccups;
use crate::quantile::{decode, highest_supported, value_at};
use crate::run_result::{ArrivalLaw, Driver, Timestamps};
use crate::stats::anderson_darling::CRITICAL_1_PERCENT;
use crate::units::counted;
use crate::{LatencySummary, Quantile, RunResult};

/// V1: the achieved rate may differ from the scheduled one by this share.
const RATE_ERROR_MAX: f64 = 0.01;
/// V2: a quantile of the send lag: this, or this share of the median delivery.
const SEND_LAG_QUANTILE: (f64, f64) = (3.0 * MS_NS, 0.05);
/// V2: greatest send lag: this, or this share of delivery p99.9.
const SEND_LAG_MAX: (f64, f64) = (20.0 * MS_NS, 0.1);
/// V3: p99 of the receive delay, and the greatest: with kernel stamps it is not part of any latency, but a reader
/// that is slower fills the target's buffers.
const RECEIVE_DELAY_P99_NS: f64 = 50.0 * MS_NS;
const RECEIVE_DELAY_MAX_NS: f64 = 100.0 * MS_NS;
/// V3: what shared stamps may move a quantile by: this, or this share of it.
const STAMP_UNCERTAINTY: (f64, f64) = (2.0 * MS_NS, 0.05);
/// V4: p99.9 of the hiccups where the readers' own clock stamps, and the greatest.
const HICCUP_P999_NS: f64 = 10.0 * MS_NS;
const HICCUP_MAX_NS: f64 = 50.0 * MS_NS;
/// V5: share of one CPU that a thread may use in a window of 1 s; share of the host that may be stolen.
const THREAD_CPU_MAX: f64 = 0.85;
const STEAL_MAX: f64 = 0.12;
/// V6: a jump of the realtime clock, which stamps arrivals, beyond this makes them worthless.
const CLOCK_JUMP_NS_MAX: f64 = MS_NS;
/// What to do about V2 and V3.
const GENERATOR_IS_BUSY: &str = "the generator itself was late: give it CPUs of its own, or lower the load";
const READER_IS_SLOW: &str =
    "the generator reads too slowly: give it more CPU or --threads, or lower the load";
/// V10: a schedule that is itself unlikely (one seed in a hundred) may be sent as it is, and a little off.
const A2_OF_SCHEDULE: f64 = 1.1;

pub(super) fn schedule_kept(run: &RunResult, checks: &mut Vec<Check>) {
    let posts = &run.posts;
    let outcomes = posts.acknowledged.saturating_add(posts.failed).saturating_add(posts.dropped);
    let skipped = posts.scheduled.saturating_sub(outcomes) as f64;
    checks.push(at_most(
        ("V1", "posts of the schedule without an outcome"),
        Some(skipped),
        0.0,
        Unit::Count,
        |value, _| {
            format!(
                "{value} of the schedule's posts were never tried: a defect of feedmark, please report it"
            )
        },
    ));
    let error = run.evidence.achieved_rate_ratio.map(|ratio| (1.0 - ratio).abs());
    checks.push(at_most(
        ("V1", "difference of the achieved rate from the scheduled one"),
        error,
        RATE_ERROR_MAX,
        Unit::Ratio,
        |value, limit| {
            format!(
                "the schedule was not kept: the rate is {value} off (at most {limit}): lower --rate, or give the \
                 generator more CPU"
            )
        },
    ));
}

/// What this host lacked says nothing about the target.
pub(super) fn nothing_ran_out(run: &RunResult, checks: &mut Vec<Check>) {
    let (failed, for_want_of) = failed_for_want(run);
    checks.push(at_most(
        ("V1", "posts and subscribers that failed because this host ran out of something"),
        Some(failed as f64),
        0.0,
        Unit::Count,
        |value, _| {
            format!(
                "{value} of the posts and subscribers failed because this host, not the target, ran out of {for_want_of}"
            )
        },
    ));
}

pub(super) fn send_lag(run: &RunResult, checks: &mut Vec<Check>) {
    let delivery = &run.latency_ns.delivery;
    let lag = &run.latency_ns.send_lag;
    // As what is printed (V9): p99 of 200 posts is the second worst of them, the last pause of the host.
    let (name, quantile) = highest_supported(lag.count as f64);
    checks.push(send_lag_quantile(name, recorded(lag, quantile), finite(delivery, 0.5)));
    checks.push(send_lag_max(recorded(lag, 1.0), finite(delivery, 0.999)));
}

pub(super) fn send_lag_quantile(name: &str, lag_ns: Option<f64>, delivery_p50_ns: Option<f64>) -> Check {
    at_most(
        ("V2", "send lag below the cap, highest of p50, p90, p99 that the posts support"),
        lag_ns,
        relative(SEND_LAG_QUANTILE, delivery_p50_ns),
        Unit::Ns,
        |value, limit| format!("{name} of the send lag is {value} (at most {limit}): {GENERATOR_IS_BUSY}"),
    )
}

pub(super) fn send_lag_max(lag_ns: Option<f64>, delivery_p999_ns: Option<f64>) -> Check {
    at_most(
        ("V2", "send lag below the cap, max"),
        lag_ns,
        relative(SEND_LAG_MAX, delivery_p999_ns),
        Unit::Ns,
        |value, limit| format!("a post left {value} after its time (at most {limit}): {GENERATOR_IS_BUSY}"),
    )
}

pub(super) fn receive_delay(run: &RunResult, checks: &mut Vec<Check>) {
    let stamped = run.timestamps == Timestamps::Kernel;
    let known = |quantile| finite(&run.latency_ns.receive_delay, quantile).filter(|_| stamped);
    for mut check in receive_delays(known(0.99), known(1.0)) {
        if !stamped && run.latency_ns.delivery.count > 0 {
            let remedy = match run.scenario.driver {
                Driver::Engine => "--timestamps kernel",
                Driver::RustSocketio => "--driver engine",
            };
            check.remedy = Some(format!("ts=user knows nothing of the wait in the kernel: use {remedy}"));
        }
        checks.push(check);
    }
    let shift = worst_shift(run).filter(|_| stamped);
    let (quantile, value, limit) =
        shift.map_or(("", None, STAMP_UNCERTAINTY.0), |(quantile, ns, limit)| (quantile, Some(ns), limit));
    checks.push(at_most(("V3", "what shared receive stamps leave open of a quantile"), value, limit, Unit::Ns, |value, limit| {
        format!("frames that shared a read leave {quantile} of the delivery open by {value} (at most {limit}): {READER_IS_SLOW}")
    }));
}

pub(super) fn receive_delays(p99_ns: Option<f64>, max_ns: Option<f64>) -> [Check; 2] {
    let delay = |name, value_ns, limit| {
        at_most(("V3", name), value_ns, limit, Unit::Ns, |value, limit| {
            format!(
                "frames lay in the generator's kernel for up to {value} ({name}, at most {limit}): {READER_IS_SLOW}"
            )
        })
    };
    [
        delay("receive delay, p99", p99_ns, RECEIVE_DELAY_P99_NS),
        delay("receive delay, max", max_ns, RECEIVE_DELAY_MAX_NS),
    ]
}

/// The printed quantile that shared stamps leave most open, by how much, and how much it may be.
fn worst_shift(run: &RunResult) -> Option<(&'static str, f64, f64)> {
    let delivery = &run.latency_ns.delivery;
    let printed = [
        ("p50", 0.5, delivery.p50),
        ("p90", 0.9, delivery.p90),
        ("p99", 0.99, delivery.p99),
        ("p99.9", 0.999, delivery.p999),
    ];
    let printed = printed.iter().filter(|(.., printed)| matches!(printed, Quantile::Ns(_)));
    let shift = |&(name, quantile, _): &(&'static str, f64, Quantile)| {
        let latest = finite(delivery, quantile)?;
        let earliest = finite(&run.evidence.delivery_earliest_ns, quantile)?;
        let (absolute, share) = STAMP_UNCERTAINTY;
        Some((name, (latest - earliest).max(0.0), absolute.max(share * latest)))
    };
    printed.filter_map(shift).max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)))
}

pub(super) fn hiccups(run: &RunResult, checks: &mut Vec<Check>) {
    let worst = |quantile: f64| {
        let of = |group: &Hiccups| finite(&group.late_ns, quantile).map(|ns| (ns, group.group.clone()));
        run.evidence.hiccups.iter().filter_map(of).max_by(|a, b| a.0.total_cmp(&b.0))
    };
    // With kernel stamps a reader that wakes late is V3's to judge.
    let p999_ns_max = match run.timestamps {
        Timestamps::User => HICCUP_P999_NS,
        Timestamps::Kernel => HICCUP_MAX_NS,
    };
    for (name, quantile, limit) in
        [("hiccups, p99.9", 0.999, p999_ns_max), ("hiccups, max", 1.0, HICCUP_MAX_NS)]
    {
        let (value, group) = worst(quantile).unzip();
        checks.push(hiccup(name, value, limit, &group.unwrap_or_default()));
    }
}

pub(super) fn hiccup_max(value_ns: Option<f64>, group: &str) -> Check {
    hiccup("hiccups, max", value_ns, HICCUP_MAX_NS, group)
}

fn hiccup(name: &str, value_ns: Option<f64>, limit_ns: f64, group: &str) -> Check {
    at_most(("V4", name), value_ns, limit_ns, Unit::Ns, |value, limit| {
        format!(
            "a sleeper beside {group} woke up to {value} late ({name}, at most {limit}): something else \
             took the CPU; stop it, or give the generator CPUs of its own"
        )
    })
}

pub(super) fn cpu(run: &RunResult, checks: &mut Vec<Check>) {
    let evidence = &run.evidence;
    let busiest = evidence.threads.iter().max_by(|a, b| a.cpu_share_max.total_cmp(&b.cpu_share_max));
    let busiest = busiest.map(|thread| (thread.name.as_str(), thread.cpu_share_max));
    checks.extend(cpu_shares(busiest, evidence.steal_share_max, evidence.throttled_ns));
}

pub(super) fn cpu_shares(
    busiest: Option<(&str, f64)>,
    steal_share_max: Option<f64>,
    throttled_ns: Option<u64>,
) -> [Check; 3] {
    let (name, share) = busiest.unzip();
    let name = name.unwrap_or_default();
    let thread = at_most(
        ("V5", "busiest generator thread, share of a CPU in 1 s"),
        share,
        THREAD_CPU_MAX,
        Unit::Ratio,
        |value, limit| {
            let remedy = if name.starts_with("reactor") {
                "raise --threads, or lower the load"
            } else {
                "lower --rate"
            };
            format!("thread {name} used {value} of a CPU (at most {limit}): {remedy}")
        },
    );
    let steal = at_most(
        ("V5", "CPU time stolen by the hypervisor in 1 s"),
        steal_share_max,
        STEAL_MAX,
        Unit::Ratio,
        |value, limit| {
            format!(
                "the hypervisor took {value} of the CPU time (at most {limit}): use a host that shares less"
            )
        },
    );
    let quota = at_most(
        ("V5", "time stopped by a CPU quota"),
        throttled_ns.map(|ns| ns as f64),
        0.0,
        Unit::Ns,
        |value, _| {
            format!("a CPU quota stopped the generator for {value}: raise the quota of its control group")
        },
    );
    [thread, steal, quota]
}

pub(super) fn clocks(run: &RunResult, checks: &mut Vec<Check>) {
    // One host: sending and receiving are read on one clock, so there is no error between them.
    checks.push(at_most(("V6", "error of clocks across hosts"), Some(0.0), 0.0, Unit::Ns, |value, _| {
        format!("clocks differ by {value}")
    }));
    let stamped = run.timestamps == Timestamps::Kernel;
    checks.push(clock_jump(stamped.then_some(run.clock_jump_ns_max)));
}

pub(super) fn clock_jump(jump_ns: Option<u64>) -> Check {
    at_most(
        ("V6", "jump of the clock that stamps arrivals"),
        jump_ns.map(|ns| ns as f64),
        CLOCK_JUMP_NS_MAX,
        Unit::Ns,
        |value, limit| {
            format!(
                "the realtime clock, which stamps arrivals, jumped by {value} (at most {limit}): stop what sets it, or \
                 use --timestamps user"
            )
        },
    )
}

pub(super) fn ledger(run: &RunResult, checks: &mut Vec<Check>) {
    checks.push(at_most(
        ("V7", "residual of the ledger"),
        Some(run.deliveries.residual.unsigned_abs() as f64),
        0.0,
        Unit::Count,
        |value, _| {
            format!(
                "{value} owed deliveries are accounted for nowhere: a defect of feedmark, please report it"
            )
        },
    ));
    checks.push(probe_unreached(run.evidence.probes, run.evidence.probe_unreached));
}

pub(super) fn probe_unreached(probes: u32, unreached: Option<u64>) -> Check {
    at_most(
        ("V7", "connected subscribers that no probe post reached"),
        unreached.map(|n| n as f64),
        0.0,
        Unit::Count,
        |value, _| {
            format!(
                "{value} connected subscribers heard none of {}: nobody knows if they were subscribed; see that every \
                 socket joins what is posted to",
                counted(u64::from(probes), "probe post", "probe posts")
            )
        },
    )
}

pub(super) fn arrival_law(run: &RunResult, checks: &mut Vec<Check>) {
    let distorted = "the generator did not keep the arrival law: give it more CPU, or lower --rate";
    checks.push(match run.scenario.arrivals {
        ArrivalLaw::Poisson => at_most(
            ("V10", "Anderson-Darling of the gaps between posts"),
            run.evidence.arrival_a2,
            CRITICAL_1_PERCENT.max(run.evidence.arrival_a2_scheduled.map_or(0.0, |a2| a2 * A2_OF_SCHEDULE)),
            Unit::A2,
            |value, limit| {
                format!(
                    "the gaps between posts are not exponential (A2 {value}, at most {limit}): {distorted}"
                )
            },
        ),
        ArrivalLaw::Constant => at_most(
            ("V10", "error of the gaps between posts, highest of p50, p90, p99 that they support"),
            run.evidence.gap_error.as_ref().map(|error| error.ns as f64),
            (0.1 * S_NS / run.scenario.rate_per_s).clamp(SEND_LAG_QUANTILE.0, S_NS),
            Unit::Ns,
            |value, limit| {
                let name = run.evidence.gap_error.as_ref().map_or("", |error| &error.quantile);
                format!(
                    "the gaps between posts are off by up to {value} ({name}, at most {limit}): {distorted}"
                )
            },
        ),
    });
}

/// A value that a finite sample gave, whatever V9 says of printing it.
fn finite(summary: &LatencySummary, quantile: f64) -> Option<f64> {
    match summary.value_at(quantile) {
        Quantile::Ns(ns) => Some(ns as f64),
        _ => None,
    }
}

/// The same over the finite values alone: what was never sent is judged elsewhere.
fn recorded(summary: &LatencySummary, quantile: f64) -> Option<f64> {
    match value_at(&decode(&summary.hdr).ok()?, 0, quantile) {
        Quantile::Ns(ns) => Some(ns as f64),
        _ => None,
    }
}

/// The limit in ns: an absolute one, or a share of a quantile of the delivery, whichever is greater.
fn relative((absolute_ns, share): (f64, f64), delivery_ns: Option<f64>) -> f64 {
    delivery_ns.map_or(absolute_ns, |ns| absolute_ns.max(share * ns))
}
