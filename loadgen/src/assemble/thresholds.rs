//! What every post has to say about the thresholds: counted here, where the posts are still known one by one, and judged
//! in `feedmark_reports`.

use std::ops::Range;

use feedmark_core::ledger::Counts;
use feedmark_reports::RunResult;
use feedmark_reports::metric::{Count, Metric, Series, Value};
use feedmark_reports::threshold::Threshold;
use feedmark_reports::threshold::judge::{Sample, Window};
use feedmark_reports::threshold::result::ThresholdResult;

use super::Observations;
use super::ledger::LedgerOfRun;
use crate::scenario::Scenario;
use crate::windows;
use crate::writers::{PostError, PostRecord};

/// What the posts say about one threshold.
pub(super) enum Counted {
    /// The whole steady phase by its posts.
    Posts(Sample),
    /// Its windows.
    Windows(Vec<Window>),
    /// Nothing that the result does not say by itself.
    InResult,
}

/// For every threshold of the scenario.
pub(super) fn counted(
    scenario: &Scenario,
    observations: &Observations,
    ledger: &LedgerOfRun,
) -> Vec<Counted> {
    let pass = &observations.pass;
    let until_ns = pass.stopped_ns().map_or(u64::MAX, |at_ns| at_ns.saturating_sub(pass.base_ns));
    let posts = Posts { observations, ledger };
    let of = |threshold: &Threshold| {
        let stretches = windows::windows(threshold, scenario, until_ns);
        let mut samples = stretches.iter().filter_map(|stretch| {
            let sample = posts.sample(threshold, windows::posts(&observations.offsets_ns, stretch))?;
            let since_ns = |at_ns| at_ns - scenario.warmup_ns;
            Some(Window { start_ns: since_ns(stretch.start), end_ns: since_ns(stretch.end), sample })
        });
        match (threshold.window, threshold.metric) {
            (Some(_), _) => Counted::Windows(samples.collect()),
            (None, Metric::Latency(..)) => {
                samples.next().map_or(Counted::InResult, |window| Counted::Posts(window.sample))
            }
            (None, _) => Counted::InResult,
        }
    };
    scenario.thresholds.iter().map(of).collect()
}

/// What became of them.
pub(super) fn judge(scenario: &Scenario, result: &RunResult, counted: &[Counted]) -> Vec<ThresholdResult> {
    let judge = |(threshold, counted): (&Threshold, &Counted)| match counted {
        Counted::Posts(sample) => ThresholdResult::of_whole(threshold, result, *sample),
        Counted::Windows(windows) => ThresholdResult::of_windows(threshold, result, windows),
        Counted::InResult => ThresholdResult::of_whole(threshold, result, Sample::of_run(threshold, result)),
    };
    scenario.thresholds.iter().zip(counted).map(judge).collect()
}

struct Posts<'a> {
    observations: &'a Observations,
    ledger: &'a LedgerOfRun,
}

impl Posts<'_> {
    /// What the posts of a range of sequences say; `None` where only the result of the run knows.
    fn sample(&self, threshold: &Threshold, posts: Range<usize>) -> Option<Sample> {
        match threshold.metric {
            Metric::Latency(series, _) => self.latencies(threshold, series, posts),
            Metric::Count(count) => Some(exactly(self.count(count, posts)? as f64)),
            Metric::Completeness => {
                let (mut owed, mut delivered) = (0, 0);
                for counts in self.counts(posts) {
                    owed += u64::from(counts.owed);
                    delivered += u64::from(counts.delivered);
                }
                let share = 100.0 * delivered as f64 / owed as f64;
                Some(if owed == 0 { Sample::Exact(Value::NotMeasured) } else { exactly(share) })
            }
            Metric::CpuPerMillion(_) | Metric::PeakMemory(_) => None,
        }
    }

    fn latencies(&self, threshold: &Threshold, series: Series, posts: Range<usize>) -> Option<Sample> {
        let settled = &self.observations.pass.settled;
        if series.is_of_deliveries() {
            return Some(sum(posts.filter_map(|seq| settled.miss(threshold, series, seq))));
        }
        let base_ns = self.observations.pass.base_ns;
        let intended_ns = |record: &PostRecord| base_ns + self.observations.offsets_ns[record.seq as usize];
        let miss = |ns: Option<u64>| if ns.is_some_and(|ns| threshold.holds_ns(ns)) { 0.0 } else { 1.0 };
        let records = self.records(posts);
        match series {
            // As in the series: posts that were never sent have no service time, and at the cap no lag of our own.
            Series::SendLag => {
                let lag = |record: &PostRecord| {
                    let ns = record.sent_ns?.saturating_sub(intended_ns(record));
                    Some(ns.saturating_sub(record.connect_ns))
                };
                Some(sum(records.filter(|record| !record.waited_at_cap).map(|record| miss(lag(record)))))
            }
            Series::ServiceTime => {
                let sent = records.filter_map(|record| Some((record, record.sent_ns?)));
                Some(sum(sent.map(|(record, sent_ns)| miss(record.complete_ns.map(|at_ns| at_ns - sent_ns)))))
            }
            Series::ResponseTime => Some(sum(
                records.map(|record| miss(record.complete_ns.map(|at_ns| at_ns - intended_ns(record))))
            )),
            _ => None,
        }
    }

    fn count(&self, count: Count, posts: Range<usize>) -> Option<u64> {
        let pairs =
            |of: fn(&Counts) -> u32| self.counts(posts.clone()).map(|counts| u64::from(of(counts))).sum();
        let failed = |wanted: fn(&PostError) -> bool| {
            let failures = self.records(posts.clone()).filter_map(|record| record.failure.as_ref());
            failures.filter(|failure| wanted(failure)).count() as u64
        };
        Some(match count {
            Count::Missing => pairs(|counts| counts.missing),
            Count::Late => pairs(|counts| counts.late),
            Count::Duplicate => pairs(|counts| counts.duplicate),
            Count::Reordered => pairs(|counts| counts.reordered),
            Count::Unexpected => pairs(|counts| counts.unexpected),
            Count::FailedPosts => failed(|failure| !matches!(failure, PostError::NotSent)),
            Count::DroppedPosts => failed(|failure| matches!(failure, PostError::NotSent)),
            Count::FailedConnections | Count::LostConnections => return None,
        })
    }

    fn counts(&self, posts: Range<usize>) -> impl Iterator<Item = &Counts> {
        self.ledger.counts.iter().take(posts.end).skip(posts.start)
    }

    fn records(&self, posts: Range<usize>) -> impl Iterator<Item = &PostRecord> {
        let records = self.observations.pass.records.iter();
        records.filter(move |record| posts.contains(&(record.seq as usize)))
    }
}

fn exactly(value: f64) -> Sample {
    Sample::Exact(Value::Number(value))
}

/// Posts, and the misses among them.
fn sum(misses: impl Iterator<Item = f64>) -> Sample {
    let (mut posts, mut sum) = (0, 0.0);
    for miss in misses {
        posts += 1;
        sum += miss;
    }
    Sample::Posts { posts, misses: sum }
}
