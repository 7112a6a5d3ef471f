//! How many independent samples the deliveries of a run are worth.
//!
//! Deliveries share the fate of their post, and posts that of the second they fall into, so their
//! number says little. Taking the second as the cluster, the design effect at the 0.99 quantile is
//! the variance of the share of slow deliveries between seconds over what independent deliveries
//! would show, `deff = sum n_b (p_b - p)^2 / ((B - 1) p (1 - p))`, and the effective samples are
//! `N / deff` (Kish, Survey Sampling, 1965, chapter 5). If all slow deliveries fall into few seconds,
//! that is few samples; if every second has its share, it is many.

use feedmark_core::recorder::Recorder;
use feedmark_reports::Quantile;
use feedmark_reports::quantile::value_at;

/// The quantile whose clustering decides.
const AT: f64 = 0.99;
/// Fewer blocks say nothing about the variance between them: then every post counts as one sample.
const BLOCKS_MIN: usize = 10;

/// Effective samples of a delivery series to which `beyond` infinities belong, made by `posts` posts.
pub(super) fn samples(delivery: &mut Recorder, beyond: u64, posts: usize) -> f64 {
    let total = delivery.total().len() + beyond;
    let threshold_ns = match value_at(delivery.total(), beyond, AT) {
        Quantile::Ns(ns) => ns,
        // The tail is lost or late deliveries; which second they fell into is not in the series.
        Quantile::BeyondDeadline | Quantile::NotAvailable => return posts as f64,
    };
    let blocks: Vec<(f64, f64)> = delivery
        .intervals()
        .map(|(_, histogram)| {
            let fast = histogram.count_between(0, threshold_ns);
            (histogram.len() as f64, (histogram.len() - fast) as f64)
        })
        .collect();
    from_blocks(&blocks).map_or(posts as f64, |deff| (total as f64 / deff).max(1.0))
}

/// The design effect of blocks of (deliveries, slow ones); `None` if there are too few to say.
fn from_blocks(blocks: &[(f64, f64)]) -> Option<f64> {
    let all: f64 = blocks.iter().map(|(count, _)| count).sum();
    let slow: f64 = blocks.iter().map(|(_, slow)| slow).sum();
    let share = slow / all;
    if blocks.len() < BLOCKS_MIN || share <= 0.0 || share >= 1.0 {
        return None;
    }
    let between: f64 = blocks.iter().map(|(count, slow)| count * (slow / count - share).powi(2)).sum::<f64>();
    // Less clustered than chance is chance too: no sample counts more than once.
    Some((between / (blocks.len() - 1) as f64 / (share * (1.0 - share))).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spread_slowness_counts_every_delivery() {
        assert_eq!(from_blocks(&[(1000.0, 10.0); 30]), Some(1.0));
    }

    #[test]
    fn slowness_in_one_second_counts_as_few_samples() {
        let mut blocks = [(1000.0, 0.0); 30];
        blocks[7].1 = 300.0;
        let deff = from_blocks(&blocks).unwrap();
        let effective = 30_000.0 / deff;
        assert!(effective * 0.01 < 10.0, "{effective}");
    }

    #[test]
    fn few_seconds_say_nothing() {
        assert_eq!(from_blocks(&[(1000.0, 10.0); 9]), None);
        assert_eq!(from_blocks(&[(1000.0, 0.0); 30]), None);
    }
}
