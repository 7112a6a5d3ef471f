//! Stalls: stretches in which the target passed nothing on.

use std::cmp::Reverse;

use crate::post_row::{PostPhase, PostRow};

/// A first delivery that took no longer than this is none.
const STALL_NS_MIN: u64 = 100_000_000;
/// Nor is one that took no more than this many times the median one.
const STALL_RATIO_MIN: u64 = 10;

/// A stretch in which posts were due and nobody got any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stall {
    /// Intended time of its first post.
    pub(super) from_ns: u64,
    /// When the first delivery of the last of them came.
    pub(super) to_ns: u64,
    /// Posts that waited.
    pub(super) posts: u64,
}

/// The stalls of a run, in order: the times from each intended time to the first delivery where that took at least
/// 100 ms and ten times the median, those that overlap put together. A post that nobody got is a loss, not a stall.
pub(super) fn stalls(posts: &[PostRow]) -> Vec<Stall> {
    let judged = || posts.iter().filter(|post| post.phase == PostPhase::Steady);
    let mut firsts: Vec<u64> = judged().filter_map(|post| post.first_latency_ns).collect();
    firsts.sort_unstable();
    let Some(median_ns) = firsts.get(firsts.len() / 2) else { return Vec::new() };
    let least_ns = STALL_NS_MIN.max(median_ns.saturating_mul(STALL_RATIO_MIN));
    let mut stalls: Vec<Stall> = Vec::new();
    for post in judged() {
        let Some(first_ns) = post.first_latency_ns.filter(|ns| *ns >= least_ns) else { continue };
        let (from_ns, to_ns) = (post.intended_ns, post.intended_ns.saturating_add(first_ns));
        match stalls.last_mut().filter(|stall| from_ns <= stall.to_ns) {
            Some(stall) => {
                stall.to_ns = stall.to_ns.max(to_ns);
                stall.posts += 1;
            }
            None => stalls.push(Stall { from_ns, to_ns, posts: 1 }),
        }
    }
    stalls
}

/// The longest of them, in order of time.
pub(super) fn longest(stalls: &[Stall], most: usize) -> Vec<&Stall> {
    let mut longest: Vec<&Stall> = stalls.iter().collect();
    longest.sort_by_key(|stall| Reverse(stall.to_ns - stall.from_ns));
    longest.truncate(most);
    longest.sort_by_key(|stall| stall.from_ns);
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::tests::post;

    const MS: u64 = 1_000_000;

    #[test]
    fn posts_that_wait_for_the_same_moment_are_one_stall() {
        let with = |seq, intended_ms: u64, first_ms: u64| PostRow {
            first_latency_ns: Some(first_ms * MS),
            ..post(seq, intended_ms * MS)
        };
        let mut posts: Vec<PostRow> = (0..20).map(|seq| with(seq, 10 * u64::from(seq), 2)).collect();
        assert_eq!(stalls(&posts), []);
        posts.extend([with(20, 1_000, 900), with(21, 1_500, 400), with(22, 1_950, 2), with(23, 3_000, 150)]);
        let expected = [(1_000, 1_900, 2), (3_000, 3_150, 1)].map(|(from, to, posts)| Stall {
            from_ns: from * MS,
            to_ns: to * MS,
            posts,
        });
        assert_eq!(stalls(&posts), expected);
        // A target that takes half a second for everything does not stand still.
        let slow: Vec<PostRow> = (0..20).map(|seq| with(seq, 100 * u64::from(seq), 500)).collect();
        assert_eq!(stalls(&slow), []);
    }

    #[test]
    fn the_longest_are_in_order_of_time() {
        let stall = |from_ns, to_ns| Stall { from_ns, to_ns, posts: 1 };
        let all = [stall(0, 9), stall(10, 12), stall(20, 24), stall(30, 37)];
        assert_eq!(longest(&all, 3), [&all[0], &all[2], &all[3]]);
        assert_eq!(longest(&all, 9).len(), 4);
    }
}
