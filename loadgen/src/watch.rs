//! Looks, while a run goes on, whether a threshold with `abort` is certain to fail.
//!
//! Invariant: certain means whatever the rest of the run brings: misses are held against all posts of the schedule, or
//! of a window that has passed; a pair is missing when it has not come one more deadline after its own. So the run ends
//! one deadline or two after what ends it, never for something that the verdict would not say.
//! Must not know: how a schedule is stopped.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use feedmark_core::ledger::Faults;
use feedmark_reports::metric::{Count, Metric, Rank, Series};
use feedmark_reports::threshold::{Operator, Role, Threshold, judge};
use feedmark_reports::units::{count, duration, number, percent, short_duration};

use crate::collector::SettledPosts;
use crate::engine::{Engine, Totals};
use crate::pass::PassProgress;
use crate::scenario::Scenario;
use crate::windows;

/// How often the shards are asked what has gone wrong.
const COUNT_EVERY_NS: u64 = 1_000_000_000;

/// Looks after the thresholds that may end a run.
pub struct Watch<'a> {
    scenario: &'a Scenario,
    engine: &'a Engine,
    offsets_ns: Arc<[u64]>,
    first_judged: u32,
    /// The next settled post to look at.
    next: usize,
    by_post: Vec<ByPost>,
    counts: Vec<(Threshold, Count)>,
    faults: FaultsSoFar,
}

/// A threshold that the posts decide.
struct ByPost {
    threshold: Threshold,
    /// Its stretches of the steady phase that are not over, the next one last: when each ends, and its posts.
    stretches: Vec<(u64, Range<usize>)>,
    /// Of how many.
    windows: u64,
    /// Misses of the posts of the next stretch so far, in posts or in shares of them.
    misses: f64,
}

/// What the shards last said.
struct FaultsSoFar {
    wanted: bool,
    asked_ns: u64,
    answers: Option<(Receiver<Faults>, usize, Faults)>,
    latest: Faults,
}

impl<'a> Watch<'a> {
    /// Watches a run of the scenario.
    pub fn new(
        scenario: &'a Scenario,
        engine: &'a Engine,
        offsets_ns: Arc<[u64]>,
        first_judged: u32,
    ) -> Self {
        let ends_run = scenario.thresholds.iter().filter(|threshold| threshold.role == Role::Aborts);
        let (mut by_post, mut counts) = (Vec::new(), Vec::new());
        for &threshold in ends_run {
            match threshold.metric {
                Metric::Count(count) => counts.push((threshold, count)),
                _ => by_post.push(ByPost::new(threshold, scenario, &offsets_ns)),
            }
        }
        let by_shards = |(_, count): &(Threshold, Count)| {
            !matches!(count, Count::FailedPosts | Count::FailedConnections | Count::LostConnections)
        };
        let wanted = counts.iter().any(by_shards);
        let faults = FaultsSoFar { wanted, asked_ns: 0, answers: None, latest: Faults::default() };
        let next = first_judged as usize;
        Self { scenario, engine, offsets_ns, first_judged, next, by_post, counts, faults }
    }

    /// Why the run may end itself now, if it may; cheap enough for every turn of a loop.
    pub fn look(&mut self, progress: &PassProgress<'_>, settled: &SettledPosts) -> Option<String> {
        let steady_ns = progress.elapsed_ns.checked_sub(self.scenario.warmup_ns)?;
        if steady_ns >= self.scenario.duration_ns || progress.stopped_ns.is_some() {
            return None;
        }
        let (threshold, why) = self.by_posts(progress, settled).or_else(|| self.by_counts(progress))?;
        Some(format!(
            "ended {} into the {} of the steady phase: `{threshold}` could not hold any more, {why}",
            duration(steady_ns),
            short_duration(self.scenario.duration_ns),
        ))
    }

    fn by_posts(
        &mut self,
        progress: &PassProgress<'_>,
        settled: &SettledPosts,
    ) -> Option<(Threshold, String)> {
        let from = self.next;
        self.next = from.max(settled.times.len());
        self.by_post.iter_mut().find_map(|watched| {
            let why = watched.look(from..settled.times.len(), progress, settled)?;
            Some((watched.threshold, why))
        })
    }

