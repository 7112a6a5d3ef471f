//! Puts the shards' settled posts together: one latency series, and the times of every post.
//!
//! Posts are taken up in the order of the schedule, each when every shard has settled it.

use std::collections::VecDeque;
use std::sync::Arc;

use feedmark_core::ledger::SettledPost;
use feedmark_core::recorder::Recorder;
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::stats::ols;

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
    /// Median arrival over the owed pairs; `None` if half of them did not arrive in time.
    pub reach_50_ns: Option<u64>,
    /// When 90 % of the owed pairs had arrived.
    pub reach_90_ns: Option<u64>,
    /// When 99 % of the owed pairs had arrived.
    pub reach_99_ns: Option<u64>,
    /// Least-squares ns per arrival rank; `None` of fewer than three arrivals.
    pub slope_ns_per_rank: Option<f64>,
}

/// Collects one pass.
pub struct Collector {
    shards: usize,
    offsets_ns: Arc<[u64]>,
    first_judged: u32,
    delivery: Recorder,
    posts: Vec<PostTimes>,
    /// Posts from `posts.len()` on that some shards have settled: how many, and what they said.
    pending: VecDeque<(usize, Vec<u64>, u32)>,
    /// For [`Collector::mistake_actual_for_intended`] alone.
    kept: Vec<Vec<u64>>,
}

impl Collector {
    /// Collects from this many shards; latencies are recorded from post `first_judged` on.
    pub fn new(shards: usize, offsets_ns: Arc<[u64]>, first_judged: u32) -> Self {
        Self {
            shards,
            offsets_ns,
            first_judged,
            delivery: Recorder::new(&new_histogram()),
            posts: Vec::new(),
            pending: VecDeque::new(),
            kept: Vec::new(),
        }
    }

    /// Takes what one shard settled.
    pub fn take(&mut self, settled: SettledPost) {
        let index = settled.seq as usize - self.posts.len();
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
        let seq = self.posts.len();
        if seq >= self.first_judged as usize {
            let hidden = |ns: u64| active(Mutant::NonPositiveDropped) && ns < 1_000_000;
            for &latency_ns in latencies_ns.iter().filter(|&&ns| !hidden(ns)) {
                self.delivery.record(self.offsets_ns[seq], latency_ns);
            }
        }
        latencies_ns.sort_unstable();
        if active(Mutant::ActualForIntended) {
            self.kept.push(latencies_ns.clone());
        }
        let reach = |share: f64| {
            let rank = (share * f64::from(owed)).ceil().max(1.0) as usize;
            latencies_ns.get(rank - 1).copied()
        };
        let by_rank = (0..).zip(&latencies_ns).map(|(rank, &ns)| (f64::from(rank), ns as f64));
        self.posts.push(PostTimes {
            owed,
            delivered: latencies_ns.len() as u32,
            first_ns: latencies_ns.first().copied().unwrap_or_default(),
            last_ns: latencies_ns.last().copied().unwrap_or_default(),
            reach_50_ns: reach(0.5),
            reach_90_ns: reach(0.9),
            reach_99_ns: reach(0.99),
            slope_ns_per_rank: ols::line(by_rank).map(|line| line.slope),
        });
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

    /// Posts that every shard has settled, and the series of their deliveries.
    pub fn finish(self) -> (Vec<PostTimes>, Recorder) {
        (self.posts, self.delivery)
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
        let mut collector = Collector::new(2, vec![0, 500_000_000, 1_500_000_000].into(), 1);
        collector.take(settled(0, &[10], 1));
        collector.take(settled(1, &[30, 20], 2));
        collector.take(settled(2, &[5], 1));
        collector.take(settled(0, &[7], 2));
        collector.take(settled(1, &[], 1));
        let (posts, mut delivery) = collector.finish();
        let expected = [
            PostTimes {
                owed: 3,
                delivered: 2,
                first_ns: 7,
                last_ns: 10,
                reach_50_ns: Some(10),
                ..PostTimes::default()
            },
            PostTimes {
                owed: 3,
                delivered: 2,
                first_ns: 20,
                last_ns: 30,
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
        let mut collector = Collector::new(1, vec![0].into(), 0);
        let latencies_ns: Vec<u64> = (1..=200).rev().map(|rank| 1_000 + 20 * rank).collect();
        collector.take(settled(0, &latencies_ns, 200));
        let (posts, _) = collector.finish();
        assert_eq!((posts[0].first_ns, posts[0].last_ns), (1_020, 5_000));
        let reach = (posts[0].reach_50_ns, posts[0].reach_90_ns, posts[0].reach_99_ns);
        assert_eq!(reach, (Some(3_000), Some(4_600), Some(4_960)));
        assert!((posts[0].slope_ns_per_rank.unwrap() - 20.0).abs() < 1e-9);
    }
}
