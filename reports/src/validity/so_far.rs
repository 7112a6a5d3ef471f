//! The checks that can be told while a run goes on: V2 to V7, as far as what has been seen by then goes.
//!
//! Invariant: the same limits and sentences as those of a finished run, which judges all that was owed; here a limit that
//! is a share of the delivery latency goes by what has arrived.

use hdrhistogram::Histogram;

use super::{Check, generator};
use crate::quantile::is_supported;

/// What has been seen of the steady phase.
#[derive(Debug, Clone)]
pub struct SeenSoFar<'a> {
    /// Delivery latency of what has arrived, in ns.
    pub delivery: &'a Histogram<u64>,
    /// Send lag below the cap, in ns.
    pub send_lag: &'a Histogram<u64>,
    /// Receive delay, in ns; `None` without kernel stamps.
    pub receive_delay: Option<&'a Histogram<u64>>,
    /// Greatest hiccup.
    pub hiccup_ns: Option<u64>,
    /// The threads that the hiccup meter stands for.
    pub hiccup_group: &'a str,
    /// The busiest thread, and its greatest share of a CPU in 1 s.
    pub busiest_thread: Option<(&'a str, f64)>,
    /// Greatest share of the CPU time that the hypervisor took in 1 s.
    pub steal_share_max: Option<f64>,
    /// Time held back by a quota.
    pub throttled_ns: Option<u64>,
    /// Greatest jump of the clock that stamps arrivals; `None` without kernel stamps.
    pub clock_jump_ns: Option<u64>,
    /// Probe posts.
    pub probes: u32,
    /// Connected subscribers that none of them reached.
    pub probe_unreached: Option<u64>,
}

/// The checks as they stand, in the order of METHOD section 4.
pub fn so_far(seen: &SeenSoFar<'_>) -> Vec<Check> {
    let posts = seen.send_lag.len() as f64;
    let supported =
        [("p99", 0.99), ("p90", 0.9)].into_iter().find(|(_, quantile)| is_supported(posts, *quantile));
    let (name, quantile) = supported.unwrap_or(("p50", 0.5));
    let delivery = |quantile| at(seen.delivery, quantile);
    let mut checks = vec![
        generator::send_lag_quantile(name, at(seen.send_lag, quantile), delivery(0.5)),
        generator::send_lag_max(at(seen.send_lag, 1.0), delivery(0.999)),
    ];
    let received = |quantile| seen.receive_delay.and_then(|delay| at(delay, quantile));
    checks.extend(generator::receive_delays(received(0.99), received(1.0)));
    checks.push(generator::hiccup_max(seen.hiccup_ns.map(|ns| ns as f64), seen.hiccup_group));
    checks.extend(generator::cpu_shares(seen.busiest_thread, seen.steal_share_max, seen.throttled_ns));
    checks.push(generator::clock_jump(seen.clock_jump_ns));
    checks.push(generator::probe_unreached(seen.probes, seen.probe_unreached));
    checks
}

fn at(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantile::new_histogram;
    use crate::validity::Consequence;

    const MS: u64 = 1_000_000;

    fn of(ns: u64) -> Histogram<u64> {
        let mut histogram = new_histogram();
        histogram.record_n(ns, 1_000).unwrap();
        histogram
    }

    fn healthy<'a>(delivery: &'a Histogram<u64>, short: &'a Histogram<u64>) -> SeenSoFar<'a> {
        SeenSoFar {
            delivery,
            send_lag: short,
            receive_delay: Some(short),
            hiccup_ns: Some(MS),
            hiccup_group: "the readers",
            busiest_thread: Some(("reactor-0", 0.5)),
            steal_share_max: Some(0.0),
            throttled_ns: Some(0),
            clock_jump_ns: Some(0),
            probes: 1,
            probe_unreached: Some(0),
        }
    }

    fn tripped(seen: &SeenSoFar<'_>) -> Vec<String> {
        let checks = so_far(seen);
        assert!(checks.iter().all(|check| check.consequence() == Consequence::Invalid));
        let tripped = checks.into_iter().filter(Check::tripped);
        tripped.map(|check| format!("{} {}", check.id, check.remedy.unwrap_or_default())).collect()
    }

    #[test]
    fn what_is_beyond_its_limit_says_what_to_do() {
        let (delivery, short, mut late) = (of(10 * MS), of(MS), of(MS));
        late.record(900 * MS).unwrap();
        let healthy = || healthy(&delivery, &short);
        assert_eq!(tripped(&healthy()), [""; 0]);
        let found = tripped(&SeenSoFar { send_lag: &late, ..healthy() });
        assert!(
            found.len() == 1 && found[0].starts_with("V2 a post left 900 ms after its time"),
            "{found:?}"
        );
        let found = tripped(&SeenSoFar { receive_delay: Some(&late), ..healthy() });
        assert!(
            found.len() == 1 && found[0].starts_with("V3 ") && found[0].contains("--threads"),
            "{found:?}"
        );
        for (id, seen) in [
            ("V4", SeenSoFar { hiccup_ns: Some(51 * MS), ..healthy() }),
            ("V5", SeenSoFar { busiest_thread: Some(("reactor-0", 0.9)), ..healthy() }),
            ("V5", SeenSoFar { steal_share_max: Some(0.5), ..healthy() }),
            ("V5", SeenSoFar { throttled_ns: Some(1), ..healthy() }),
            ("V6", SeenSoFar { clock_jump_ns: Some(2 * MS), ..healthy() }),
            ("V7", SeenSoFar { probe_unreached: Some(3), ..healthy() }),
        ] {
            let found = tripped(&seen);
            assert!(found.len() == 1 && found[0].starts_with(id) && found[0].len() > 10, "{id}: {found:?}");
        }
    }

    #[test]
    fn what_was_not_seen_is_not_judged() {
        let nothing = new_histogram();
        let seen = SeenSoFar {
            delivery: &nothing,
            send_lag: &nothing,
            receive_delay: None,
            hiccup_ns: None,
            hiccup_group: "",
            busiest_thread: None,
            steal_share_max: None,
            throttled_ns: None,
            clock_jump_ns: None,
            probes: 0,
            probe_unreached: None,
        };
        assert!(so_far(&seen).iter().all(|check| check.passed.is_none() && check.remedy.is_none()));
    }
}
