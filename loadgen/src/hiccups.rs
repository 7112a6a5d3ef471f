//! The hiccup meter: a thread that does nothing but wake every millisecond, and records how late it woke.
//!
//! What delays an idle thread delays the busy ones beside it: a starved CPU, a throttled cgroup, a paused virtual
//! machine. The idea is Gil Tene's jHiccup. The meter is open loop itself: its wake-ups are due at absolute times, it never
//! re-bases, and after a freeze every wake-up that was due meanwhile counts with its own lateness, so a freeze of
//! 300 ms leaves 300 values, from 300 ms down to 1 ms.
//!
//! **What a meter sees**: whatever keeps a thread that is ready to run from running, for as long as a new arrival
//! waits for a CPU. **What it does not see**: a thread that is busy or blocked while another CPU is free (send lag and
//! receive delay tell that), one that waits behind others while a newcomer is let in (`host_watch` has every thread's run
//! delay), and what lasts less than a period and falls between two ticks.
//!
//! **One meter stands for all threads that the scheduler treats alike.** A meter has the policy, nice level, CPUs and
//! control group of the thread that starts it, and goes to whichever CPU is free, as they do. Three meters in one
//! run of 500 subscribers on 2 cores gave p99.9 3.93, 3.92, 3.60 ms and max 7.93, 7.90, 7.93 ms, at the same tick;
//! beside two threads that compute, each crossed 5 ms in 5 of 10 windows of 10 s, and one or another in 8: by
//! chance, not by group. Three cost as much CPU time as the reactor. So a run has one, and threads that are given CPUs
//! or a priority of their own need one that is started with the same.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use feedmark_core::recorder::{INTERVAL_NS, Recorder};
use feedmark_reports::quantile::new_histogram;
use nix::time::{ClockId, clock_gettime};

use crate::clock::RunClock;
use crate::urgency::wake_on_time;

/// Time between two ticks.
pub const PERIOD_NS: u64 = 1_000_000;
/// The running meter.
pub struct HiccupMeter {
    group: &'static str,
    origin_ns: u64,
    thread: JoinHandle<Log>,
    stop: Arc<AtomicBool>,
    worst: Arc<WorstSoFar>,
}

/// The latest tick since somebody last asked.
#[derive(Debug, Default)]
pub struct WorstSoFar(AtomicU64);

impl WorstSoFar {
    /// Its lateness, and begins anew; `None` if there was none, as at the end of the meter.
    pub fn take_ns(&self) -> Option<u64> {
        // No sleep ends before its time, nor at the very nanosecond.
        Some(self.0.swap(0, Ordering::Relaxed)).filter(|late_ns| *late_ns > 0)
    }
}

/// What a meter recorded in the seconds that are judged.
#[derive(Debug)]
pub struct Hiccups {
    /// The threads that it stands for.
    pub group: &'static str,
    /// Lateness of every tick, by the second since the origin that the tick was due in.
    pub recorder: Recorder,
    /// The latest tick.
    pub worst: Option<Tick>,
    /// CPU time of the meter itself, per time that it ran: a share of one core. In a virtual machine, where every timer
    /// leaves it, a wake-up cost up to 28 us; the process's CPU time has that in it.
    pub cpu_share: f64,
}

/// One due wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Run time at which it was due.
    pub due_ns: u64,
    /// Time until the thread ran.
    pub late_ns: u64,
}

impl HiccupMeter {
    /// Starts a meter for the threads of `group`. Ticks are due at whole milliseconds after run time `origin_ns`, the
    /// start of the schedule, which is past or at most a moment ahead; seconds are counted from it.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(clock: RunClock, group: &'static str, origin_ns: u64) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worst = Arc::<WorstSoFar>::default();
        let seen = Arc::clone(&worst);
        // Made here: the thread begins with its first tick.
        let log = Log::new(origin_ns);
        let thread = std::thread::Builder::new()
            .name("hiccups".into())
            .spawn(move || watch(clock, Ticks::after(origin_ns, clock.now_ns()), log, &seen, &stopped))?;
        Ok(Self { group, origin_ns, thread, stop, worst })
    }

    /// What a live view asks now and then.
    pub fn worst_so_far(&self) -> Arc<WorstSoFar> {
        Arc::clone(&self.worst)
    }

    /// Ends the meter: what it recorded in every second (since the origin) that lies in `from_ns..to_ns` of run time,
    /// wholly or in part, because a second cannot be divided any more.
    ///
    /// # Panics
    /// If the meter's thread panicked.
    pub fn finish(self, from_ns: u64, to_ns: u64) -> Hiccups {
        self.stop.store(true, Ordering::Release);
        let log = self.thread.join().expect("the hiccup meter does not panic");
        log.judged(self.group, seconds(self.origin_ns, from_ns, to_ns))
    }
}

