//! The run in rows, for people's own tools: one per post, and one per pair that did not arrive in time.

use std::net::SocketAddr;

use feedmark_core::ledger::LedgerReport;
use feedmark_reports::post_row::{PostPhase, PostRow};
use serde::Serialize;

use super::Observations;
use super::ledger::{
    FULL_BUFFER, GENERATOR_BUSY, LedgerOfRun, UNKNOWN, cause_of_failure, failures_by_seq, refused_by_seq,
};

/// All rows of a run.
#[derive(Debug)]
pub struct Rows {
    /// Every post, warm-up included, by sequence.
    pub posts: Vec<PostRow>,
    /// Late and missing pairs of the steady phase, by post.
    pub misses: Vec<MissRow>,
}

/// One owed pair that was late or never came.
#[derive(Debug, Serialize)]
pub struct MissRow {
    seq: u32,
    intended_ns: u64,
    /// Index of the subscriber, from 0, and its own address: what the target's log calls the peer.
    subscriber: u32,
    address: Option<SocketAddr>,
    outcome: &'static str,
    cause: &'static str,
}

pub(super) fn rows(observations: &Observations, ledger: &LedgerOfRun) -> Rows {
    Rows { posts: post_rows(observations, ledger), misses: miss_rows(observations, ledger) }
}

fn post_rows(observations: &Observations, ledger: &LedgerOfRun) -> Vec<PostRow> {
    let Observations { pass, offsets_ns, first_judged, .. } = observations;
    let row = |record: &crate::writers::PostRecord| {
        let seq = record.seq as usize;
        let times = pass.settled.times.get(seq).copied().unwrap_or_default();
        let counts = ledger.counts.get(seq).copied().unwrap_or_default();
        PostRow {
            seq: record.seq,
            phase: if record.seq < *first_judged { PostPhase::WarmUp } else { PostPhase::Steady },
            writer: record.writer,
            intended_ns: pass.base_ns + offsets_ns[seq],
            waited_at_cap: record.waited_at_cap,
            connect_ns: record.connect_ns,
            sent_ns: record.sent_ns,
            complete_ns: record.complete_ns,
            failure: record.failure.as_ref().map(ToString::to_string),
            owed: counts.owed,
            delivered: counts.delivered,
            late: counts.late,
            missing: counts.missing,
            duplicate: counts.duplicate,
            reordered: counts.reordered,
            unexpected: counts.unexpected,
            not_owed: counts.not_owed.all(),
            first_latency_ns: (times.delivered > 0).then_some(times.first_ns),
            reach_10_latency_ns: times.reach_10_ns,
            reach_25_latency_ns: times.reach_25_ns,
            reach_50_latency_ns: times.reach_50_ns,
            reach_75_latency_ns: times.reach_75_ns,
            reach_90_latency_ns: times.reach_90_ns,
            reach_99_latency_ns: times.reach_99_ns,
            full_latency_ns: (times.delivered == times.owed && times.owed > 0).then_some(times.last_ns),
            slope_ns_per_rank: times.slope_ns_per_rank,
        }
    };
    pass.records.iter().map(row).collect()
}

