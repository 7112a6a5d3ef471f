//! The checks, in the order of METHOD section 4, with their limits; `docs/method.md` has the measurements behind
//! those that differ from METHOD's first guesses.

use super::shortage::failed_for_want;
use super::{Bound, Check, Finding, Label, Unit};
use crate::evidence::Hiccups;
use crate::quantile::{decode, effective_samples_needed, is_supported, value_at};
use crate::run_result::{ArrivalLaw, Driver, Timestamps};
use crate::stats::anderson_darling::CRITICAL_1_PERCENT;
use crate::units::{count, counted, duration, number, percent, short_duration};
use crate::{LatencySummary, Quantile, RunResult};

const MS_NS: f64 = 1e6;
const S_NS: f64 = 1e9;
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
/// V8: relative drift of the block medians, and how clear it must be.
const DRIFT_MAX: f64 = 0.1;
const DRIFT_P_MAX: f64 = 0.01;
/// Latency that grows by this much, in seconds per second, is a backlog that grows (METHOD section 6).
const SATURATED_SLOPE: f64 = 0.02;
/// V10: a schedule that is itself unlikely (one seed in a hundred) may be sent as it is, and a little off.
const A2_OF_SCHEDULE: f64 = 1.1;
/// V11: share of the measured quantile that the floor's may be.
const FLOOR_SHARE_MAX: f64 = 0.2;
/// V12: least warm-up, and what its last three seconds may differ by: this, or this many times what three
/// seconds of the steady phase differ by.
const WARMUP_NS_MIN: f64 = 5.0 * S_NS;
const WARMUP_SPREAD: (f64, f64) = (0.1, 2.0);

/// Every check of a run, and what they find about the target.
pub fn checks(run: &RunResult) -> (Vec<Check>, Vec<Finding>) {
    let mut checks = Vec::new();
    schedule_kept(run, &mut checks);
    nothing_ran_out(run, &mut checks);
    send_lag(run, &mut checks);
    receive_delay(run, &mut checks);
    hiccups(run, &mut checks);
    cpu(run, &mut checks);
    clocks(run, &mut checks);
    ledger(run, &mut checks);
    let mut findings = Vec::new();
    findings.extend(stationary(run, &mut checks));
    samples(run, &mut checks);
    arrival_law(run, &mut checks);
    findings.extend(floor(run, &mut checks));
    warm_up(run, &mut checks);
    (checks, findings)
}

fn schedule_kept(run: &RunResult, checks: &mut Vec<Check>) {
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
fn nothing_ran_out(run: &RunResult, checks: &mut Vec<Check>) {
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

fn send_lag(run: &RunResult, checks: &mut Vec<Check>) {
    let delivery = &run.latency_ns.delivery;
    let lag = &run.latency_ns.send_lag;
    let busy = "the generator itself was late: give it CPUs of its own, or lower the load";
    // As what is printed (V9): p99 of 200 posts is the second worst of them, the last pause of the host.
    let is_supported = |(_, quantile): &(&str, f64)| is_supported(lag.count as f64, *quantile);
    let highest = [("p99", 0.99), ("p90", 0.9)].into_iter().find(is_supported);
    let (name, quantile) = highest.unwrap_or(("p50", 0.5));
    checks.push(at_most(
        ("V2", "send lag below the cap, highest of p50, p90, p99 that the posts support"),
        recorded(lag, quantile),
        relative(SEND_LAG_QUANTILE, delivery, 0.5),
        Unit::Ns,
        |value, limit| format!("{name} of the send lag is {value} (at most {limit}): {busy}"),
    ));
    checks.push(at_most(
        ("V2", "send lag below the cap, max"),
        recorded(lag, 1.0),
        relative(SEND_LAG_MAX, delivery, 0.999),
        Unit::Ns,
        |value, limit| format!("a post left {value} after its time (at most {limit}): {busy}"),
    ));
}

fn receive_delay(run: &RunResult, checks: &mut Vec<Check>) {
    let stamped = run.timestamps == Timestamps::Kernel;
    let known = |quantile| finite(&run.latency_ns.receive_delay, quantile).filter(|_| stamped);
    let slow = "the generator reads too slowly: give it more CPU or --threads, or lower the load";
    for (name, quantile, limit) in [
        ("receive delay, p99", 0.99, RECEIVE_DELAY_P99_NS),
        ("receive delay, max", 1.0, RECEIVE_DELAY_MAX_NS),
    ] {
        let mut check = at_most(("V3", name), known(quantile), limit, Unit::Ns, |value, limit| {
            format!(
                "frames lay in the generator's kernel for up to {value} ({name}, at most {limit}): {slow}"
            )
        });
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
        format!("frames that shared a read leave {quantile} of the delivery open by {value} (at most {limit}): {slow}")
    }));
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

fn hiccups(run: &RunResult, checks: &mut Vec<Check>) {
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
        let group = group.unwrap_or_default();
        checks.push(at_most(("V4", name), value, limit, Unit::Ns, |value, limit| {
            format!(
                "a sleeper beside {group} woke up to {value} late ({name}, at most {limit}): something else \
                 took the CPU; stop it, or give the generator CPUs of its own"
            )
        }));
    }
}

