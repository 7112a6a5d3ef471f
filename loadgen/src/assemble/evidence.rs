//! What the run noticed of itself, from what its parts saw.

use std::ops::Range;

use feedmark_core::schedule::Arrivals;
use feedmark_reports::LatencySummary;
use feedmark_reports::evidence::{self, Drift, Evidence, GapError, ThreadUse};
use feedmark_reports::quantile::{highest_supported, new_histogram};
use feedmark_reports::stats::anderson_darling::{a_squared, exponential_uniforms};
use feedmark_reports::stats::median::median;
use feedmark_reports::stats::trend;

use super::Observations;
use crate::hiccups::Hiccups;
use crate::host_watch::ThreadReport;
use crate::scenario::Scenario;
use crate::writers::PostRecord;

/// Blocks that the steady phase is cut into to see a drift (METHOD V8).
const BLOCKS: usize = 10;
/// Seconds of the warm-up's end that are compared (METHOD V12).
const WINDOWS: usize = 3;
const SECOND_NS: u64 = 1_000_000_000;
/// How much the send lag may change from post to post before the gaps count as others than scheduled, as a share of the
/// mean gap.
const GAP_TOLERANCE: f64 = 0.01;
/// The same where that is less: what waking a thread takes.
const GAP_TOLERANCE_NS: f64 = 50_000.0;
/// The most that it may be then, as a share of the mean gap.
const GAP_TOLERANCE_MAX: f64 = 0.1;

/// `beyond` deliveries were late or missing.
pub(super) fn evidence(scenario: &Scenario, observations: &Observations, beyond: u64) -> Evidence {
    let Observations { pass, probes, probe_unreached, hiccups, disturbances, floor, .. } = observations;
    let judged: Vec<&PostRecord> =
        pass.records.iter().filter(|record| record.seq >= observations.first_judged).collect();
    let offsets_ns = &observations.offsets_ns;
    let intended_ns: Vec<u64> = judged.iter().map(|record| offsets_ns[record.seq as usize]).collect();
    let mut left_ns: Vec<u64> =
        judged.iter().map(|record| left_ns(record).saturating_sub(pass.base_ns)).collect();
    left_ns.sort_unstable();
    let poisson = scenario.arrivals == Arrivals::Poisson;
    let steady = scenario.steady_ns();
    let medians = medians_by_offset(scenario, observations);
    let warmup_from_ns = scenario.warmup_ns.saturating_sub(WINDOWS as u64 * SECOND_NS);
    let warmup = windows(&medians, warmup_from_ns..scenario.warmup_ns);
    let blocks = medians_of(&medians, steady.clone(), BLOCKS);
    // A post that came too late for its deadline would hide how latency grew: a trend is read up to the first.
    let first_beyond = observations
        .pass
        .settled
        .times
        .iter()
        .position(|times| times.owed > 0 && times.reach_50_ns.is_none());
    let grown_until_ns =
        first_beyond.map_or(steady.end, |seq| offsets_ns[seq].clamp(steady.start, steady.end));
    let grown = medians_of(&medians, steady.start..grown_until_ns, BLOCKS);
    let block_ns = (grown_until_ns - steady.start) / BLOCKS as u64;
    let drift = trend::drift(&grown).map(|drift| Drift {
        relative: drift.relative,
        p: drift.p,
        slope_s_per_s: trend::theil_sen(&grown)
            .map_or(0.0, |ns_per_block| per_second_of_arrivals(ns_per_block / block_ns as f64)),
    });
    let steady_windows = windows(&medians, steady);
    Evidence {
        achieved_rate_ratio: span(&intended_ns).zip(span(&left_ns)).map(|(asked, taken)| asked / taken),
        arrival_a2: poisson.then(|| arrival_a2(&left_ns, 1e9 / scenario.rate_per_s)).flatten(),
        arrival_a2_scheduled: poisson.then(|| arrival_a2(&intended_ns, 1e9 / scenario.rate_per_s)).flatten(),
        gap_error: if poisson { None } else { gap_error(&intended_ns, &left_ns) },
        real_time_priority: pass.real_time,
        hiccups: vec![group_of(hiccups)],
        threads: disturbances.threads.iter().map(thread_use).collect(),
        steal_share_max: disturbances.steal_max.map(|peak| peak.share),
        host_cpu_share: disturbances.busy_share,
        throttled_ns: disturbances.throttled.map(|throttled| throttled.held_ns),
        cpu_pressure_share_max: disturbances.pressure_max.map(|peak| peak.share),
        // A phase that was cut short is no window to sum up over.
        outstanding_mean: pass
            .stopped
            .is_none()
            .then(|| pass.settled.outstanding_ns as f64 / scenario.duration_ns as f64),
        delivery_earliest_ns: earliest(observations, beyond),
        probes: *probes,
        probe_unreached: *probe_unreached,
        block_medians_ns: blocks.iter().map(|block| block.map(|ns| ns as u64)).collect(),
        drift,
        warmup_spread: spread(&warmup),
        warmup_windows_ns: warmup.iter().map(|window| window.map(|ns| ns as u64)).collect(),
        steady_spread_max: steady_windows.windows(WINDOWS).filter_map(spread).reduce(f64::max),
        floor: floor.clone(),
    }
}