    fn by_counts(&mut self, progress: &PassProgress<'_>) -> Option<(Threshold, String)> {
        // What is missing from these has had one more deadline to come.
        let deadlines_ns = 2 * self.scenario.deadline_ns;
        let missing_until =
            self.offsets_ns.partition_point(|at_ns| at_ns + deadlines_ns < progress.elapsed_ns);
        let ask = || self.engine.count_faults(self.first_judged, missing_until as u32);
        let faults = self.faults.update(progress.elapsed_ns, self.engine.shards(), ask);
        self.counts.iter().find_map(|&(threshold, what)| {
            let so_far = so_far(what, &faults, progress);
            let is_over = match threshold.operator {
                Operator::Below => so_far as f64 >= threshold.limit.value(),
                _ => so_far as f64 > threshold.limit.value(),
            };
            is_over.then(|| (threshold, format!("{} so far", count(so_far))))
        })
    }
}

/// How many there have been for certain. What comes to an end with the run is refused where thresholds are read.
fn so_far(what: Count, faults: &Faults, progress: &PassProgress<'_>) -> u64 {
    match what {
        Count::Missing => faults.missing,
        Count::Late => faults.late,
        Count::Duplicate => faults.duplicate,
        Count::Reordered => faults.reordered,
        Count::Unexpected => faults.unexpected,
        Count::FailedPosts => progress.failed_judged,
        Count::FailedConnections => progress.totals.failed,
        Count::LostConnections => progress.totals.lost,
        Count::DroppedPosts => 0,
    }
}

impl FaultsSoFar {
    /// Asks now and then, and waits for nobody.
    fn update(&mut self, now_ns: u64, shards: usize, ask: impl Fn() -> Receiver<Faults>) -> Faults {
        if let Some((answers, answered, sum)) = &mut self.answers {
            for faults in answers.try_iter() {
                *answered += 1;
                sum.add(&faults);
            }
            if *answered == shards {
                self.latest = *sum;
                self.answers = None;
            }
        } else if self.wanted && now_ns >= self.asked_ns + COUNT_EVERY_NS {
            self.asked_ns = now_ns;
            self.answers = Some((ask(), 0, Faults::default()));
        }
        self.latest
    }
}

impl ByPost {
    fn new(threshold: Threshold, scenario: &Scenario, offsets_ns: &[u64]) -> Self {
        let stretches = windows::windows(&threshold, scenario, u64::MAX);
        let posts = |stretch: &Range<u64>| (stretch.end, windows::posts(offsets_ns, stretch));
        Self {
            threshold,
            windows: stretches.len() as u64,
            stretches: stretches.iter().rev().map(posts).collect(),
            misses: 0.0,
        }
    }

    /// Takes in these posts; why it fails, if that is certain.
    fn look(
        &mut self,
        posts: Range<usize>,
        progress: &PassProgress<'_>,
        settled: &SettledPosts,
    ) -> Option<String> {
        for seq in posts {
            while self.stretches.last().is_some_and(|(_, posts)| seq >= posts.end) {
                if let Some(why) = self.certain(progress) {
                    return Some(why);
                }
                self.stretches.pop();
                self.misses = 0.0;
            }
            self.misses += match self.threshold.metric {
                Metric::Latency(series, _) => settled.miss(&self.threshold, series, seq).unwrap_or_default(),
                // A pair that did not come in time is lost to completeness.
                _ => settled.times[seq].untimely().into(),
            };
        }
        self.certain(progress)
    }

    /// Why the stretch fails, whatever comes: it is all of the schedule, or has passed.
    fn certain(&self, progress: &PassProgress<'_>) -> Option<String> {
        let (end_ns, posts) = self.stretches.last()?;
        if self.threshold.window.is_some() && progress.elapsed_ns < *end_ns {
            return None;
        }
        let posts = posts.len() as u64;
        let place = if self.windows > 1 { " of a window" } else { "" };
        let Metric::Latency(series, rank) = self.threshold.metric else {
            return self.incomplete(posts, &progress.totals);
        };
        let fails = match rank {
            Rank::Quantile(quantile) => judge::fails(self.misses, posts, quantile, self.windows),
            Rank::Max => self.misses > 0.0,
        };
        let misses = match series {
            Series::Delivery => format!("the deliveries of {}", number(self.misses)),
            _ => number(self.misses),
        };
        fails.then(|| format!("{misses} of the {} posts{place} being beyond the limit", count(posts)))
    }