fn cpu(run: &RunResult, checks: &mut Vec<Check>) {
    let evidence = &run.evidence;
    let busiest = evidence.threads.iter().max_by(|a, b| a.cpu_share_max.total_cmp(&b.cpu_share_max));
    let name = busiest.map(|thread| thread.name.clone()).unwrap_or_default();
    checks.push(at_most(
        ("V5", "busiest generator thread, share of a CPU in 1 s"),
        busiest.map(|thread| thread.cpu_share_max),
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
    ));
    checks.push(at_most(
        ("V5", "CPU time stolen by the hypervisor in 1 s"),
        evidence.steal_share_max,
        STEAL_MAX,
        Unit::Ratio,
        |value, limit| {
            format!(
                "the hypervisor took {value} of the CPU time (at most {limit}): use a host that shares less"
            )
        },
    ));
    checks.push(at_most(
        ("V5", "time stopped by a CPU quota"),
        evidence.throttled_ns.map(|ns| ns as f64),
        0.0,
        Unit::Ns,
        |value, _| {
            format!("a CPU quota stopped the generator for {value}: raise the quota of its control group")
        },
    ));
}

fn clocks(run: &RunResult, checks: &mut Vec<Check>) {
    // One host: sending and receiving are read on one clock, so there is no error between them.
    checks.push(at_most(("V6", "error of clocks across hosts"), Some(0.0), 0.0, Unit::Ns, |value, _| {
        format!("clocks differ by {value}")
    }));
    let stamped = run.timestamps == Timestamps::Kernel;
    checks.push(at_most(
        ("V6", "jump of the clock that stamps arrivals"),
        stamped.then_some(run.clock_jump_ns_max as f64),
        CLOCK_JUMP_NS_MAX,
        Unit::Ns,
        |value, limit| {
            format!(
                "the realtime clock, which stamps arrivals, jumped by {value} (at most {limit}): stop what sets it, or \
                 use --timestamps user"
            )
        },
    ));
}

fn ledger(run: &RunResult, checks: &mut Vec<Check>) {
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
    let probes = run.evidence.probes;
    checks.push(at_most(
        ("V7", "connected subscribers that no probe post reached"),
        run.evidence.probe_unreached.map(|n| n as f64),
        0.0,
        Unit::Count,
        |value, _| {
            format!(
                "{value} connected subscribers heard none of {}: nobody knows if they were subscribed; see that every \
                 socket joins what is posted to",
                counted(u64::from(probes), "probe post", "probe posts")
            )
        },
    ));
}

fn stationary(run: &RunResult, checks: &mut Vec<Check>) -> Option<Finding> {
    let drift = run.evidence.drift;
    let clear = drift.map(|drift| if drift.p <= DRIFT_P_MAX { drift.relative.abs() } else { 0.0 });
    let check = at_most(
        ("V8", "clear drift of the median over ten blocks (Theil-Sen where Mann-Kendall p <= 0.01)"),
        clear,
        DRIFT_MAX,
        Unit::Ratio,
        |value, limit| format!("the median delivery drifted by {value} (at most {limit})"),
    );
    let tripped = check.tripped();
    checks.push(check);
    let drift = drift.filter(|_| tripped)?;
    if drift.slope_s_per_s > SATURATED_SLOPE {
        let capacity = run.scenario.rate_per_s * (1.0 - drift.slope_s_per_s).max(0.0);
        let sentence = format!(
            "latency grows by {} s per s: of {} posts/s the target takes about {}",
            number(round(drift.slope_s_per_s, 100.0)),
            number(run.scenario.rate_per_s),
            number(round(capacity, 10.0)),
        );
        return Some(Finding { label: Label::Saturated, sentence });
    }
    let word = if drift.relative > 0.0 { "rose" } else { "fell" };
    let sentence = format!(
        "the median delivery {word} by {} from the first to the last tenth of the steady phase: what is reported \
         depends on when it was measured; try a longer --warmup",
        percent(drift.relative.abs())
    );
    Some(Finding { label: Label::Nonstationary, sentence })
}

fn samples(run: &RunResult, checks: &mut Vec<Check>) {
    let needed = effective_samples_needed(0.5);
    let posts = run.latency_ns.delivery.effective_samples;
    checks.push(check(("V9", "effective posts for a median"), Some(posts), needed, Bound::AtLeast, Unit::Count, |value, limit| {
        format!("{value} posts cannot support any quantile ({limit} are needed): run longer (-d), or post more (-r)")
    }));
}

fn arrival_law(run: &RunResult, checks: &mut Vec<Check>) {
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
            ("V10", "error of the gaps between posts, p99"),
            run.evidence.gap_error_p99_ns.map(|ns| ns as f64),
            (0.1 * S_NS / run.scenario.rate_per_s).clamp(SEND_LAG_QUANTILE.0, S_NS),
            Unit::Ns,
            |value, limit| {
                format!("the gaps between posts are off by up to {value} (p99, at most {limit}): {distorted}")
            },
        ),
    });
}