fn group_of(hiccups: &Hiccups) -> evidence::Hiccups {
    let ticks = hiccups.recorder.total();
    evidence::Hiccups {
        group: hiccups.group.to_owned(),
        late_ns: LatencySummary::new(ticks, 0, ticks.len() as f64),
    }
}

fn thread_use(thread: &ThreadReport) -> ThreadUse {
    ThreadUse {
        name: thread.name.clone(),
        cpu_s: thread.cpu_ns as f64 / 1e9,
        cpu_share_max: thread.cpu_max.share,
        at_ns: thread.cpu_max.at_ns,
        run_delay_share_max: thread.run_delay_max.map(|peak| peak.share),
    }
}

/// A slope over intended times as one over arrival times, which lie apart by what the latency grew: a target that takes
/// `C` of `rate` posts/s makes `rate / C - 1` of the former and `1 - C / rate` of the latter.
fn per_second_of_arrivals(slope: f64) -> f64 {
    // A latency that falls is no backlog: what it is per second of arrivals is of no use to anyone.
    if slope > 0.0 { slope / (1.0 + slope) } else { slope }
}

/// When a post left the generator's own hands: sent, or taken up to wait at the cap.
fn left_ns(record: &PostRecord) -> u64 {
    match (record.waited_at_cap, record.sent_ns) {
        (false, Some(sent_ns)) => sent_ns.saturating_sub(record.connect_ns),
        _ => record.taken_ns,
    }
}

/// First to last, if that is some time.
fn span(times_ns: &[u64]) -> Option<f64> {
    let span_ns = times_ns.last()?.saturating_sub(*times_ns.first()?);
    (span_ns > 0).then_some(span_ns as f64)
}

fn gaps(times_ns: &[u64]) -> impl Iterator<Item = u64> {
    times_ns.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))
}

fn arrival_a2(left_ns: &[u64], mean_ns: f64) -> Option<f64> {
    let waking_ns = GAP_TOLERANCE_NS.min(mean_ns * GAP_TOLERANCE_MAX);
    let tolerance_ns = waking_ns.max(mean_ns * GAP_TOLERANCE).max(1.0) as u64;
    a_squared(&mut exponential_uniforms(gaps(left_ns), mean_ns, tolerance_ns)?)
}

/// How much gaps differ from the scheduled ones, as high as they support it: p99 of 200 is the second worst of them.
fn gap_error(intended_ns: &[u64], left_ns: &[u64]) -> Option<GapError> {
    let mut errors: Vec<u64> = gaps(intended_ns).zip(gaps(left_ns)).map(|(a, b)| a.abs_diff(b)).collect();
    errors.sort_unstable();
    let (name, quantile) = highest_supported(errors.len() as f64);
    let rank = (errors.len() as f64 * quantile).ceil() as usize;
    let ns = *errors.get(rank.checked_sub(1)?)?;
    Some(GapError { quantile: name.to_owned(), ns })
}

/// The median delivery of every post that somebody was owed, by intended time; one that half of them did not
/// get in time counts as the deadline, which it was at least.
fn medians_by_offset(scenario: &Scenario, observations: &Observations) -> Vec<(u64, f64)> {
    let posts = observations.offsets_ns.iter().zip(&observations.pass.settled.times);
    posts
        .filter(|(_, times)| times.owed > 0)
        .map(|(&offset_ns, times)| (offset_ns, times.reach_50_ns.unwrap_or(scenario.deadline_ns) as f64))
        .collect()
}

/// The medians of `n` equal parts of the range.
fn medians_of(medians: &[(u64, f64)], range_ns: Range<u64>, n: usize) -> Vec<Option<f64>> {
    let since = |&(offset_ns, ns): &(u64, f64)| Some((offset_ns.checked_sub(range_ns.start)?, ns));
    trend::blocks(medians.iter().filter_map(since), range_ns.end - range_ns.start, n)
}

/// The medians of whole seconds, backwards from the end of the range.
fn windows(medians: &[(u64, f64)], range_ns: Range<u64>) -> Vec<Option<f64>> {
    let seconds = (range_ns.end - range_ns.start) / SECOND_NS;
    medians_of(medians, range_ns.end - seconds * SECOND_NS..range_ns.end, seconds as usize)
}

/// (greatest - least) / median of as many windows as belong together.
fn spread(windows: &[Option<f64>]) -> Option<f64> {
    let mut values: Vec<f64> = windows.iter().copied().collect::<Option<_>>()?;
    if values.len() < WINDOWS {
        return None;
    }
    let middle = median(&mut values)?;
    let greatest = values.iter().copied().fold(f64::MIN, f64::max);
    let least = values.iter().copied().fold(f64::MAX, f64::min);
    (middle > 0.0).then_some((greatest - least) / middle)
}