fn miss_rows(observations: &Observations, ledger: &LedgerOfRun) -> Vec<MissRow> {
    let Observations { pass, engine, offsets_ns, .. } = observations;
    let failures = failures_by_seq(&pass.records);
    let refused = refused_by_seq(&pass.records);
    // The target tells how many it refused, not whom: certain only if it refused all that nothing else explains.
    let unexplained = |seq: u32| match (refused.get(&seq), ledger.counts[seq as usize]) {
        (None, _) => UNKNOWN,
        (Some(n), counts) if *n >= u64::from(counts.missing - counts.unread) => FULL_BUFFER,
        _ => "refused_by_full_buffer or unknown",
    };
    let cause = |shard: &LedgerReport, seq: u32, late: bool| match failures.get(&seq) {
        _ if late => "late",
        Some(failure) => cause_of_failure(failure),
        None if shard.posts[seq as usize].unread > 0 => GENERATOR_BUSY,
        None => unexplained(seq),
    };
    let mut rows = Vec::new();
    let mut first_subscriber = 0;
    for shard in &engine.ledgers {
        rows.extend(shard.listed.iter().filter(|miss| (miss.seq as usize) < ledger.counts.len()).map(
            |miss| {
                let subscriber = first_subscriber + miss.subscriber;
                MissRow {
                    seq: miss.seq,
                    intended_ns: pass.base_ns + offsets_ns[miss.seq as usize],
                    subscriber,
                    address: engine.addresses.get(subscriber as usize).copied().flatten(),
                    outcome: if miss.late { "late" } else { "missing" },
                    cause: cause(shard, miss.seq, miss.late),
                }
            },
        ));
        first_subscriber += shard.misses.len() as u32;
    }
    rows.sort_by_key(|row| (row.seq, row.subscriber));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save::write_table;

    fn text(rows: &[impl Serialize]) -> String {
        let folder = tempfile::tempdir().unwrap();
        write_table(folder.path(), "rows.csv", rows).unwrap();
        std::fs::read_to_string(folder.path().join("rows.csv")).unwrap()
    }

    /// A post that everybody had, one that the target refused, and one that was never sent.
    #[test]
    fn posts_of_fixed_values() {
        let post = PostRow {
            seq: 0,
            phase: PostPhase::WarmUp,
            writer: Some(0),
            intended_ns: 1_000_000_000,
            waited_at_cap: false,
            connect_ns: 120_000,
            sent_ns: Some(1_000_190_000),
            complete_ns: Some(1_004_000_000),
            failure: None,
            owed: 50,
            delivered: 50,
            late: 0,
            missing: 0,
            duplicate: 1,
            reordered: 2,
            unexpected: 3,
            not_owed: 4,
            first_latency_ns: Some(3_000_000),
            reach_10_latency_ns: Some(3_100_000),
            reach_25_latency_ns: Some(3_250_000),
            reach_50_latency_ns: Some(3_500_000),
            reach_75_latency_ns: Some(3_750_000),
            reach_90_latency_ns: Some(3_900_000),
            reach_99_latency_ns: Some(3_990_000),
            full_latency_ns: Some(4_000_000),
            slope_ns_per_rank: Some(20_408.25),
        };
        let unseen = PostRow {
            phase: PostPhase::Steady,
            delivered: 0,
            missing: 50,
            duplicate: 0,
            reordered: 0,
            unexpected: 0,
            not_owed: 0,
            first_latency_ns: None,
            reach_10_latency_ns: None,
            reach_25_latency_ns: None,
            reach_50_latency_ns: None,
            reach_75_latency_ns: None,
            reach_90_latency_ns: None,
            reach_99_latency_ns: None,
            full_latency_ns: None,
            slope_ns_per_rank: None,
            ..post.clone()
        };
        let refused = PostRow { seq: 1, failure: Some("status 500".to_owned()), ..unseen.clone() };
        let never_sent = PostRow {
            seq: 2,
            writer: None,
            waited_at_cap: true,
            connect_ns: 0,
            sent_ns: None,
            complete_ns: None,
            failure: Some(crate::writers::PostError::NotSent.to_string()),
            ..unseen
        };
        insta::assert_snapshot!(text(&[post, refused, never_sent]));
    }

    #[test]
    fn misses_of_fixed_values() {
        let miss = |subscriber, address: Option<&str>, outcome, cause| MissRow {
            seq: 7,
            intended_ns: 1_350_000_000,
            subscriber,
            address: address.map(|address| address.parse().unwrap()),
            outcome,
            cause,
        };
        insta::assert_snapshot!(text(&[
            miss(0, Some("192.0.2.7:40000"), "late", GENERATOR_BUSY),
            miss(1, Some("[2001:db8::7]:40001"), "missing", "post_failed"),
            miss(2, None, "missing", UNKNOWN),
        ]));
    }
}
