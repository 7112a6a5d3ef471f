//! CPU and memory of the generator and the target, and what disturbs the generator, sampled on the run's time axis.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_reports::run_result::{ProcessSample, ProcessUse};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::process::Process;

use crate::clock::RunClock;
use crate::host_watch::{HostReport, HostWatch};

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Watches one process or two.
pub struct Observer {
    thread: JoinHandle<()>,
    stop: SyncSender<()>,
    watched: Arc<Watched>,
}

struct Watched {
    clock: RunClock,
    processes: Vec<(Process, Mutex<History>)>,
    host: Mutex<HostWatch>,
}

#[derive(Default)]
struct History {
    samples: Vec<ProcessSample>,
    peak_memory_bytes: u64,
}

/// CPU seconds of each watched process at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    at_ns: u64,
    cpu_s: Vec<f64>,
}

impl Observer {
    /// Watches this process, and the target's if its pid is known.
    ///
    /// # Errors
    /// If the target's process does not exist or cannot be watched.
    pub fn start(clock: RunClock, target_pid: Option<i32>) -> Result<Self, procfs::ProcError> {
        let mut processes = vec![(Process::myself()?, Mutex::default())];
        if let Some(pid) = target_pid {
            processes.push((Process::new(pid)?, Mutex::default()));
        }
        let host = Mutex::new(HostWatch::start(clock.now_ns())?);
        let watched = Arc::new(Watched { clock, processes, host });
        let (stop, stopped) = sync_channel(1);
        let thread_watched = Arc::clone(&watched);
        let thread = std::thread::Builder::new()
            .name("observer".into())
            .spawn(move || {
                while stopped.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
                    thread_watched.sample();
                }
            })
            .map_err(|error| procfs::ProcError::Io(error, None))?;
        watched.sample();
        Ok(Self { thread, stop, watched })
    }

    /// Samples now and remembers the CPU time, for a later difference.
    pub fn mark(&self) -> Mark {
        let at_ns = self.watched.clock.now_ns();
        Mark { at_ns, cpu_s: self.watched.sample() }
    }

    /// Ends the watch.
    pub fn finish(self) -> Observed {
        drop(self.stop);
        // A sampler that panicked has left its samples.
        let _ = self.thread.join();
        Observed(self.watched)
    }
}

/// Everything that was sampled.
pub struct Observed(Arc<Watched>);

impl Observed {
    /// What disturbed the generator between two marks.
    pub fn host(&self, from: &Mark, to: &Mark) -> HostReport {
        self.0.host().report(from.at_ns, to.at_ns)
    }

    /// What each process used from `from` to `to`, over this many deliveries. The first is the generator, the
    /// second the target.
    pub fn processes(&self, from: &Mark, to: &Mark, deliveries: u64) -> Vec<ProcessUse> {
        let used = |(index, (_, history)): (usize, &(Process, Mutex<History>))| {
            let history = history.lock().unwrap_or_else(PoisonError::into_inner);
            let cpu_s = (to.cpu_s[index] - from.cpu_s[index]).max(0.0);
            ProcessUse {
                cpu_s,
                cpu_s_per_million_deliveries: (deliveries > 0).then(|| cpu_s / (deliveries as f64 / 1e6)),
                peak_memory_bytes: history.peak_memory_bytes,
                samples: history.samples.clone(),
            }
        };
        self.0.processes.iter().enumerate().map(used).collect()
    }
}

impl Watched {
    fn host(&self) -> MutexGuard<'_, HostWatch> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One sample of each process; a process that is gone keeps its last one.
    fn sample(&self) -> Vec<f64> {
        {
            let mut host = self.host();
            // Read under the lock: its samples come in the order of their times.
            host.sample(self.clock.now_ns());
        }
        let at_ns = self.clock.now_ns();
        self.processes
            .iter()
            .map(|(process, history)| {
                let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((sample, peak)) = read(process, at_ns) {
                    history.samples.push(sample);
                    history.peak_memory_bytes = history.peak_memory_bytes.max(peak);
                }
                history.samples.last().map_or(0.0, |sample| sample.cpu_s)
            })
            .collect()
    }
}

/// CPU time, resident memory and its peak.
fn read(process: &Process, at_ns: u64) -> Option<(ProcessSample, u64)> {
    let status = process.status().ok()?;
    // A zombie has no memory any more.
    let (resident_kb, peak_kb) = (status.vmrss?, status.vmhwm?);
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(process.pid())).ok()?;
    let cpu = clock_gettime(clock).ok()?;
    let cpu_s = cpu.tv_sec() as f64 + cpu.tv_nsec() as f64 / 1e9;
    Some((ProcessSample { at_ns, cpu_s, memory_bytes: resident_kb * 1024 }, peak_kb * 1024))
}