/// The delivery latency if every frame that shared a read had come as early as it can have.
fn earliest(observations: &Observations, beyond: u64) -> LatencySummary {
    let Observations { pass, engine, .. } = observations;
    let mut histogram = pass.delivery.total().clone();
    let mut moved = new_histogram();
    for step in engine.shared_reads.latest.iter_recorded() {
        let value_ns = step.value_iterated_to();
        // What nobody was owed in time is not among the deliveries.
        moved.saturating_record_n(value_ns, step.count_at_value().min(histogram.count_at(value_ns)));
    }
    histogram.subtract(&moved).expect("no bucket has less than was counted in it");
    histogram.add(&engine.shared_reads.earliest).expect("all latency histograms share their bounds");
    LatencySummary::new(&histogram, beyond, owed_posts(observations) as f64)
}

/// Judged posts with owed pairs: all deliveries of one post share its fate, so the post is the sample
/// (METHOD, section 5).
pub(super) fn owed_posts(observations: &Observations) -> u64 {
    let judged = observations.pass.settled.times.iter().skip(observations.first_judged as usize);
    judged.filter(|times| times.owed > 0).count() as u64
}

#[cfg(test)]
mod tests {
    use feedmark_core::schedule::{Schedule, Stage};
    use feedmark_reports::stats::anderson_darling::CRITICAL_1_PERCENT;

    use super::*;

    #[test]
    fn windows_are_whole_seconds_counted_from_the_end() {
        let medians: Vec<(u64, f64)> = (0..50).map(|i| (i * SECOND_NS / 10, i as f64)).collect();
        let found = windows(&medians, SECOND_NS / 2..4 * SECOND_NS);
        assert_eq!(found, [Some(14.5), Some(24.5), Some(34.5)]);
        assert_eq!(windows(&medians, 6 * SECOND_NS..7 * SECOND_NS), [None]);
        assert_eq!(windows(&medians, 0..SECOND_NS / 2), []);
    }

    #[test]
    fn a_spread_needs_every_window() {
        assert_eq!(spread(&[Some(9.0), Some(10.0), Some(12.0)]), Some(0.3));
        assert_eq!(spread(&[Some(9.0), None, Some(12.0)]), None);
        assert_eq!(spread(&[Some(9.0)]), None);
        assert_eq!(spread(&[Some(0.0), Some(0.0), Some(0.0)]), None);
    }

    #[test]
    fn waking_a_thread_keeps_the_law_and_ticks_do_not() {
        for rate_per_s in [100.0, 1_000.0, 10_000.0] {
            let stage = Stage::steady(rate_per_s, 10 * SECOND_NS);
            let intended_ns: Vec<u64> = Schedule::new(1, Arrivals::Poisson, vec![stage]).collect();
            let a2 = |left_ns: Vec<u64>| arrival_a2(&left_ns, 1e9 / rate_per_s).unwrap();
            let most_ns = GAP_TOLERANCE_NS.min(1e9 / rate_per_s * GAP_TOLERANCE_MAX) as u64;
            // Later by anything up to that, from post to post.
            let woken = intended_ns.iter().enumerate().map(|(i, ns)| ns + i as u64 * 7_919 % most_ns);
            assert!(a2(woken.collect()) < CRITICAL_1_PERCENT, "{rate_per_s}/s");
            let tick_ns = (0.5e9 / rate_per_s) as u64;
            let held = intended_ns.iter().map(|ns| ns.next_multiple_of(tick_ns));
            assert!(a2(held.collect()) > 2.0 * CRITICAL_1_PERCENT, "{rate_per_s}/s");
        }
    }

    #[test]
    fn gaps_are_compared_one_by_one() {
        let error = |name: &str, ns| Some(GapError { quantile: name.to_owned(), ns });
        let intended_ns: Vec<u64> = (0..1_001).map(|i| i * 1_000).collect();
        let mut left_ns: Vec<u64> = intended_ns.iter().map(|ns| ns + 50).collect();
        assert_eq!(gap_error(&intended_ns, &left_ns), error("p99", 0));
        for late in &mut left_ns[500..506] {
            *late += 30;
        }
        assert_eq!(gap_error(&intended_ns, &left_ns), error("p99", 0), "two gaps changed");
        for late in left_ns[100..200].iter_mut().step_by(2) {
            *late += 30;
        }
        assert_eq!(
            gap_error(&intended_ns, &left_ns),
            error("p99", 30),
            "fifty posts late change a hundred gaps"
        );
        assert_eq!(gap_error(&intended_ns[..201], &left_ns[..201]), error("p90", 30));
        assert_eq!(gap_error(&intended_ns[..81], &left_ns[..81]), error("p50", 0));
        assert_eq!(gap_error(&intended_ns[..1], &left_ns[..1]), None);
    }
}
