//! What is told of the measured pass while it goes on, from what the conductor has anyway: its progress, and once a
//! second what the shards, the writers, the hiccup meter and the observer have seen since.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use feedmark_core::ledger::Tally;
use feedmark_reports::quantile::new_histogram;
use feedmark_reports::units::{count, counted, short_duration};
use feedmark_reports::validity::{SeenSoFar, so_far};
use hdrhistogram::Histogram;

use super::Live;
use super::history::{History, Point};
use super::snapshot::{ConnectionsNow, DeliverySoFar, LedgerSoFar, PostsNow};
use crate::engine::{Engine, Glance};
use crate::hiccups::WorstSoFar;
use crate::host_watch::HostReport;
use crate::interrupt;
use crate::observer::Observer;
use crate::pass::PassProgress;
use crate::probe::Probed;
use crate::scenario::Scenario;

const SECOND_NS: u64 = 1_000_000_000;

/// Tells how the measured pass gets on.
pub struct Commentary<'a> {
    live: &'a mut Live,
    scenario: &'a Scenario,
    parts: Parts<'a>,
    /// Run time of the schedule's start.
    base_ns: u64,
    /// Posts of the schedule.
    scheduled: u64,
    history: History,
    seen: Seen,
    /// The second that goes on began here, and had this many posts before it.
    since_ns: u64,
    since_posts: u32,
    asked: Option<Asked>,
    stop_told: bool,
}

/// Who is asked once a second.
pub struct Parts<'a> {
    /// The shards.
    pub engine: &'a Engine,
    /// CPU and memory, and what disturbs the generator.
    pub observer: &'a Observer,
    /// The latest tick of the hiccup meter.
    pub hiccup: Arc<WorstSoFar>,
    /// The threads that the meter stands for.
    pub hiccup_group: &'static str,
    /// What the probe showed.
    pub probed: Option<Probed>,
}

/// The steady phase so far.
struct Seen {
    delivery: Arc<Histogram<u64>>,
    send_lag: Histogram<u64>,
    receive_delay: Option<Histogram<u64>>,
    clock_jump_ns: Option<u64>,
    hiccup_ns: Option<u64>,
    host: Option<HostReport>,
}

/// A question to all shards, and what was known when it was asked.
struct Asked {
    answers: Receiver<Glance>,
    sum: Option<Glance>,
    missing: usize,
    at_ns: u64,
    posts: u32,
}

impl<'a> Commentary<'a> {
    /// Comments on the pass of the scenario that starts at run time `base_ns` and has this many posts.
    pub fn new(
        live: &'a mut Live,
        scenario: &'a Scenario,
        parts: Parts<'a>,
        base_ns: u64,
        scheduled: usize,
    ) -> Self {
        let seen = Seen {
            delivery: Arc::new(new_histogram()),
            send_lag: new_histogram(),
            receive_delay: None,
            clock_jump_ns: None,
            hiccup_ns: None,
            host: None,
        };
        Self {
            live,
            scenario,
            parts,
            base_ns,
            scheduled: scheduled as u64,
            history: History::default(),
            seen,
            since_ns: 0,
            since_posts: 0,
            asked: None,
            stop_told: false,
        }
    }

    /// Says why the run is about to end itself.
    pub fn ends(&mut self, why: &str) {
        self.live.note(why);
    }

    /// Says where the pass stands; cheap enough for every turn of a loop.
    pub fn tell(&mut self, progress: &PassProgress<'_>) {
        if progress.stopped_ns.is_some() && !self.stop_told {
            self.stop_told = true;
            let deadline = short_duration(self.scenario.deadline_ns);
            let how = if interrupt::stop_asked() { "again" } else { "twice" };
            self.live
                .note(&format!("stopping: what is out has {deadline} to arrive; Ctrl-C {how} to end now"));
        }
        self.count(progress);
        if let Some(glance) = self.look(progress) {
            self.close_second(progress, glance);
        }
        self.phase(progress);
    }