fn floor(run: &RunResult, checks: &mut Vec<Check>) -> Option<Finding> {
    let (floor, delivery) = (run.evidence.floor.as_ref(), &run.latency_ns.delivery);
    // The highest quantile that the run supports.
    let supported = [
        ("p99", delivery.p99, floor.map(|floor| floor.p99)),
        ("p90", delivery.p90, floor.map(|floor| floor.p90)),
        ("p50", delivery.p50, floor.map(|floor| floor.p50)),
    ];
    let compared = supported.iter().find_map(|(name, measured, floor)| match (measured, floor) {
        (Quantile::Ns(measured), Some(Quantile::Ns(floor))) => Some((*name, *measured, *floor)),
        _ => None,
    });
    let value = compared.map(|(_, measured, floor)| floor as f64 / measured.max(1) as f64);
    let mut check = at_most(
        ("V11", "floor of this host, as a share of the delivery (p99, or the highest quantile printed)"),
        value,
        FLOOR_SHARE_MAX,
        Unit::Ratio,
        |value, limit| format!("the host's floor is {value} of what was measured (at most {limit})"),
    );
    let tripped = check.tripped();
    if floor.is_none() && delivery.count > 0 {
        check.remedy = Some(format!(
            "`{}` stores the floor of this host; give it this run's --body, too, if it had one",
            calibrate_command(run)
        ));
    }
    checks.push(check);
    let (name, measured, floor) = compared.filter(|_| tripped)?;
    let sentence = format!(
        "{name} of a target that does nothing is {} on this host, {} of the {} measured: a faster host or a lighter \
         load says more about the target",
        duration(floor),
        percent(floor as f64 / measured.max(1) as f64),
        duration(measured),
    );
    Some(Finding { label: Label::FloorLimited, sentence })
}

/// The command whose floor counts for the load of the run: what it does not name, bodies apart, is the same for both.
fn calibrate_command(run: &RunResult) -> String {
    let scenario = &run.scenario;
    let (subscribers, rate, threads) = (scenario.subscribers, scenario.rate_per_s, scenario.threads);
    let reader = match (scenario.driver, run.timestamps) {
        (Driver::Engine, Timestamps::Kernel) => "",
        (Driver::Engine, Timestamps::User) => " --timestamps user",
        (Driver::RustSocketio, _) => " --driver rust_socketio",
    };
    format!("feedmark calibrate -c {subscribers} -r {rate}/s --threads {threads}{reader}")
}

fn warm_up(run: &RunResult, checks: &mut Vec<Check>) {
    let length = Some(run.scenario.warmup_ns as f64);
    checks.push(check(
        ("V12", "length of the warm-up"),
        length,
        WARMUP_NS_MIN,
        Bound::AtLeast,
        Unit::Ns,
        |value, limit| {
            format!("a warm-up of {value} is too short to see it settle (at least {limit}): raise --warmup")
        },
    ));
    let (floor, times) = WARMUP_SPREAD;
    let limit = run.evidence.steady_spread_max.map_or(floor, |steady| floor.max(times * steady));
    checks.push(at_most(
        ("V12", "spread of the last three seconds of the warm-up"),
        run.evidence.warmup_spread,
        limit,
        Unit::Ratio,
        |value, limit| {
            format!("the latency had not settled when the warm-up ended (it moved by {value}, at most {limit}): raise --warmup")
        },
    ));
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
fn relative((absolute_ns, share): (f64, f64), delivery: &LatencySummary, quantile: f64) -> f64 {
    finite(delivery, quantile).map_or(absolute_ns, |ns| absolute_ns.max(share * ns))
}

fn at_most(
    what: (&str, &str),
    value: Option<f64>,
    limit: f64,
    unit: Unit,
    remedy: impl FnOnce(&str, &str) -> String,
) -> Check {
    check(what, value, limit, Bound::AtMost, unit, remedy)
}

fn check(
    (id, name): (&str, &str),
    value: Option<f64>,
    limit: f64,
    bound: Bound,
    unit: Unit,
    remedy: impl FnOnce(&str, &str) -> String,
) -> Check {
    let passed = value.map(|value| match bound {
        Bound::AtMost => value <= limit,
        Bound::AtLeast => value >= limit,
    });
    let tripped = value.filter(|_| passed == Some(false));
    let remedy = tripped.map(|value| remedy(&show(value, unit), &show(limit, unit)));
    Check { id: id.to_owned(), name: name.to_owned(), value, limit, bound, unit, passed, remedy }
}

/// A value with its unit, as people read it.
pub(crate) fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns if value == 0.0 => "0 s".to_owned(),
        Unit::Ns if value % MS_NS == 0.0 => short_duration(value as u64),
        Unit::Ns => duration(value as u64),
        Unit::Ratio => percent(value),
        Unit::Count => count(value as u64),
        Unit::A2 => number(round(value, 1000.0)),
    }
}

fn round(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
