//! What may disturb the generator, on the run's time axis: how busy each of its threads is and how long it waits for a
//! CPU, what the hypervisor takes, what a quota holds back, how long anything here waits for a CPU.
//!
//! Reads a dozen small kernel files per sample (under 1 ms); has no thread and no clock of its own, somebody calls
//! [`HostWatch::sample`] once a second, away from the hot path. A file that this kernel does not have is
//! "not available" (`None`), which is not zero and not an error.

pub(crate) mod cgroup;
pub(crate) mod kernel_file;
mod report;
mod system;
pub(crate) mod threads;

use procfs::ProcError;
use procfs::process::Process;

use cgroup::Cgroups;
pub use report::{HostReport, Peak, ThreadReport, Window};
use system::{CpuTicks, System};
pub use threads::ThreadUse;
use threads::Threads;

/// Watches this process and its host.
pub struct HostWatch {
    threads: Threads,
    cgroups: Cgroups,
    system: System,
    slices: Vec<Slice>,
    last_ns: u64,
}

/// How often a quota held the process back, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Enforcement periods (100 ms by default) in which the quota ran out.
    pub times: u64,
    /// Time held back, summed over the CPUs: it may exceed the time that passed.
    pub held_ns: u64,
}

/// What happened between two samples.
#[derive(Debug, Clone, Default)]
struct Slice {
    from_ns: u64,
    to_ns: u64,
    threads: Vec<ThreadUse>,
    ticks: Option<CpuTicks>,
    throttled: Option<Throttling>,
    pressure_ns: Option<u64>,
}

impl HostWatch {
    /// Takes the first sample: what was used before it is in no window.
    ///
    /// # Errors
    /// If this process has no folder in `/proc`.
    pub fn start(now_ns: u64) -> Result<Self, ProcError> {
        Ok(Self {
            threads: Threads::of(Process::myself()?),
            cgroups: Cgroups::start("self"),
            system: System::start(),
            slices: Vec::new(),
            last_ns: now_ns,
        })
    }

    /// Closes the time since the last sample; `now_ns` is run time and does not go back. Sample where a phase begins and
    /// ends as well, so that no sample mixes two phases.
    pub fn sample(&mut self, now_ns: u64) {
        let (ticks, pressure_ns) = self.system.sample();
        self.slices.push(Slice {
            from_ns: self.last_ns,
            to_ns: now_ns,
            threads: self.threads.sample(),
            ticks,
            throttled: self.cgroups.sample(),
            pressure_ns,
        });
        self.last_ns = now_ns;
    }

