//! Puts the shards' settled posts together: one latency series, and the times of every post.
//!
//! Posts are taken up in the order of the schedule, each when every shard has settled it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use feedmark_core::ledger::SettledPost;
use feedmark_core::recorder::Recorder;
use feedmark_reports::metric::{Metric, Series};
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::stats::ols;
use feedmark_reports::threshold::Threshold;

use crate::mutant::{Mutant, active};
use crate::writers::PostRecord;

/// When a post reached its subscribers, over all shards, in ns since its intended time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PostTimes {
    /// Pairs owed.
    pub owed: u32,
    /// Pairs that arrived in time.
    pub delivered: u32,
    /// First arrival; 0 without any.
    pub first_ns: u64,
    /// Last arrival; 0 without any.
    pub last_ns: u64,
    /// When 10 % of the owed pairs had arrived; `None` if so many did not arrive in time.
    pub reach_10_ns: Option<u64>,
    /// When 25 % had.
    pub reach_25_ns: Option<u64>,
    /// Median arrival over the owed pairs; `None` if half of them did not arrive in time.
    pub reach_50_ns: Option<u64>,
    /// When 75 % of the owed pairs had arrived.
    pub reach_75_ns: Option<u64>,
    /// When 90 % of the owed pairs had arrived.
    pub reach_90_ns: Option<u64>,
    /// When 99 % of the owed pairs had arrived.
    pub reach_99_ns: Option<u64>,
    /// Least-squares ns per arrival rank; `None` of fewer than three arrivals.
    pub slope_ns_per_rank: Option<f64>,
}

impl PostTimes {
    /// Owed pairs that did not arrive in time.
    pub fn untimely(&self) -> u32 {
        self.owed - self.delivered
    }
}

/// What of a pass is judged, and by what.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// The first post whose latencies are recorded; those before it warm up.
    pub from: u32,
    /// The steady phase, since the start of the schedule.
    pub steady_ns: Range<u64>,
    /// What the posts are held against.
    pub thresholds: &'a [Threshold],
}

impl Judged<'_> {
    /// All posts, by nothing.
    pub const ALL: Self = Self { from: 0, steady_ns: 0..0, thresholds: &[] };
}

/// The posts that every shard has settled, by sequence.
#[derive(Debug, Default)]
pub struct SettledPosts {
    /// When each reached its subscribers.
    pub times: Vec<PostTimes>,
    /// For how long pairs were outstanding in the steady phase, from intended time to arrival, summed up over the pairs
    /// that arrived in time; those of the warm-up are among them.
    pub outstanding_ns: u128,
    /// Thresholds of delivery latency, whose limits can lie anywhere.
    limits: Vec<Threshold>,
    /// Deliveries within each of the limits, post by post.
    within: Vec<u32>,
}

impl SettledPosts {
    fn new(thresholds: &[Threshold]) -> Self {
        let of_deliveries =
            |threshold: &&Threshold| matches!(threshold.metric, Metric::Latency(Series::Delivery, _));
        let limits = thresholds.iter().filter(of_deliveries).copied().collect();
        Self { limits, ..Self::default() }
    }

    /// How far a post is a miss, from 0 to 1: the share of its owed pairs that the threshold has to do without. `None`
    /// if nothing of it was owed, or if `series` is not one of deliveries.
    pub fn miss(&self, threshold: &Threshold, series: Series, seq: usize) -> Option<f64> {
        let times = self.times.get(seq).filter(|times| times.owed > 0)?;
        let everyone = times.delivered == times.owed;
        let kept = match series {
            Series::Delivery => {
                let limit = self.limits.iter().position(|limit| limit == threshold)?;
                let within = self.within[seq * self.limits.len() + limit];
                return Some(f64::from(times.owed - within) / f64::from(times.owed));
            }
            Series::FirstDelivery => times.delivered > 0 && threshold.holds_ns(times.first_ns),
            Series::FullFanout => everyone && threshold.holds_ns(times.last_ns),
            Series::Spread => everyone && threshold.holds_ns(times.last_ns - times.first_ns),
            _ => return None,
        };
        Some(if kept { 0.0 } else { 1.0 })
    }

    fn push(&mut self, times: PostTimes, sorted_ns: &[u64]) {
        self.times.push(times);
        let within = |limit: &Threshold| sorted_ns.partition_point(|&ns| limit.holds_ns(ns)) as u32;
        self.within.extend(self.limits.iter().map(within));
    }
}

