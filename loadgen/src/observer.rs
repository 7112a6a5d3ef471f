//! CPU and memory of the generator and the target, and what disturbs the generator, sampled on the run's time axis.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_reports::run_result::{ProcessSample, ProcessUse};
use feedmark_reports::target_use::TargetUse;
use procfs::ProcError;
use procfs::process::Process;

use crate::clock::RunClock;
use crate::host_watch::threads::process_cpu_ns;
use crate::host_watch::{HostReport, HostWatch};
use crate::live::snapshot::ProcessNow;
use crate::target_watch::{Place, TargetWatch, WatchError};

/// What the processes are doing now.
#[derive(Debug, Clone)]
pub struct ObservedNow {
    /// The generator.
    pub generator: Option<ProcessNow>,
    /// The target, if it is watched.
    pub target: Option<ProcessNow>,
    /// What disturbed the generator since the moment that was asked about.
    pub host: Option<HostReport>,
}

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Shortest time that makes a ratio.
const SHARE_NS_MIN: u64 = 500_000_000;

/// Watches the generator, and the target where it can.
pub struct Observer {
    thread: JoinHandle<()>,
    stop: SyncSender<()>,
    watched: Arc<Watched>,
}

struct Watched {
    clock: RunClock,
    generator: Mutex<Generator>,
    target: Option<Mutex<TargetWatch>>,
    host: Mutex<HostWatch>,
}

/// This process.
struct Generator {
    process: Process,
    samples: Vec<ProcessSample>,
    peak_memory_bytes: u64,
}

/// CPU seconds of the generator and the target at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    at_ns: u64,
    generator_cpu_s: f64,
    target_cpu_s: f64,
}

impl Observer {
    /// Watches this process, and the target if its place is known.
    ///
    /// # Errors
    /// If the target is not there or cannot be watched.
    pub fn start(clock: RunClock, target: Option<&Place>) -> Result<Self, WatchError> {
        let process = Process::myself().map_err(WatchError::Generator)?;
        let generator = Generator { process, samples: Vec::new(), peak_memory_bytes: 0 };
        let target = target.map(TargetWatch::start).transpose()?.map(Mutex::new);
        let host = Mutex::new(HostWatch::start(clock.now_ns()).map_err(WatchError::Generator)?);
        let watched = Arc::new(Watched { clock, generator: Mutex::new(generator), target, host });
        let (stop, stopped) = sync_channel(1);
        let thread_watched = Arc::clone(&watched);
        let thread = std::thread::Builder::new()
            .name("observer".into())
            .spawn(move || {
                while stopped.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
                    thread_watched.sample();
                }
            })
            .map_err(|error| WatchError::Generator(ProcError::Io(error, None)))?;
        watched.sample();
        Ok(Self { thread, stop, watched })
    }

    /// Samples now and remembers the CPU time, for a later difference.
    pub fn mark(&self) -> Mark {
        self.watched.sample()
    }

    /// What the latest samples say, and of the host since run time `from_ns`.
    pub fn now(&self, from_ns: Option<u64>) -> ObservedNow {
        let now_ns = self.watched.clock.now_ns();
        ObservedNow {
            generator: process_now(&lock(&self.watched.generator).samples),
            target: self.watched.target.as_ref().and_then(|target| process_now(&lock(target).samples)),
            host: from_ns.map(|from_ns| lock(&self.watched.host).report(from_ns, now_ns)),
        }
    }

    /// Ends the watch.
    pub fn finish(self) -> Observed {
        drop(self.stop);
        // A sampler that panicked has left its samples.
        let _ = self.thread.join();
        Observed(self.watched)
    }
}

/// The latest sample, and what the process used since the last one that is long enough ago.
fn process_now(samples: &[ProcessSample]) -> Option<ProcessNow> {
    let latest = samples.last()?;
    let before = samples.iter().rev().find(|sample| sample.at_ns + SHARE_NS_MIN <= latest.at_ns)?;
    let cpu_cores = (latest.cpu_s - before.cpu_s) / ((latest.at_ns - before.at_ns) as f64 / 1e9);
    Some(ProcessNow { cpu_s: latest.cpu_s, cpu_cores, memory_bytes: latest.memory_bytes })
}

/// Everything that was sampled.
pub struct Observed(Arc<Watched>);

impl Observed {
    /// What disturbed the generator between two marks.
    pub fn host(&self, from: &Mark, to: &Mark) -> HostReport {
        lock(&self.0.host).report(from.at_ns, to.at_ns)
    }

    /// What the generator used from `from` to `to`, over this many deliveries.
    pub fn generator(&self, from: &Mark, to: &Mark, deliveries: u64) -> ProcessUse {
        let generator = lock(&self.0.generator);
        let cpu_s = to.generator_cpu_s - from.generator_cpu_s;
        process_use(cpu_s, deliveries, generator.peak_memory_bytes, &generator.samples)
    }

    /// The same of the target, all its processes together.
    pub fn target(&self, from: &Mark, to: &Mark, deliveries: u64) -> Option<ProcessUse> {
        let target = lock(self.0.target.as_ref()?);
        let cpu_s = to.target_cpu_s - from.target_cpu_s;
        Some(process_use(cpu_s, deliveries, target.peak_memory_bytes, &target.samples))
    }

    /// What else the target used; its busiest thread is that between the marks.
    pub fn target_use(&self, from: &Mark, to: &Mark) -> Option<TargetUse> {
        Some(lock(self.0.target.as_ref()?).report(from.at_ns, to.at_ns))
    }
}

fn process_use(cpu_s: f64, deliveries: u64, peak_memory_bytes: u64, samples: &[ProcessSample]) -> ProcessUse {
    let cpu_s = cpu_s.max(0.0);
    ProcessUse {
        cpu_s,
        cpu_s_per_million_deliveries: (deliveries > 0).then(|| cpu_s / (deliveries as f64 / 1e6)),
        peak_memory_bytes,
        samples: samples.to_vec(),
    }
}

impl Watched {
    fn sample(&self) -> Mark {
        {
            let mut host = lock(&self.host);
            // Read under the lock: its samples come in the order of their times.
            host.sample(self.clock.now_ns());
        }
        let generator_cpu_s = {
            let mut generator = lock(&self.generator);
            generator.sample(self.clock.now_ns());
            generator.samples.last().map_or(0.0, |sample| sample.cpu_s)
        };
        let mut target = self.target.as_ref().map(lock);
        let at_ns = self.clock.now_ns();
        let target_cpu_s = target.as_mut().map_or(0.0, |target| {
            target.sample(at_ns);
            target.samples.last().map_or(0.0, |sample| sample.cpu_s)
        });
        Mark { at_ns, generator_cpu_s, target_cpu_s }
    }
}

impl Generator {
    /// CPU time, resident memory and its peak.
    fn sample(&mut self, at_ns: u64) {
        let Ok(status) = self.process.status() else { return };
        let (Some(resident_kb), Some(peak_kb)) = (status.vmrss, status.vmhwm) else { return };
        let cpu_s = process_cpu_ns(self.process.pid) as f64 / 1e9;
        self.samples.push(ProcessSample { at_ns, cpu_s, memory_bytes: resident_kb * 1024 });
        self.peak_memory_bytes = self.peak_memory_bytes.max(peak_kb * 1024);
    }
}

/// A sampler that panicked has left whole samples.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
