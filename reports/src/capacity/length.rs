//! How long a step is (METHOD section 6), and what it takes with all that is around it.

use super::{Plan, Role, Step};

/// Least warm-up.
const WARMUP_NS: u64 = 5_000_000_000;
/// Least length of the steady phase.
pub const STEADY_NS_MIN: u64 = 20_000_000_000;
/// Least posts of a step.
const POSTS_MIN: u64 = 1000;
/// Least posts of a probe: medians and a slope are read from it.
const PROBE_POSTS_MIN: u64 = 30;
/// What starting the target, connecting and writing is taken to last before the first step has shown it.
const OVERHEAD_NS: u64 = 5_000_000_000;

/// Length of the steady phase; a `short` one has only the posts that the thresholds need.
pub(super) fn steady_ns(plan: &Plan, role: Role, rate_per_s: f64, short: bool) -> u64 {
    let needed = plan.scenario.thresholds.iter().filter_map(|threshold| threshold.posts_needed()).max();
    let needed = needed.map_or(0, expected_posts);
    let posts = match role {
        Role::Probe => PROBE_POSTS_MIN,
        _ if short => needed,
        _ => POSTS_MIN.max(needed),
    };
    let for_posts_ns = (posts as f64 / rate_per_s * 1e9).ceil() as u64;
    for_posts_ns.max(STEADY_NS_MIN)
}

/// Posts to expect so that there are `needed` in all but one of a thousand runs: a Poisson count scatters by its root.
fn expected_posts(needed: u64) -> u64 {
    const DEVIATIONS: f64 = 3.09;
    let root = f64::midpoint(DEVIATIONS, (DEVIATIONS * DEVIATIONS + 4.0 * needed as f64).sqrt());
    (root * root).ceil() as u64
}

/// Length of the warm-up.
pub(super) fn warmup_ns(plan: &Plan) -> u64 {
    plan.scenario.warmup_ns.max(WARMUP_NS)
}

/// What a step with such a steady phase takes: warm-up, steady phase, drain, and as much around it as the steps so far had
/// on average.
pub(super) fn took_ns(plan: &Plan, steps: &[Step], steady_ns: u64) -> u64 {
    let fixed_ns = warmup_ns(plan).saturating_add(plan.scenario.deadline_ns);
    let measured_ns = |steady_ns: u64| fixed_ns.saturating_add(steady_ns);
    let around_ns: u64 =
        steps.iter().map(|step| step.took_ns.saturating_sub(measured_ns(step.steady_ns))).sum();
    let around_ns = around_ns.checked_div(steps.len() as u64).unwrap_or(OVERHEAD_NS);
    measured_ns(steady_ns).saturating_add(around_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_the_posts_that_its_thresholds_need() {
        let at_worst = |posts: u64| posts as f64 - 3.09 * (posts as f64).sqrt();
        for needed in [29, 299, 2_995] {
            let expected = expected_posts(needed);
            assert!(
                at_worst(expected) >= needed as f64 && at_worst(expected - 1) < needed as f64,
                "{needed}"
            );
        }
    }
}