/// Collects one pass.
pub struct Collector {
    shards: usize,
    offsets_ns: Arc<[u64]>,
    first_judged: u32,
    steady_ns: Range<u64>,
    delivery: Recorder,
    settled: SettledPosts,
    /// Posts from `settled.times.len()` on that some shards have settled: how many, and what they said.
    pending: VecDeque<(usize, Vec<u64>, u32)>,
    /// For [`Collector::mistake_actual_for_intended`] alone.
    kept: Vec<Vec<u64>>,
}

impl Collector {
    /// Collects from this many shards.
    pub fn new(shards: usize, offsets_ns: Arc<[u64]>, judged: Judged<'_>) -> Self {
        Self {
            shards,
            offsets_ns,
            first_judged: judged.from,
            steady_ns: judged.steady_ns,
            delivery: Recorder::new(&new_histogram()),
            settled: SettledPosts::new(judged.thresholds),
            pending: VecDeque::new(),
            kept: Vec::new(),
        }
    }

    /// Takes what one shard settled.
    pub fn take(&mut self, settled: SettledPost) {
        let index = settled.seq as usize - self.settled.times.len();
        if index >= self.pending.len() {
            self.pending.resize_with(index + 1, Default::default);
        }
        let (shards, latencies_ns, owed) = &mut self.pending[index];
        *shards += 1;
        *owed += settled.owed;
        if latencies_ns.is_empty() {
            *latencies_ns = settled.latencies_ns;
        } else {
            latencies_ns.extend_from_slice(&settled.latencies_ns);
        }
        while self.pending.front().is_some_and(|(shards, ..)| *shards == self.shards) {
            if let Some((_, latencies_ns, owed)) = self.pending.pop_front() {
                self.record(latencies_ns, owed);
            }
        }
    }

    fn record(&mut self, mut latencies_ns: Vec<u64>, owed: u32) {
        let seq = self.settled.times.len();
        if seq >= self.first_judged as usize {
            let hidden = |ns: u64| active(Mutant::NonPositiveDropped) && ns < 1_000_000;
            for &latency_ns in latencies_ns.iter().filter(|&&ns| !hidden(ns)) {
                self.delivery.record(self.offsets_ns[seq], latency_ns);
            }
        }
        self.settled.outstanding_ns += self.outstanding_ns(self.offsets_ns[seq], &latencies_ns);
        latencies_ns.sort_unstable();
        if active(Mutant::ActualForIntended) {
            self.kept.push(latencies_ns.clone());
        }
        let reach = |share: f64| {
            let rank = (share * f64::from(owed)).ceil().max(1.0) as usize;
            latencies_ns.get(rank - 1).copied()
        };
        let by_rank = (0..).zip(&latencies_ns).map(|(rank, &ns)| (f64::from(rank), ns as f64));
        let times = PostTimes {
            owed,
            delivered: latencies_ns.len() as u32,
            first_ns: latencies_ns.first().copied().unwrap_or_default(),
            last_ns: latencies_ns.last().copied().unwrap_or_default(),
            reach_10_ns: reach(0.1),
            reach_25_ns: reach(0.25),
            reach_50_ns: reach(0.5),
            reach_75_ns: reach(0.75),
            reach_90_ns: reach(0.9),
            reach_99_ns: reach(0.99),
            slope_ns_per_rank: ols::line(by_rank).map(|line| line.slope),
        };
        self.settled.push(times, &latencies_ns);
    }

    /// For how long the pairs of a post were outstanding in the steady phase.
    fn outstanding_ns(&self, offset_ns: u64, latencies_ns: &[u64]) -> u128 {
        let from_ns = offset_ns.max(self.steady_ns.start);
        let until_ns = |latency_ns: u64| (offset_ns + latency_ns).min(self.steady_ns.end);
        latencies_ns.iter().map(|&ns| u128::from(until_ns(ns).saturating_sub(from_ns))).sum()
    }

    /// Latencies count from the actual sends, if that mutant is active.
    pub fn mistake_actual_for_intended(&mut self, records: &[PostRecord], base_ns: u64) {
        if !active(Mutant::ActualForIntended) {
            return;
        }
        self.delivery = Recorder::new(&new_histogram());
        for record in records.iter().filter(|record| record.seq >= self.first_judged) {
            let offset_ns = self.offsets_ns[record.seq as usize];
            let lag_ns = record.sent_ns.map_or(0, |sent_ns| sent_ns.saturating_sub(base_ns + offset_ns));
            for latency_ns in self.kept.get(record.seq as usize).into_iter().flatten() {
                self.delivery.record(offset_ns, latency_ns.saturating_sub(lag_ns).max(1));
            }
        }
    }

    /// What every shard has settled so far.
    pub fn settled(&self) -> &SettledPosts {
        &self.settled
    }