    /// The counters, as they are now.
    fn count(&mut self, progress: &PassProgress<'_>) {
        let totals = progress.totals;
        let scheduled = self.scheduled;
        self.live.update(|now| {
            now.stopping = progress.stopped_ns.is_some();
            let connected = totals.established - totals.lost;
            now.connections = ConnectionsNow {
                established: totals.established,
                connected,
                failed: totals.failed,
                lost: totals.lost,
            };
            let sent = u64::from(progress.handed_over);
            now.posts =
                PostsNow { scheduled, sent, acknowledged: progress.acknowledged, failed: progress.failed };
            now.deliveries = totals.deliveries;
            let expected = (sent.saturating_sub(progress.failed)).saturating_mul(connected);
            now.ledger.under_way =
                expected.saturating_sub(totals.deliveries).saturating_sub(totals.outstanding);
        });
    }

    /// Asks the shards once a second, and waits for nobody.
    fn look(&mut self, progress: &PassProgress<'_>) -> Option<(Asked, Glance)> {
        let Some(asked) = &mut self.asked else {
            // At whole seconds, as near as the looks are, so that there are as many points as seconds.
            if progress.elapsed_ns / SECOND_NS > self.since_ns / SECOND_NS {
                self.asked = Some(Asked {
                    answers: self.parts.engine.glance(),
                    sum: None,
                    missing: self.parts.engine.shards(),
                    at_ns: progress.elapsed_ns,
                    posts: progress.handed_over,
                });
            }
            return None;
        };
        for glance in asked.answers.try_iter() {
            asked.missing -= 1;
            match &mut asked.sum {
                Some(sum) => sum.add(&glance),
                None => asked.sum = Some(glance),
            }
        }
        let mut asked = self.asked.take_if(|asked| asked.missing == 0)?;
        let sum = asked.sum.take()?;
        Some((asked, sum))
    }

    /// A second is over: its point, and what the steady phase looks like with it.
    fn close_second(&mut self, progress: &PassProgress<'_>, (asked, glance): (Asked, Glance)) {
        let length_ns = asked.at_ns - self.since_ns;
        let per_s = |count: u64| count as f64 / (length_ns as f64 / 1e9);
        let arrived = glance.arrived.all();
        let send_lag = progress.writers.take_send_lag();
        let hiccup_ns = self.parts.hiccup.take_ns();
        let is_steady = self.is_steady(progress);
        let steady_ns = self.base_ns + self.scenario.warmup_ns;
        let observed = self.parts.observer.now(is_steady.then_some(steady_ns));
        let (generator, target) = (observed.generator, observed.target);
        let second = Point {
            end_ns: asked.at_ns,
            length_ns,
            posts_per_s: per_s(u64::from(asked.posts - self.since_posts)),
            deliveries_per_s: per_s(arrived.len()),
            send_lag_ns: (!send_lag.is_empty()).then(|| send_lag.max()),
            hiccup_ns,
            generator_cores: generator.map(|process| process.cpu_cores),
            generator_bytes: generator.map(|process| process.memory_bytes),
            target_cores: target.map(|process| process.cpu_cores),
            target_bytes: target.map(|process| process.memory_bytes),
            ..Point::default()
        };
        (self.since_ns, self.since_posts) = (asked.at_ns, asked.posts);
        self.history.push(second, &arrived);
        if is_steady {
            self.seen.hiccup_ns = self.seen.hiccup_ns.max(hiccup_ns);
            self.seen.host = observed.host;
        }
        self.seen.add(&glance, &send_lag);
        let (history, seen) = (self.history.points().to_vec(), &self.seen);
        let checks = seen.checks(&self.parts);
        self.live.update(|now| {
            now.latest = Some(second.with_latencies(&arrived));
            now.history = history;
            now.delivery = DeliverySoFar::of(&seen.delivery);
            now.delivery_histogram = Arc::clone(&seen.delivery);
            now.ledger = ledger(&glance.tally, now.ledger.under_way);
            now.checks = checks;
            (now.generator, now.target) = (generator.or(now.generator), target.or(now.target));
        });
    }

