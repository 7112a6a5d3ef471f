//! The checks, in the order of METHOD section 4, and those that ask whether the run was long enough: V9 and V12.
//! `docs/method.md` has the measurements behind the limits that differ from METHOD's first guesses.

use super::comparison::{S_NS, at_most, check};
use super::{Bound, Check, Finding, Unit, generator, target};
use crate::RunResult;
use crate::quantile::effective_samples_needed;

/// V12: least warm-up, and what its last three seconds may differ by: this, or this many times what three
/// seconds of the steady phase differ by.
const WARMUP_NS_MIN: f64 = 5.0 * S_NS;
const WARMUP_SPREAD: (f64, f64) = (0.1, 2.0);

/// Every check of a run, and what they find about the target.
pub fn checks(run: &RunResult) -> (Vec<Check>, Vec<Finding>) {
    let mut checks = Vec::new();
    generator::schedule_kept(run, &mut checks);
    generator::nothing_ran_out(run, &mut checks);
    generator::send_lag(run, &mut checks);
    generator::receive_delay(run, &mut checks);
    generator::hiccups(run, &mut checks);
    generator::cpu(run, &mut checks);
    generator::clocks(run, &mut checks);
    generator::ledger(run, &mut checks);
    let mut findings = Vec::new();
    findings.extend(target::stationary(run, &mut checks));
    samples(run, &mut checks);
    generator::arrival_law(run, &mut checks);
    findings.extend(target::floor(run, &mut checks));
    warm_up(run, &mut checks);
    (checks, findings)
}

fn samples(run: &RunResult, checks: &mut Vec<Check>) {
    let needed = effective_samples_needed(0.5);
    let posts = run.latency_ns.delivery.effective_samples;
    checks.push(check(("V9", "effective posts for a median"), Some(posts), needed, Bound::AtLeast, Unit::Count, |value, limit| {
        format!("{value} posts cannot support any quantile ({limit} are needed): run longer (-d), or post more (-r)")
    }));
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