/// The whole life of the meter's thread.
fn watch(clock: RunClock, mut ticks: Ticks, mut log: Log, seen: &WorstSoFar, stopped: &AtomicBool) -> Log {
    wake_on_time();
    let (start_ns, start_cpu_ns) = (clock.now_ns(), thread_cpu_ns());
    while !stopped.load(Ordering::Acquire) {
        clock.sleep_until(ticks.next_ns);
        for tick in ticks.passed(clock.now_ns()) {
            log.record(tick);
            seen.0.fetch_max(tick.late_ns, Ordering::Relaxed);
        }
    }
    let ran_ns = clock.now_ns() - start_ns;
    log.cpu_share = (thread_cpu_ns() - start_cpu_ns) as f64 / ran_ns.max(1) as f64;
    log
}

/// CPU time of the calling thread.
fn thread_cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(0, |cpu| cpu.tv_sec() as u64 * feedmark_core::SECOND_NS + cpu.tv_nsec() as u64)
}

/// The absolute times at which the thread should wake: pure, and never re-based.
#[derive(Debug)]
struct Ticks {
    next_ns: u64,
}

impl Ticks {
    /// Ticks at whole periods after `origin_ns`, beginning with the first after `now_ns`.
    fn after(origin_ns: u64, now_ns: u64) -> Self {
        let passed = now_ns.saturating_sub(origin_ns) / PERIOD_NS;
        Self { next_ns: origin_ns + (passed + 1) * PERIOD_NS }
    }

    /// Every tick that was due until now, each late by its own time.
    fn passed(&mut self, now_ns: u64) -> impl Iterator<Item = Tick> {
        std::iter::from_fn(move || {
            let due_ns = self.next_ns;
            let late_ns = now_ns.checked_sub(due_ns)?;
            self.next_ns += PERIOD_NS;
            Some(Tick { due_ns, late_ns })
        })
    }
}

/// Everything that the meter recorded: some 200 bytes a second.
#[derive(Debug)]
struct Log {
    origin_ns: u64,
    recorder: Recorder,
    /// The latest tick of each second, in order.
    worst: Vec<Tick>,
    cpu_share: f64,
}

impl Log {
    fn new(origin_ns: u64) -> Self {
        Self { origin_ns, recorder: Recorder::new(&new_histogram()), worst: Vec::new(), cpu_share: 0.0 }
    }

    fn record(&mut self, tick: Tick) {
        self.recorder.record(tick.due_ns - self.origin_ns, tick.late_ns);
        let second = self.second(&tick);
        match self.worst.last_mut() {
            Some(worst) if (worst.due_ns - self.origin_ns) / INTERVAL_NS == second => {
                if tick.late_ns > worst.late_ns {
                    *worst = tick;
                }
            }
            _ => self.worst.push(tick),
        }
    }

    fn second(&self, tick: &Tick) -> u64 {
        (tick.due_ns - self.origin_ns) / INTERVAL_NS
    }

    /// The seconds that are judged, and no other.
    fn judged(mut self, group: &'static str, seconds: Range<u64>) -> Hiccups {
        let worst = self.worst.iter().filter(|tick| seconds.contains(&self.second(tick)));
        let worst = worst.max_by_key(|tick| tick.late_ns).copied();
        let mut recorder = Recorder::new(&new_histogram());
        for (second, histogram) in self.recorder.intervals().filter(|(second, _)| seconds.contains(second)) {
            for bucket in histogram.iter_recorded() {
                for _ in 0..bucket.count_since_last_iteration() {
                    recorder.record(second * INTERVAL_NS, bucket.value_iterated_to());
                }
            }
        }
        Hiccups { group, recorder, worst, cpu_share: self.cpu_share }
    }
}