    fn is_steady(&self, progress: &PassProgress<'_>) -> bool {
        let steady_ns = self.scenario.warmup_ns..self.scenario.warmup_ns + self.scenario.duration_ns;
        steady_ns.contains(&progress.elapsed_ns) && progress.stopped_ns.is_none()
    }

    fn phase(&mut self, progress: &PassProgress<'_>) {
        let (scenario, totals) = (self.scenario, progress.totals);
        // A schedule that was stopped has ended there.
        let schedule_ns = progress.stopped_ns.unwrap_or(scenario.warmup_ns + scenario.duration_ns);
        let (name, from_ns, until_ns) = match progress.elapsed_ns {
            at if at < scenario.warmup_ns.min(schedule_ns) => ("warm-up", 0, scenario.warmup_ns),
            at if at < schedule_ns => ("steady", scenario.warmup_ns, schedule_ns),
            _ => ("drain", schedule_ns, schedule_ns + scenario.deadline_ns),
        };
        let done_ns = progress.elapsed_ns.clamp(from_ns, until_ns) - from_ns;
        let left_ns = until_ns.saturating_sub(progress.elapsed_ns);
        let deliveries_per_s = self.history.points().last().map_or(0.0, |point| point.deliveries_per_s);
        self.live.progress(name, done_ns as f64 / (until_ns - from_ns).max(1) as f64, Some(left_ns), || {
            let mut line = format!(
                "{} s left, {} connected, {} sent, {} deliveries/s, {} missing so far",
                left_ns.div_ceil(SECOND_NS),
                count(totals.established - totals.lost),
                counted(u64::from(progress.handed_over), "post", "posts"),
                count(deliveries_per_s as u64),
                count(totals.outstanding),
            );
            if progress.failed > 0 {
                line.push_str(&format!(", {} failed", counted(progress.failed, "post", "posts")));
            }
            line
        });
    }
}

impl Seen {
    fn add(&mut self, glance: &Glance, send_lag: &Histogram<u64>) {
        let bounds = "all latency histograms share their bounds";
        // A view may hold the one of the snapshot before.
        Arc::make_mut(&mut self.delivery).add(&glance.arrived.judged).expect(bounds);
        self.send_lag.add(send_lag).expect(bounds);
        self.receive_delay = glance.kernel_stamps.then(|| glance.receive_delay.clone());
        self.clock_jump_ns = glance.kernel_stamps.then_some(glance.clock_jump_ns);
    }

    /// None before the steady phase: until then nothing is judged.
    fn checks(&self, parts: &Parts<'_>) -> Vec<feedmark_reports::validity::Check> {
        let Some(host) = &self.host else { return Vec::new() };
        let busiest = host.busiest();
        so_far(&SeenSoFar {
            delivery: &self.delivery,
            send_lag: &self.send_lag,
            receive_delay: self.receive_delay.as_ref(),
            hiccup_ns: self.hiccup_ns,
            hiccup_group: parts.hiccup_group,
            busiest_thread: busiest.map(|thread| (thread.name.as_str(), thread.cpu_max.share)),
            steal_share_max: host.steal_max.map(|peak| peak.share),
            throttled_ns: host.throttled.map(|throttled| throttled.held_ns),
            clock_jump_ns: self.clock_jump_ns,
            probes: parts.probed.map_or(0, |probed| probed.probes),
            probe_unreached: parts.probed.and_then(|probed| probed.unreached),
        })
    }
}

fn ledger(tally: &Tally, under_way: u64) -> LedgerSoFar {
    let Tally { owed, delivered, faults } = *tally;
    LedgerSoFar {
        owed,
        delivered,
        late: faults.late,
        missing: faults.missing,
        duplicate: faults.duplicate,
        reordered: faults.reordered,
        unexpected: faults.unexpected,
        under_way,
    }
}