    /// What was seen between two moments of run time, each moved to the sample nearest to it: at most half a second away
    /// where nobody sampled at the moment itself.
    pub fn report(&self, from_ns: u64, to_ns: u64) -> HostReport {
        report::report(&self.slices, from_ns, to_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::time::{ClockId, clock_gettime};

    use super::*;
    use crate::clock::RunClock;

    const MS: u64 = 1_000_000;

    /// A thread that computes until it is told to stop, and then says how much CPU time it had.
    fn burn(name: &str, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
        let stop = Arc::clone(stop);
        let run = move || {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
            cpu.tv_sec() as u64 * 1_000 * MS + cpu.tv_nsec() as u64
        };
        std::thread::Builder::new().name(name.into()).spawn(run).unwrap()
    }

    #[test]
    fn a_busy_thread_is_the_busiest_and_its_share_is_what_its_own_clock_says() {
        let clock = RunClock::start();
        let start_ns = clock.now_ns();
        let mut watch = HostWatch::start(start_ns).unwrap();
        let stop = Arc::default();
        let busy = burn("busy", &stop);
        clock.sleep_until(start_ns + 1_000 * MS);
        watch.sample(clock.now_ns());
        let end_ns = clock.now_ns();
        stop.store(true, Ordering::Relaxed);
        let truth = busy.join().unwrap() as f64 / (clock.now_ns() - start_ns) as f64;
        let report = watch.report(start_ns, end_ns);
        let busiest = report.busiest().unwrap();
        assert_eq!(busiest.name, "busy");
        // It started inside the window, and all it used since then is in it; the scheduler accounts at its ticks.
        assert!((busiest.cpu_max.share - truth).abs() < 0.05, "{busiest:?}, its own clock says {truth}");
        assert!(busiest.cpu_max.at_ns <= end_ns);
        assert!(report.threads.iter().any(|thread| thread.name == "main"), "{:?}", report.threads);
    }

    #[test]
    fn a_thread_that_ended_keeps_what_it_used_to_its_end() {
        let clock = RunClock::start();
        let start_ns = clock.now_ns();
        let mut watch = HostWatch::start(start_ns).unwrap();
        let stop = Arc::default();
        let busy = burn("short-lived", &stop);
        clock.sleep_until(start_ns + 300 * MS);
        watch.sample(start_ns + 600 * MS);
        clock.sleep_until(clock.now_ns() + 300 * MS);
        stop.store(true, Ordering::Relaxed);
        let truth_ns = busy.join().unwrap();
        threads::await_listed("short-lived", false);
        // The watch takes the time as it is told: the machine's other work cannot move the windows.
        watch.sample(start_ns + 1_200 * MS);
        watch.sample(start_ns + 1_800 * MS);
        let report = watch.report(start_ns, start_ns + 1_800 * MS);
        assert_eq!(report.windows.len(), 3);
        let ended = report.threads.iter().find(|thread| thread.name == "short-lived").unwrap();
        assert!(ended.cpu_ns.abs_diff(truth_ns) < 30 * MS, "{ended:?}, its own clock says {truth_ns}");
        let last = &report.windows[2].threads;
        assert!(last.iter().all(|thread| &*thread.name != "short-lived"), "{last:?}");
    }

    #[test]
    fn two_busy_threads_on_one_cpu_wait_for_each_other() {
        let clock = RunClock::start();
        let one_cpu = std::process::Command::new("taskset")
            .args(["-pc", "0", &nix::unistd::gettid().to_string()])
            .output();
        if !one_cpu.is_ok_and(|output| output.status.success()) {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: taskset cannot pin a thread here");
            return;
        }
        let start_ns = clock.now_ns();
        let mut watch = HostWatch::start(start_ns).unwrap();
        let stop = Arc::default();
        let burners = [burn("left", &stop), burn("right", &stop)];
        clock.sleep_until(start_ns + 1_000 * MS);
        watch.sample(clock.now_ns());
        stop.store(true, Ordering::Relaxed);
        for burner in burners {
            burner.join().unwrap();
        }
        let report = watch.report(start_ns, clock.now_ns());
        for name in ["left", "right"] {
            let thread = report.threads.iter().find(|thread| thread.name == name).unwrap();
            // A kernel without scheduler statistics does not tell.
            let Some(waited) = thread.run_delay_max else { continue };
            let sum = thread.cpu_max.share + waited.share;
            assert!(waited.share > 0.2 && (0.85..1.05).contains(&sum), "{thread:?}");
        }
    }

    #[test]
    fn a_sample_is_cheap() {
        let clock = RunClock::start();
        let mut watch = HostWatch::start(clock.now_ns()).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let idle: Vec<_> = (0..10)
            .map(|_| {
                let stop = Arc::clone(&stop);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::thread::park_timeout(std::time::Duration::from_millis(50));
                    }
                })
            })
            .collect();
        let fastest_ns = (0..50)
            .map(|_| {
                let before_ns = clock.now_ns();
                watch.sample(before_ns);
                clock.now_ns() - before_ns
            })
            .min();
        stop.store(true, Ordering::Relaxed);
        idle.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(fastest_ns.unwrap() < MS, "{fastest_ns:?}");
    }
}
