//! The arrival schedule: the intended time of every post, fixed before the run starts.
//!
//! A pure function of (seed, arrival law, stages): the same three give the same nanoseconds on every
//! machine (ChaCha8 for the random stream, `libm` for the logarithm). Nothing here knows a clock,
//! and nothing here is ever re-based: a late post keeps its intended time.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::SECOND_NS;

/// Most posts that one schedule may hold (8 bytes each).
pub const POSTS_MAX: usize = 10_000_000;

/// How intended times follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// A metronome: post `k` at `k / rate`, computed from the index, so that nothing accumulates.
    Constant,
    /// Independent posters: exponential gaps of mean `1 / rate`.
    Poisson,
}

/// A stretch of time over which the rate goes linearly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Posts per second at its start.
    pub start_rate_per_s: f64,
    /// Posts per second at its end; equal to the start's for a steady stage.
    pub end_rate_per_s: f64,
    /// Its length.
    pub duration_ns: u64,
}

impl Stage {
    /// A stage of one rate.
    pub const fn steady(rate_per_s: f64, duration_ns: u64) -> Self {
        Self { start_rate_per_s: rate_per_s, end_rate_per_s: rate_per_s, duration_ns }
    }

    /// Posts expected over the whole stage.
    fn expected(&self) -> f64 {
        (self.start_rate_per_s + self.end_rate_per_s) / 2.0 * self.duration_s()
    }

    fn duration_s(&self) -> f64 {
        self.duration_ns as f64 / SECOND_NS as f64
    }

    /// The time at which `posts` are expected to have been sent, `0 <= posts <= expected`.
    ///
    /// Inverts `posts = r0 t + (r1 - r0) t^2 / 2T` in the form that keeps its digits when the rate
    /// hardly changes: `t = 2 posts / (r0 + sqrt(r0^2 + 2 (r1 - r0) posts / T))`.
    fn time_of_ns(&self, posts: f64) -> u64 {
        if posts <= 0.0 {
            return 0;
        }
        let slope = (self.end_rate_per_s - self.start_rate_per_s) / self.duration_s();
        let root = libm::sqrt((self.start_rate_per_s * self.start_rate_per_s + 2.0 * slope * posts).max(0.0));
        let seconds = 2.0 * posts / (self.start_rate_per_s + root);
        (seconds * SECOND_NS as f64).round() as u64
    }
}

/// Intended times in ns since the start of the schedule, increasing, one per post.
///
/// Arrivals are generated in operational time, where posts come at rate 1, and mapped through the
/// inverse of the expected number of posts: constant, Poisson and ramp differ in nothing else
/// (time rescaling; Cinlar, Introduction to Stochastic Processes, 1975).
pub struct Schedule {
    law: Law,
    stages: std::vec::IntoIter<Stage>,
    stage: Option<Stage>,
    stage_start_ns: u64,
    /// Operational time at the start of the stage.
    stage_start_posts: f64,
    /// Operational time of the next post.
    next_posts: f64,
}

enum Law {
    Constant { index: u64 },
    Poisson { rng: Box<ChaCha8Rng>, at: f64 },
}

impl Law {
    /// Operational time of the next post.
    fn next(&mut self) -> f64 {
        match self {
            Self::Constant { index } => {
                *index += 1;
                (*index - 1) as f64
            }
            Self::Poisson { rng, at } => {
                // 53 random bits in (0, 1]: the logarithm is finite.
                let uniform = ((rng.random::<u64>() >> 11) + 1) as f64 / (1u64 << 53) as f64;
                *at -= libm::log(uniform);
                *at
            }
        }
    }
}

