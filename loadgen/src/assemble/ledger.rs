//! What became of every owed pair: the shards' ledgers added up, and a cause for each pair that is missing.

use std::collections::BTreeMap;

use feedmark_core::ledger::{Counts, Misses};
use feedmark_reports::run_result::{Deliveries, SubscriberMisses};

use super::Observations;
use crate::engine::EngineReport;
use crate::writers::{PostError, PostRecord};

/// Subscribers named in the result because they missed most.
const WORST_SUBSCRIBERS: usize = 10;

/// The ledger of all shards together.
pub(super) struct LedgerOfRun {
    /// By sequence.
    pub(super) counts: Vec<Counts>,
    pub(super) warmup: Deliveries,
    pub(super) steady: Deliveries,
}

impl LedgerOfRun {
    /// # Panics
    /// If it does not close: `owed = delivered + late + missing`, `missing` = sum of its causes.
    pub(super) fn new(observations: &Observations) -> Self {
        let Observations { pass, engine, first_judged, .. } = observations;
        let mut counts = counts_by_post(engine);
        // Shards that were stopped at once may have settled one post more or less.
        counts.truncate(pass.settled.times.len());
        let judged = (*first_judged as usize).min(counts.len());
        let failures = failures_by_seq(&pass.records);
        let refused = refused_by_seq(&pass.records);
        let warmup = sum_deliveries(&counts[..judged], 0, &failures, &refused);
        let mut steady = sum_deliveries(&counts[judged..], judged, &failures, &refused);
        let foreign: u64 = engine.ledgers.iter().map(|ledger| ledger.foreign).sum();
        steady.unexpected += foreign;
        steady.unexpected_other_run = foreign;
        add_misses(&mut steady, engine);
        Self { counts, warmup, steady }
    }
}

/// Counts of every settled post over all shards.
fn counts_by_post(engine: &EngineReport) -> Vec<Counts> {
    let posts = engine.ledgers.iter().map(|ledger| ledger.posts.len()).max().unwrap_or(0);
    let mut sums = vec![Counts::default(); posts];
    for ledger in &engine.ledgers {
        for (sum, counts) in sums.iter_mut().zip(&ledger.posts) {
            sum.owed += counts.owed;
            sum.delivered += counts.delivered;
            sum.late += counts.late;
            sum.missing += counts.missing;
            sum.duplicate += counts.duplicate;
            sum.reordered += counts.reordered;
            sum.unexpected += counts.unexpected;
            sum.unread += counts.unread;
            sum.not_owed.never_connected += counts.not_owed.never_connected;
            sum.not_owed.connected_late += counts.not_owed.connected_late;
            sum.not_owed.connection_lost += counts.not_owed.connection_lost;
        }
    }
    sums
}

/// Why each post failed that did.
pub(super) fn failures_by_seq(records: &[PostRecord]) -> BTreeMap<u32, &PostError> {
    records.iter().filter_map(|record| Some((record.seq, record.failure.as_ref()?))).collect()
}

/// The posts of which the target refused deliveries for a full buffer, and how many.
pub(super) fn refused_by_seq(records: &[PostRecord]) -> BTreeMap<u32, u64> {
    let refused = records.iter().filter(|record| record.refused_by_full_buffer > 0);
    refused.map(|record| (record.seq, record.refused_by_full_buffer)).collect()
}

/// The cause of the pairs that a failed post leaves missing.
pub(super) fn cause_of_failure(failure: &PostError) -> &'static str {
    match failure {
        PostError::Status { .. } => "post_refused",
        PostError::NotSent => "post_not_sent",
        _ => "post_failed",
    }
}

/// Cause of pairs that the target says it refused.
pub(super) const FULL_BUFFER: &str = "refused_by_full_buffer";
/// Cause of pairs that our own reader had not read in time.
pub(super) const GENERATOR_BUSY: &str = "generator_busy";
/// Nobody knows.
pub(super) const UNKNOWN: &str = "unknown";

/// What the target refused of a post explains as many of its misses that nothing else explains.
fn sum_deliveries(
    counts: &[Counts],
    first_seq: usize,
    failures: &BTreeMap<u32, &PostError>,
    refused: &BTreeMap<u32, u64>,
) -> Deliveries {
    let mut sum = Deliveries::default();
    let mut causes = BTreeMap::<&str, u64>::new();
    let mut reasons = BTreeMap::<&str, u64>::new();
    for (seq, post) in (first_seq..).zip(counts) {
        sum.owed += u64::from(post.owed);
        sum.delivered += u64::from(post.delivered);
        sum.late += u64::from(post.late);
        sum.missing += u64::from(post.missing);
        sum.duplicate += u64::from(post.duplicate);
        sum.reordered += u64::from(post.reordered);
        sum.unexpected += u64::from(post.unexpected);
        sum.not_owed += u64::from(post.not_owed.all());
        for (reason, pairs) in [
            ("never_connected", post.not_owed.never_connected),
            ("connected_late", post.not_owed.connected_late),
            ("connection_lost", post.not_owed.connection_lost),
        ] {
            *reasons.entry(reason).or_default() += u64::from(pairs);
        }
        match failures.get(&(seq as u32)) {
            Some(failure) => *causes.entry(cause_of_failure(failure)).or_default() += u64::from(post.missing),
            None => {
                *causes.entry(GENERATOR_BUSY).or_default() += u64::from(post.unread);
                let unexplained = u64::from(post.missing - post.unread);
                let explained = refused.get(&(seq as u32)).map_or(0, |n| unexplained.min(*n));
                *causes.entry(FULL_BUFFER).or_default() += explained;
                *causes.entry(UNKNOWN).or_default() += unexplained - explained;
            }
        }
    }
    sum.missing_by_cause = named(causes);
    sum.not_owed_by_cause = named(reasons);
    sum.residual = sum.owed as i64 - (sum.delivered + sum.late + sum.missing) as i64;
    assert_eq!(sum.residual, 0, "the ledger does not close");
    assert_eq!(sum.missing, sum.missing_by_cause.values().sum::<u64>(), "missing pairs without a cause");
    assert_eq!(sum.not_owed, sum.not_owed_by_cause.values().sum::<u64>(), "pairs not owed without a cause");
    sum
}

/// What there is none of is not named.
fn named(counts: BTreeMap<&str, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}

/// Who missed what, worst first. Subscribers are numbered through the shards.
fn add_misses(deliveries: &mut Deliveries, engine: &EngineReport) {
    let all: Vec<&Misses> = engine.ledgers.iter().flat_map(|ledger| &ledger.misses).collect();
    let mut worst: Vec<SubscriberMisses> = (0..)
        .zip(all)
        .filter(|(_, misses)| misses.missing + misses.late > 0)
        .map(|(subscriber, misses)| SubscriberMisses {
            subscriber,
            missing: u64::from(misses.missing),
            late: u64::from(misses.late),
        })
        .collect();
    deliveries.subscribers_with_misses = worst.len() as u64;
    worst.sort_by_key(|s| (std::cmp::Reverse((s.missing, s.late)), s.subscriber));
    worst.truncate(WORST_SUBSCRIBERS);
    deliveries.worst_subscribers = worst;
}
