//! What became of every owed pair, every post and every connection.

use std::collections::BTreeMap;

use super::latency::{beyond, cell};
use super::layout::{Page, clean};
use crate::RunResult;
use crate::run_result::{Connections, Deliveries, Posts};
use crate::units::{count, counted, duration, share};

/// Causes that are printed, most frequent first; the others are added up.
const CAUSES_MAX: usize = 5;
const CAUSE_COLUMNS_MAX: usize = 48;
/// Subscribers that are named, worst first.
const SUBSCRIBERS_MAX: usize = 3;

pub(super) fn print(page: &mut Page, result: &RunResult) {
    page.section("deliveries", &deliveries(&result.deliveries));
    page.section("posts", &posts(&result.posts));
    page.section("connections", &connections(&result.connections, result.scenario.deadline_ns));
}

fn deliveries(ledger: &Deliveries) -> Vec<Vec<String>> {
    let delivered = if ledger.delivered == ledger.owed || ledger.owed == 0 {
        format!("{} delivered", count(ledger.delivered))
    } else {
        format!("{} delivered ({})", count(ledger.delivered), share(ledger.delivered, ledger.owed))
    };
    let mut lists = vec![
        vec![
            format!("{} owed = {delivered}", count(ledger.owed)),
            format!("+ {} late + {} missing", count(ledger.late), count(ledger.missing)),
        ],
        vec![
            format!("{} duplicate", count(ledger.duplicate)),
            format!("{} reordered", count(ledger.reordered)),
            format!("{} unexpected", count(ledger.unexpected)),
            format!("{} not owed", count(ledger.not_owed)),
        ],
    ];
    if ledger.residual != 0 {
        let sign = if ledger.residual < 0 { "-" } else { "" };
        lists.push(vec![format!(
            "residual {sign}{}: the ledger does not close, a defect of feedmark",
            count(ledger.residual.unsigned_abs())
        )]);
    }
    lists.extend(causes("missing", &ledger.missing_by_cause));
    lists.extend(worst_subscribers(ledger));
    lists
}

fn worst_subscribers(ledger: &Deliveries) -> Option<Vec<String>> {
    if ledger.subscribers_with_misses == 0 || ledger.worst_subscribers.is_empty() {
        return None;
    }
    let missed = counted(ledger.subscribers_with_misses, "subscriber", "subscribers");
    let worst = ledger.worst_subscribers.iter().take(SUBSCRIBERS_MAX).map(|misses| {
        format!("#{} ({})", misses.subscriber, count(misses.missing.saturating_add(misses.late)))
    });
    Some(lead(&format!("{missed} missed some; worst"), worst.collect()))
}

fn posts(posts: &Posts) -> Vec<Vec<String>> {
    let mut counts = vec![
        format!("{} scheduled", count(posts.scheduled)),
        format!("{} sent", count(posts.sent)),
        format!("{} acknowledged", count(posts.acknowledged)),
        format!("{} failed", count(posts.failed)),
    ];
    if posts.dropped > 0 {
        counts.push(format!("{} dropped", count(posts.dropped)));
    }
    if posts.waited_at_cap > 0 {
        counts.push(format!("{} waited at the cap", count(posts.waited_at_cap)));
    }
    std::iter::once(counts).chain(causes("failed", &posts.failures)).collect()
}

fn connections(connections: &Connections, deadline_ns: u64) -> Vec<Vec<String>> {
    let mut counts = vec![
        format!("{} requested", count(connections.requested)),
        format!("{} established", count(connections.established)),
        format!("{} lost", count(connections.lost)),
        format!("{} failed", count(connections.failed)),
    ];
    if connections.retries > 0 {
        counts.push(counted(connections.retries, "retry", "retries"));
    }
    let mut lists = vec![counts];
    lists.extend(causes("lost", &connections.lost_by_cause));
    lists.extend(causes("failed", &connections.failed_by_cause));
    let total = &connections.connect_ns.total;
    if total.count > 0 {
        let quantiles = [("p50", total.p50), ("p99", total.p99), ("max", total.max)];
        let times =
            quantiles.map(|(name, quantile)| format!("{name} {}", cell(quantile, &beyond(deadline_ns))));
        let mut times = lead("connect time", times.to_vec());
        if connections.duration_ns > 0 {
            times.push(format!("all in {}", duration(connections.duration_ns)));
        }
        lists.push(times);
    }
    lists
}

/// The causes behind a count, most frequent first: `missing: 90 post_failed, 3 unknown`.
fn causes(what: &str, by_cause: &BTreeMap<String, u64>) -> Option<Vec<String>> {
    let mut ordered: Vec<(&String, u64)> =
        by_cause.iter().map(|(cause, n)| (cause, *n)).filter(|(_, n)| *n > 0).collect();
    ordered.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    if ordered.is_empty() {
        return None;
    }
    let named = ordered.iter().take(CAUSES_MAX);
    let mut items: Vec<String> =
        named.map(|(cause, n)| format!("{} {}", count(*n), clean(cause, CAUSE_COLUMNS_MAX))).collect();
    if ordered.len() > CAUSES_MAX {
        let others = ordered[CAUSES_MAX..].iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
        let kinds = counted((ordered.len() - CAUSES_MAX) as u64, "other cause", "other causes");
        items.push(format!("{} of {kinds}", count(others)));
    }
    Some(lead(&format!("{what}:"), items))
}

/// Puts a word before the first item, without a comma between them.
fn lead(word: &str, mut items: Vec<String>) -> Vec<String> {
    if let Some(first) = items.first_mut() {
        *first = format!("{word} {first}");
    }
    items
}
