//! What is said while a pass goes on.

use feedmark_reports::units::{count, counted, short_duration};

use crate::interrupt;
use crate::narrator::Narrator;
use crate::pass::PassProgress;
use crate::scenario::Scenario;

const SECOND_NS: u64 = 1_000_000_000;
const MS_NS: u64 = 1_000_000;

/// Tells how the measured pass gets on; deliveries per second are those of the last second or so.
pub struct Commentary<'a> {
    scenario: &'a Scenario,
    narrator: &'a mut Narrator,
    since_ns: u64,
    since_deliveries: u64,
    deliveries_per_s: u64,
    stop_told: bool,
}

impl<'a> Commentary<'a> {
    /// Comments to `narrator`.
    pub fn new(scenario: &'a Scenario, narrator: &'a mut Narrator) -> Self {
        Self { scenario, narrator, since_ns: 0, since_deliveries: 0, deliveries_per_s: 0, stop_told: false }
    }

    /// Says why the run is about to end itself.
    pub fn ends(&self, why: &str) {
        self.narrator.note(why);
    }

    /// Says where the pass stands; cheap enough for every turn of a loop.
    pub fn tell(&mut self, progress: &PassProgress) {
        let scenario = self.scenario;
        let totals = progress.totals;
        let passed_ns = progress.elapsed_ns - self.since_ns.min(progress.elapsed_ns);
        if passed_ns >= SECOND_NS {
            let deliveries = totals.deliveries.saturating_sub(self.since_deliveries);
            self.deliveries_per_s = (deliveries as f64 / (passed_ns as f64 / 1e9)) as u64;
            self.since_ns = progress.elapsed_ns;
            self.since_deliveries = totals.deliveries;
        }
        // A schedule that was stopped has ended there.
        let schedule_ns = progress.stopped_ns.unwrap_or(scenario.warmup_ns + scenario.duration_ns);
        let (name, from_ns, until_ns) = match progress.elapsed_ns {
            at if at < scenario.warmup_ns.min(schedule_ns) => ("warm-up", 0, scenario.warmup_ns),
            at if at < schedule_ns => ("steady", scenario.warmup_ns, schedule_ns),
            _ => ("drain", schedule_ns, schedule_ns + scenario.deadline_ns),
        };
        if progress.stopped_ns.is_some() && !self.stop_told {
            self.stop_told = true;
            let deadline = short_duration(scenario.deadline_ns);
            let how = if interrupt::stop_asked() { "again" } else { "twice" };
            self.narrator
                .note(&format!("stopping: what is out has {deadline} to arrive; Ctrl-C {how} to end now"));
        }
        self.narrator.enter(name, (until_ns - from_ns) / MS_NS);
        let done_ms = (progress.elapsed_ns.clamp(from_ns, until_ns) - from_ns) / MS_NS;
        let deliveries_per_s = self.deliveries_per_s;
        self.narrator.progress(name, done_ms, || {
            let left_s = until_ns.saturating_sub(progress.elapsed_ns).div_ceil(SECOND_NS);
            let mut line = format!(
                "{left_s} s left, {} connected, {} sent, {} deliveries/s, {} missing so far",
                count(totals.established - totals.lost),
                counted(u64::from(progress.handed_over), "post", "posts"),
                count(deliveries_per_s),
                count(totals.outstanding),
            );
            if progress.failed > 0 {
                line.push_str(&format!(", {} failed", counted(progress.failed, "post", "posts")));
            }
            line
        });
    }
}