/// Seconds since the origin that lie in the window, wholly or in part.
fn seconds(origin_ns: u64, from_ns: u64, to_ns: u64) -> Range<u64> {
    from_ns.saturating_sub(origin_ns) / INTERVAL_NS..to_ns.saturating_sub(origin_ns).div_ceil(INTERVAL_NS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = PERIOD_NS;

    fn lateness(ticks: &mut Ticks, now_ns: u64) -> Vec<u64> {
        ticks.passed(now_ns).map(|tick| tick.late_ns).collect()
    }

    #[test]
    fn a_freeze_counts_for_every_tick_in_it() {
        let mut ticks = Ticks::after(0, 0);
        assert_eq!(lateness(&mut ticks, 1_000_050), [50]);
        let frozen = lateness(&mut ticks, 301 * MS + 7);
        assert_eq!(frozen, (0..300).rev().map(|ms| ms * MS + 7).collect::<Vec<_>>());
        assert_eq!(lateness(&mut ticks, 301 * MS + 9), [0; 0]);
        assert_eq!(ticks.next_ns, 302 * MS);
    }

    #[test]
    fn the_first_tick_is_the_next_one_on_the_grid() {
        for (origin_ns, now_ns, first_ns) in
            [(10, 0, MS + 10), (10, 10, MS + 10), (10, MS + 9, MS + 10), (10, MS + 10, 2 * MS + 10)]
        {
            assert_eq!(Ticks::after(origin_ns, now_ns).next_ns, first_ns, "origin {origin_ns}, now {now_ns}");
        }
    }

    proptest! {
        /// Whenever the thread happens to wake, there is one value for every tick of the span, in order, late by the
        /// time from its own due moment to the first wake-up after it.
        #[test]
        fn every_tick_has_one_value(
            origin_ns in 1..10 * MS,
            sleeps_ns in prop::collection::vec(prop_oneof![4 => 1..2 * MS, 1 => MS..500 * MS], 1..100),
        ) {
            let mut ticks = Ticks::after(origin_ns, origin_ns);
            let (mut now_ns, mut seen) = (origin_ns, Vec::new());
            for sleep_ns in sleeps_ns {
                let before_ns = now_ns;
                now_ns += sleep_ns;
                for tick in ticks.passed(now_ns) {
                    prop_assert!(tick.due_ns > before_ns && tick.due_ns <= now_ns);
                    prop_assert_eq!(tick.late_ns, now_ns - tick.due_ns);
                    seen.push(tick.due_ns);
                }
            }
            let due: Vec<u64> = (1..=(now_ns - origin_ns) / MS).map(|index| origin_ns + index * MS).collect();
            prop_assert_eq!(seen, due);
        }

        /// A freeze of k periods leaves k values, whenever it begins.
        #[test]
        fn a_freeze_of_k_ms_leaves_k_values(phase_ns in 0..MS, k in 1..5000u64) {
            let mut ticks = Ticks::after(0, 5 * MS);
            ticks.passed(9 * MS + phase_ns).for_each(drop);
            prop_assert_eq!(ticks.passed((9 + k) * MS + phase_ns).count() as u64, k);
        }

        /// The judged seconds hold the values that were recorded in them, bucket by bucket, and the worst of these.
        #[test]
        fn judged_seconds_are_what_was_recorded_in_them(
            lates_ns in prop::collection::vec(1..2_000 * MS, 1..60),
            from in 0..6u64,
            length in 0..6u64,
        ) {
            let origin_ns = 77 * MS;
            let ticks: Vec<Tick> = (1..).zip(&lates_ns)
                .map(|(index, late_ns)| Tick { due_ns: origin_ns + index * 100 * MS, late_ns: *late_ns })
                .collect();
            let mut log = Log::new(origin_ns);
            ticks.iter().for_each(|tick| log.record(*tick));
            let judged = log.judged("any", from..from + length);
            let inside: Vec<&Tick> = ticks.iter()
                .filter(|tick| (from..from + length).contains(&((tick.due_ns - origin_ns) / INTERVAL_NS)))
                .collect();
            let mut expected = new_histogram();
            inside.iter().for_each(|tick| expected.record(tick.late_ns).unwrap());
            prop_assert_eq!(judged.recorder.total(), &expected);
            let worst_ns = inside.iter().map(|tick| tick.late_ns).max();
            prop_assert_eq!(judged.worst.map(|tick| tick.late_ns), worst_ns);
            prop_assert!(judged.worst.is_none_or(|worst| inside.contains(&&worst)));
        }
    }

    #[test]
    fn a_second_counts_as_soon_as_it_is_touched() {
        let second = INTERVAL_NS;
        for (origin_ns, from_ns, to_ns, expected) in [
            (100, second + 100, 3 * second + 100, 1..3),
            (100, second + 99, 3 * second + 101, 0..4),
            (100, 0, 50, 0..0),
        ] {
            assert_eq!(seconds(origin_ns, from_ns, to_ns), expected);
        }
    }

    #[test]
    fn a_meter_on_a_running_machine_has_every_tick_and_costs_little() {
        let clock = RunClock::start();
        let origin_ns = clock.now_ns() + 10 * MS;
        let meter = HiccupMeter::start(clock, "any", origin_ns).unwrap();
        clock.sleep_until(origin_ns + 2 * INTERVAL_NS + 50 * MS);
        let hiccups = meter.finish(origin_ns, origin_ns + 2 * INTERVAL_NS);
        assert_eq!(hiccups.group, "any");
        // The tick that is due at the origin itself is none.
        assert_eq!(hiccups.recorder.total().len(), 2 * INTERVAL_NS / PERIOD_NS - 1);
        let worst = hiccups.worst.unwrap();
        assert!(worst.due_ns > origin_ns && worst.due_ns < origin_ns + 2 * INTERVAL_NS);
        assert!(hiccups.cpu_share < 0.1, "{}", hiccups.cpu_share);
    }

    #[test]
    fn a_meter_that_starts_late_begins_with_the_next_tick() {
        let clock = RunClock::start();
        clock.sleep_until(300 * MS);
        let before_ns = clock.now_ns();
        let meter = HiccupMeter::start(clock, "any", 1).unwrap();
        clock.sleep_until(clock.now_ns() + 20 * MS);
        let hiccups = meter.finish(1, clock.now_ns());
        let values = hiccups.recorder.total().len();
        let most = (clock.now_ns() - before_ns) / PERIOD_NS + 1;
        assert!((1..=most).contains(&values), "{values} of {most}");
        assert!(hiccups.worst.unwrap().due_ns >= 300 * MS);
    }
}
