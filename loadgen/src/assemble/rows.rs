//! The run in rows, for people's own tools: one per post, and one per pair that did not arrive in time.

use std::net::SocketAddr;

use feedmark_core::ledger::LedgerReport;
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

/// One post. Times are ns since the start of the run; those that end in `_latency_ns` count from the intended time.
#[derive(Debug, Serialize)]
pub struct PostRow {
    seq: u32,
    phase: &'static str,
    writer: Option<u16>,
    intended_ns: u64,
    waited_at_cap: bool,
    /// Time that it took to open a connection for it; 0 where one was open.
    connect_ns: u64,
    sent_ns: Option<u64>,
    complete_ns: Option<u64>,
    failure: Option<String>,
    owed: u32,
    delivered: u32,
    late: u32,
    missing: u32,
    duplicate: u32,
    reordered: u32,
    unexpected: u32,
    not_owed: u32,
    first_latency_ns: Option<u64>,
    reach_50_latency_ns: Option<u64>,
    reach_90_latency_ns: Option<u64>,
    reach_99_latency_ns: Option<u64>,
    full_latency_ns: Option<u64>,
    slope_ns_per_rank: Option<f64>,
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
            phase: if record.seq < *first_judged { "warm-up" } else { "steady" },
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
            reach_50_latency_ns: times.reach_50_ns,
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
