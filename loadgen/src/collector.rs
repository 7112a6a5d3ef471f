//! Puts the shards' settled posts together: one latency series, and the times of every post.
//!
//! Posts are taken up in the order of the schedule, each when every shard has settled it.

use std::collections::VecDeque;
use std::sync::Arc;

use feedmark_core::ledger::SettledPost;
use feedmark_core::recorder::Recorder;
use feedmark_reports::quantile::new_histogram;

/// When a post reached its subscribers, over all shards, in ns since its intended time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostTimes {
    /// Pairs owed.
    pub owed: u32,
    /// Pairs that arrived in time.
    pub delivered: u32,
    /// First arrival; 0 without any.
    pub first_ns: u64,
    /// Last arrival; 0 without any.
    pub last_ns: u64,
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
                self.record(&latencies_ns, owed);
            }
        }
    }

    fn record(&mut self, latencies_ns: &[u64], owed: u32) {
        let seq = self.posts.len();
        if seq >= self.first_judged as usize {
            for &latency_ns in latencies_ns {
                self.delivery.record(self.offsets_ns[seq], latency_ns);
            }
        }
        self.posts.push(PostTimes {
            owed,
            delivered: latencies_ns.len() as u32,
            first_ns: latencies_ns.iter().copied().min().unwrap_or_default(),
            last_ns: latencies_ns.iter().copied().max().unwrap_or_default(),
        });
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
        let times = |owed, delivered, first_ns, last_ns| PostTimes { owed, delivered, first_ns, last_ns };
        assert_eq!(posts, [times(3, 2, 7, 10), times(3, 2, 20, 30)]);
        assert_eq!(delivery.total().len(), 2);
        assert_eq!(delivery.intervals().map(|(index, _)| index).collect::<Vec<_>>(), [0]);
    }
}
