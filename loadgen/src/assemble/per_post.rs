//! The series that have one value per post.

use feedmark_core::recorder::Recorder;
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::run_result::{Fanout, Latencies};
use feedmark_reports::stats::median::median;
use feedmark_reports::{LatencySummary, Quantile};

use super::Observations;
use crate::mutant::{Mutant, active};

/// The series that have one value per post.
pub(super) struct PerPost {
    pub(super) first: Recorder,
    pub(super) full: Recorder,
    pub(super) spread: Recorder,
    /// Of every post that was sent.
    pub(super) send_lag: Recorder,
    /// Of the posts that found a writer free, and of those that waited at the cap.
    lag_below_cap: Recorder,
    lag_at_cap: Recorder,
    service: Recorder,
    pub(super) response: Recorder,
    /// Until 50, 90 and 99 % of the owed pairs were served; posts that never got so far.
    reach: [(Recorder, u64); 3],
    slopes_ns_per_rank: Vec<f64>,
    /// Judged posts with owed pairs, and those of them that did not reach everyone (or anyone).
    owed: u64,
    incomplete: u64,
    reached_nobody: u64,
    /// Judged posts without a byte sent, and those without a complete reply (the former included).
    unsent: u64,
    unsent_at_cap: u64,
    unanswered: u64,
}

impl PerPost {
    pub(super) fn new() -> Self {
        let recorder = || Recorder::new(&new_histogram());
        Self {
            first: recorder(),
            full: recorder(),
            spread: recorder(),
            send_lag: recorder(),
            lag_below_cap: recorder(),
            lag_at_cap: recorder(),
            service: recorder(),
            response: recorder(),
            reach: [(); 3].map(|()| (recorder(), 0)),
            slopes_ns_per_rank: Vec::new(),
            owed: 0,
            incomplete: 0,
            reached_nobody: 0,
            unsent: 0,
            unsent_at_cap: 0,
            unanswered: 0,
        }
    }

    pub(super) fn record(&mut self, observations: &Observations) {
        let Observations { pass, offsets_ns, first_judged, .. } = observations;
        let judged = *first_judged as usize;
        for (seq, times) in
            pass.settled.times.iter().enumerate().skip(judged).filter(|(_, times)| times.owed > 0)
        {
            let at_ns = offsets_ns[seq];
            self.owed += 1;
            let reached = [times.reach_50_ns, times.reach_90_ns, times.reach_99_ns];
            for ((recorder, never), reached_ns) in self.reach.iter_mut().zip(reached) {
                match reached_ns {
                    Some(ns) => recorder.record(at_ns, ns),
                    None => *never += 1,
                }
            }
            self.slopes_ns_per_rank.extend(times.slope_ns_per_rank);
            if times.delivered > 0 {
                self.first.record(at_ns, times.first_ns);
            } else {
                self.reached_nobody += 1;
            }
            if times.delivered == times.owed {
                self.full.record(at_ns, times.last_ns);
                self.spread.record(at_ns, times.last_ns - times.first_ns);
            } else {
                self.incomplete += 1;
            }
        }
        for record in pass.records.iter().filter(|record| record.seq as usize >= judged) {
            let at_ns = offsets_ns[record.seq as usize];
            let Some(sent_ns) = record.sent_ns else {
                self.unsent += 1;
                self.unsent_at_cap += u64::from(record.waited_at_cap);
                self.unanswered += 1;
                continue;
            };
            let intended_ns = if active(Mutant::ActualForIntended) { sent_ns } else { pass.base_ns + at_ns };
            let lag_ns = record.send_lag_ns(intended_ns).unwrap_or_default();
            self.send_lag.record(at_ns, lag_ns);
            let split = if record.waited_at_cap { &mut self.lag_at_cap } else { &mut self.lag_below_cap };
            split.record(at_ns, lag_ns);
            match record.complete_ns {
                Some(complete_ns) => {
                    self.service.record(at_ns, complete_ns - sent_ns);
                    self.response.record(at_ns, complete_ns - intended_ns);
                }
                None => self.unanswered += 1,
            }
        }
    }

    pub(super) fn latencies(
        &self,
        delivery: &mut Recorder,
        receive_delay: &Recorder,
        beyond: u64,
    ) -> Latencies {
        let beyond = if active(Mutant::MissingIgnored) { 0 } else { beyond };
        Latencies {
            // All deliveries of one post share its fate: the post is the sample (METHOD, section 5).
            delivery: averaged(delivery, LatencySummary::new(delivery.total(), beyond, self.owed as f64)),
            first_delivery: posts(&self.first, self.reached_nobody),
            full_fanout: posts(&self.full, self.incomplete),
            spread: posts(&self.spread, self.incomplete),
            send_lag: posts(&self.lag_below_cap, self.unsent - self.unsent_at_cap),
            send_lag_at_cap: posts(&self.lag_at_cap, self.unsent_at_cap),
            service_time: posts(&self.service, self.unanswered - self.unsent),
            response_time: posts(&self.response, self.unanswered),
            receive_delay: LatencySummary::new(receive_delay.total(), 0, self.owed as f64),
        }
    }
    pub(super) fn fanout(&mut self) -> Fanout {
        let [reach_50, reach_90, reach_99] =
            self.reach.each_ref().map(|(recorder, never)| posts(recorder, *never));
        Fanout { slope_ns_per_rank: median(&mut self.slopes_ns_per_rank), reach_50, reach_90, reach_99 }
    }
}

/// Percentiles become the mean of the percentiles of every second, if that mutant is active.
fn averaged(delivery: &mut Recorder, mut summary: LatencySummary) -> LatencySummary {
    if active(Mutant::AveragedPercentiles) {
        let seconds: Vec<_> = delivery.intervals().map(|(_, histogram)| histogram).collect();
        let mean = |quantile: f64| {
            let sum: u64 = seconds.iter().map(|second| second.value_at_quantile(quantile)).sum();
            Quantile::Ns(sum / seconds.len().max(1) as u64)
        };
        (summary.p50, summary.p90, summary.p99, summary.p999) =
            (mean(0.5), mean(0.9), mean(0.99), mean(0.999));
    }
    summary
}

/// A series of which every post is a sample; `beyond` of them are infinite.
fn posts(recorder: &Recorder, beyond: u64) -> LatencySummary {
    LatencySummary::new(recorder.total(), beyond, (recorder.total().len() + beyond) as f64)
}