impl Schedule {
    /// The schedule of these stages, one after the other.
    pub fn new(seed: u64, arrivals: Arrivals, stages: Vec<Stage>) -> Self {
        let mut law = match arrivals {
            Arrivals::Constant => Law::Constant { index: 0 },
            Arrivals::Poisson => Law::Poisson { rng: Box::new(ChaCha8Rng::seed_from_u64(seed)), at: 0.0 },
        };
        let next_posts = law.next();
        let mut stages = stages.into_iter();
        let stage = stages.next();
        Self { law, stages, stage, stage_start_ns: 0, stage_start_posts: 0.0, next_posts }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let stage = self.stage?;
            let into_stage = self.next_posts - self.stage_start_posts;
            if into_stage < stage.expected() {
                self.next_posts = self.law.next();
                return Some(self.stage_start_ns + stage.time_of_ns(into_stage).min(stage.duration_ns));
            }
            self.stage_start_ns += stage.duration_ns;
            self.stage_start_posts += stage.expected();
            self.stage = self.stages.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn law() -> impl Strategy<Value = Arrivals> {
        prop_oneof![Just(Arrivals::Constant), Just(Arrivals::Poisson)]
    }

    fn stage() -> impl Strategy<Value = Stage> {
        (0.0..500.0, 0.0..500.0, 1..20u64).prop_map(|(start, end, seconds)| Stage {
            start_rate_per_s: start,
            end_rate_per_s: end,
            duration_ns: seconds * SECOND_NS,
        })
    }

    proptest! {
        /// Intended times never go back and stay inside the stages.
        #[test]
        fn arrivals_increase(seed: u64, law in law(), stages in prop::collection::vec(stage(), 1..4)) {
            let end_ns: u64 = stages.iter().map(|s| s.duration_ns).sum();
            let times: Vec<u64> = Schedule::new(seed, law, stages).collect();
            prop_assert!(times.is_sorted());
            prop_assert!(times.last().is_none_or(|&last| last <= end_ns));
        }

        /// Any prefix of a constant schedule is within one post of rate x time.
        #[test]
        fn constant_prefixes_are_within_one(rate in 0.1..2000.0, seconds in 1..60u64) {
            let stages = vec![Stage::steady(rate, seconds * SECOND_NS)];
            for (index, at_ns) in Schedule::new(0, Arrivals::Constant, stages).enumerate() {
                let expected = rate * at_ns as f64 / SECOND_NS as f64;
                prop_assert!((index as f64 - expected).abs() <= 1.0);
            }
        }

        /// Same seed, same bytes; another seed, other bytes.
        #[test]
        fn seeds_decide(seed: u64) {
            let times = |seed| -> Vec<u64> {
                Schedule::new(seed, Arrivals::Poisson, vec![Stage::steady(50.0, SECOND_NS)]).collect()
            };
            prop_assert_eq!(times(seed), times(seed));
            prop_assert_ne!(times(seed), times(seed.wrapping_add(1)));
        }
    }

    /// The same schedule on every machine, forever: a changed fingerprint breaks every comparison
    /// between runs of different versions.
    #[test]
    fn the_fingerprint_of_seed_1_stays() {
        let times: Vec<u64> =
            Schedule::new(1, Arrivals::Poisson, vec![Stage::steady(20.0, 30 * SECOND_NS)]).collect();
        assert_eq!((times.len(), &times[..4]), (FINGERPRINT.0, &FINGERPRINT.1[..]));
    }

    const FINGERPRINT: (usize, [u64; 4]) = (601, [45_504_790, 171_551_977, 197_380_735, 273_240_862]);

    #[test]
    fn a_constant_schedule_does_not_drift() {
        let hour = vec![Stage::steady(3.0, 3600 * SECOND_NS)];
        let times: Vec<u64> = Schedule::new(0, Arrivals::Constant, hour).collect();
        assert_eq!(times.len(), 10_800);
        assert_eq!(times[3 * 1800], 1800 * SECOND_NS);
    }

    #[test]
    fn a_ramp_sends_the_area_under_it() {
        let ramp = Stage { start_rate_per_s: 0.0, end_rate_per_s: 100.0, duration_ns: 10 * SECOND_NS };
        let times: Vec<u64> = Schedule::new(0, Arrivals::Constant, vec![ramp]).collect();
        assert_eq!(times.len(), 500);
        // Half of the area lies beyond 1 / sqrt(2) of the time.
        assert_eq!(times[250], 7_071_067_812);
    }
}