    /// Posts that every shard has settled, and the series of their deliveries.
    pub fn finish(self) -> (SettledPosts, Recorder) {
        (self.settled, self.delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(seq: u32, latencies_ns: &[u64], owed: u32) -> SettledPost {
        SettledPost { seq, owed, latencies_ns: latencies_ns.to_vec() }
    }

    #[test]
    fn a_post_is_taken_up_when_every_shard_has_settled_it() {
        let mut collector =
            Collector::new(2, vec![0, 500_000_000, 1_500_000_000].into(), Judged { from: 1, ..Judged::ALL });
        collector.take(settled(0, &[10], 1));
        collector.take(settled(1, &[30, 20], 2));
        collector.take(settled(2, &[5], 1));
        collector.take(settled(0, &[7], 2));
        collector.take(settled(1, &[], 1));
        let (SettledPosts { times: posts, .. }, mut delivery) = collector.finish();
        let expected = [
            PostTimes {
                owed: 3,
                delivered: 2,
                first_ns: 7,
                last_ns: 10,
                reach_10_ns: Some(7),
                reach_25_ns: Some(7),
                reach_50_ns: Some(10),
                ..PostTimes::default()
            },
            PostTimes {
                owed: 3,
                delivered: 2,
                first_ns: 20,
                last_ns: 30,
                reach_10_ns: Some(20),
                reach_25_ns: Some(20),
                reach_50_ns: Some(30),
                ..PostTimes::default()
            },
        ];
        assert_eq!(posts, expected);
        assert_eq!(delivery.total().len(), 2);
        assert_eq!(delivery.intervals().map(|(index, _)| index).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_post_is_described_by_its_arrivals_in_order() {
        let mut collector = Collector::new(1, vec![0].into(), Judged::ALL);
        let latencies_ns: Vec<u64> = (1..=200).rev().map(|rank| 1_000 + 20 * rank).collect();
        collector.take(settled(0, &latencies_ns, 200));
        let (SettledPosts { times: posts, .. }, _) = collector.finish();
        assert_eq!((posts[0].first_ns, posts[0].last_ns), (1_020, 5_000));
        let reach = (posts[0].reach_50_ns, posts[0].reach_90_ns, posts[0].reach_99_ns);
        assert_eq!(reach, (Some(3_000), Some(4_600), Some(4_960)));
        let reach = (posts[0].reach_10_ns, posts[0].reach_25_ns, posts[0].reach_75_ns);
        assert_eq!(reach, (Some(1_400), Some(2_000), Some(4_000)));
        assert!((posts[0].slope_ns_per_rank.unwrap() - 20.0).abs() < 1e-9);
    }

    /// Of a pair that straddles an end of the steady phase, only what lies in it counts.
    #[test]
    fn pairs_are_outstanding_from_the_intended_time_to_their_arrival() {
        let judged = Judged { from: 1, steady_ns: 100..200, thresholds: &[] };
        let mut collector = Collector::new(1, vec![50, 120, 190, 300].into(), judged);
        for (seq, latencies_ns) in [(0, [10, 80]), (1, [5, 30]), (2, [4, 1_000]), (3, [7, 7])] {
            collector.take(settled(seq, &latencies_ns, 2));
        }
        assert_eq!(collector.settled().outstanding_ns, 30 + 35 + 14);
    }

    #[test]
    fn a_post_is_a_miss_by_what_the_limit_allows() {
        let limits = ["delivery p99 < 20ns", "delivery p50 <= 20ns", "first_delivery p50 <= 10ns"];
        let more = ["full_fanout p50 < 1ms", "spread p50 < 20ns", "service_time p50 < 1ms"];
        let thresholds: Vec<Threshold> =
            limits.iter().chain(&more).map(|text| text.parse().unwrap()).collect();
        let mut collector =
            Collector::new(1, vec![0, 1, 2].into(), Judged { thresholds: &thresholds, ..Judged::ALL });
        collector.take(settled(0, &[30, 10, 20], 4));
        collector.take(settled(1, &[19, 10], 2));
        collector.take(settled(2, &[], 0));
        let misses = |seq| {
            let of = |threshold: &Threshold| match threshold.metric {
                Metric::Latency(series, _) => collector.settled().miss(threshold, series, seq),
                _ => unreachable!(),
            };
            thresholds.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(misses(0), [Some(0.75), Some(0.5), Some(0.0), Some(1.0), Some(1.0), None]);
        assert_eq!(misses(1), [Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0), None]);
        assert_eq!(misses(2), [None; 6]);
    }
}