    /// So much is missing that completeness fails even if everyone is owed everything.
    fn incomplete(&self, posts: u64, totals: &Totals) -> Option<String> {
        let share = self.misses / (posts * totals.established).max(1) as f64;
        let fails = self.misses > 0.0 && !self.threshold.holds(100.0 * (1.0 - share));
        fails.then(|| format!("{} of all deliveries being late or missing", percent(share)))
    }
}

#[cfg(test)]
mod tests {
    use feedmark_core::ledger::SettledPost;

    use super::*;
    use crate::collector::{Collector, Judged};
    use crate::settings::Settings;
    use crate::writers::WriterCounters;

    const S: u64 = 1_000_000_000;

    /// 100 posts, one every 100 ms, to ten subscribers, without a warm-up; the first `bad` of them reach only `reached`.
    fn look(expression: &str, bad: u32, reached: usize, settled: u32, elapsed_ns: u64) -> Option<String> {
        let settings: Settings = toml::from_str("warmup = '0s'\nduration = '10s'").unwrap();
        let scenario = Scenario::resolve(settings, 2).unwrap();
        let threshold = expression.parse().unwrap();
        let offsets_ns: Arc<[u64]> = (0..100).map(|post| post * S / 10).collect();
        let mut collector =
            Collector::new(1, Arc::clone(&offsets_ns), Judged { thresholds: &[threshold], ..Judged::ALL });
        for seq in 0..settled {
            let arrived = if seq < bad { reached } else { 10 };
            collector.take(SettledPost { seq, owed: 10, latencies_ns: vec![1_000; arrived] });
        }
        let totals = Totals { established: 10, ..Totals::default() };
        let progress = PassProgress {
            elapsed_ns,
            handed_over: settled,
            stopped_ns: None,
            acknowledged: 0,
            failed: 0,
            failed_judged: 0,
            totals,
            writers: &WriterCounters::new(),
        };
        let mut watched = ByPost::new(threshold, &scenario, &offsets_ns);
        watched.look(0..settled as usize, &progress, collector.settled())
    }

    /// Of 100 posts, 15 misses leave a 90th percentile open and 16 do not, however many are still to come.
    #[test]
    fn misses_are_held_against_the_whole_schedule() {
        assert_eq!(look("full_fanout p90 < 1s abort", 15, 9, 30, 3 * S), None);
        let why = look("full_fanout p90 < 1s abort", 16, 9, 16, 2 * S).unwrap();
        assert_eq!(why, "16 of the 100 posts being beyond the limit");
        // Half of each post is half a miss.
        assert_eq!(look("delivery p90 < 1s abort", 31, 5, 40, 4 * S), None);
        let why = look("delivery p90 < 1s abort", 32, 5, 40, 4 * S).unwrap();
        assert_eq!(why, "the deliveries of 16 of the 100 posts being beyond the limit");
        assert!(look("full_fanout max < 1s abort", 1, 9, 1, S).is_some());
    }

    #[test]
    fn a_window_is_judged_when_it_has_passed() {
        assert_eq!(look("full_fanout p90 < 1s over 5s abort", 12, 9, 40, 4 * S), None);
        assert!(look("full_fanout p90 < 1s over 5s abort", 12, 9, 40, 5 * S).is_some());
        // The next window begins with a clean sheet.
        assert_eq!(look("full_fanout p90 < 1s over 2s abort", 4, 9, 100, 10 * S), None);
        assert!(look("full_fanout p90 < 1s over 2s abort", 20, 9, 25, 3 * S).is_some());
    }

    #[test]
    fn completeness_is_lost_for_certain_when_all_that_may_be_owed_cannot_make_up_for_it() {
        // 1,000 pairs may be owed: 10 of them are 1 %.
        assert_eq!(look("completeness >= 99% abort", 10, 9, 20, 2 * S), None);
        assert!(look("completeness >= 99% abort", 11, 9, 20, 2 * S).is_some());
    }
}
