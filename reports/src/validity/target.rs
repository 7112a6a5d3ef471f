//! V8 and V11: what the checks find about the target and its host. They decide nothing.

use super::comparison::{at_most, round};
use super::{Check, Finding, Label, Unit};
use crate::run_result::{Driver, Timestamps};
use crate::units::{duration, number, percent};
use crate::{Quantile, RunResult};

/// V8: relative drift of the block medians, and how clear it must be.
const DRIFT_MAX: f64 = 0.1;
const DRIFT_P_MAX: f64 = 0.01;
/// Latency that grows by this much, in seconds per second, is a backlog that grows (METHOD section 6).
const SATURATED_SLOPE: f64 = 0.02;
/// V11: share of the measured quantile that the floor's may be.
const FLOOR_SHARE_MAX: f64 = 0.2;

pub(super) fn stationary(run: &RunResult, checks: &mut Vec<Check>) -> Option<Finding> {
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
        "from the first to the last tenth of the steady phase the median delivery {word} by {} of its level: what is \
         reported depends on when it was measured; try a longer --warmup",
        percent(drift.relative.abs())
    );
    Some(Finding { label: Label::Nonstationary, sentence })
}

pub(super) fn floor(run: &RunResult, checks: &mut Vec<Check>) -> Option<Finding> {
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
