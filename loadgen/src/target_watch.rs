//! What the target uses, where it runs on this host: its processes, its control group and its network namespace.
//!
//! Reads a few small kernel files per process and thread and sample; has no thread and no clock of its own, somebody calls
//! `TargetWatch::sample` once a second. What this kernel does not tell, or not to us, is "not available" (`None`), which
//! is not zero and not an error.

mod memory_group;
pub mod metrics;
mod processes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use feedmark_reports::run_result::ProcessSample;
use feedmark_reports::target_use::{BusiestThread, TargetSample, TargetUse};
use procfs::ProcError;
use procfs::process::MountInfo;

use crate::host_watch::cgroup::{Cgroups, Version};
use crate::host_watch::kernel_file::KernelFile;
use memory_group::MemoryGroup;
use processes::{Origin, Processes, ProcessesNow};

/// A thread that used less than this share of one CPU is not remembered.
const THREAD_SHARE_MIN: f64 = 0.01;

/// Where the target is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A process and everything that it starts.
    Process(i32),
    /// A control group, by its path in the hierarchies, as `/proc/<pid>/cgroup` shows it.
    Group(String),
}

/// Why a target cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no such process, or it is not ours to watch.
    #[error("cannot watch process {pid} (--target-pid): {error}")]
    Process {
        /// Its pid.
        pid: i32,
        /// What the system said.
        error: ProcError,
    },
    /// There is no such group, or nothing in it.
    #[error(
        "there is no process in a control group `{path}` (--target-cgroup): /proc/PID/cgroup shows the path of a process's"
    )]
    Group {
        /// As given.
        path: String,
    },
    /// `/metrics` cannot be read, or has nothing that was asked for.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    /// This process cannot watch itself.
    #[error("cannot watch the generator: {0}")]
    Generator(ProcError),
}

/// Watches the target.
pub(crate) struct TargetWatch {
    processes: Processes,
    quotas: Cgroups,
    memory: Option<MemoryGroup>,
    sockets: Option<KernelFile>,
    /// CPU time and memory.
    pub(crate) samples: Vec<ProcessSample>,
    pub(crate) peak_memory_bytes: u64,
    used: TargetUse,
    throttled_ns: u64,
    threads: Vec<ThreadsSlice>,
}

/// What its threads used between two samples.
struct ThreadsSlice {
    to_ns: u64,
    used: Vec<(ThreadId, Arc<str>, u64)>,
}

/// Of a process, and of a thread in it.
type ThreadId = (i32, u64);

impl TargetWatch {
    /// Looks for it. Throttling and kills are counted from now on.
    ///
    /// # Errors
    /// If nothing is there.
    pub(crate) fn start(place: &Place) -> Result<Self, WatchError> {
        let origin = match place {
            Place::Process(pid) => Origin::Tree(*pid),
            Place::Group(path) => {
                let folder = folder_of_group(path).ok_or_else(|| WatchError::Group { path: path.clone() })?;
                Origin::Group(folder)
            }
        };
        let missing = |error| match place {
            Place::Process(pid) => WatchError::Process { pid: *pid, error },
            Place::Group(path) => WatchError::Group { path: path.clone() },
        };
        let processes = Processes::start(origin).map_err(missing)?;
        let Some(first) = processes.first() else { return Err(missing(ProcError::Other(String::new()))) };
        Ok(Self {
            processes,
            quotas: Cgroups::start(&first.to_string()),
            memory: MemoryGroup::of(first),
            sockets: KernelFile::open(format!("/proc/{first}/net/sockstat")),
            samples: Vec::new(),
            peak_memory_bytes: 0,
            used: TargetUse::default(),
            throttled_ns: 0,
            threads: Vec::new(),
        })
    }

    /// One sample; a target that is gone keeps its last one.
    pub(crate) fn sample(&mut self, at_ns: u64) {
        // Before the processes: a kill that ended the last one counts.
        let kills = self.memory.as_ref().and_then(MemoryGroup::kills);
        let now = self.processes.sample();
        let own_kills = kills.map(|kills| kills.of_target(now.is_some()));
        self.used.memory_kills = own_kills.or(self.used.memory_kills);
        let Some(now) = now else { return };
        let last_ns = self.samples.last().map_or(0, |sample| sample.at_ns);
        let busiest_thread_share = self.remember_threads(&now, last_ns, at_ns);
        let throttled = self.quotas.sample().map(|throttling| {
            self.throttled_ns += throttling.held_ns;
            self.throttled_ns
        });
        let group = self.memory.as_ref().map(MemoryGroup::sample).unwrap_or_default();
        self.samples.push(ProcessSample {
            at_ns,
            cpu_s: now.cpu_ns as f64 / 1e9,
            memory_bytes: now.memory_bytes,
        });
        self.peak_memory_bytes = self.peak_memory_bytes.max(now.peak_memory_bytes);
        self.used.processes_max = self.used.processes_max.max(now.count);
        self.used.processes_left_out_max = self.used.processes_left_out_max.max(now.left_out);
        self.used.cpus = now.cpus;
        self.used.samples.push(TargetSample {
            at_ns,
            busiest_thread_share,
            throttled_ns: throttled,
            descriptors: now.descriptors.map(|descriptors| descriptors.open),
            descriptors_limit: now.descriptors.map(|descriptors| descriptors.limit),
            group_memory_bytes: group.limited_bytes,
            kernel_memory_bytes: group.kernel_bytes,
            socket_buffer_bytes: self.sockets.as_ref().and_then(|file| file.read(socket_buffers)),
        });
    }

    /// The share of one CPU that the busiest one used; `None` of the first sample.
    fn remember_threads(&mut self, now: &ProcessesNow, from_ns: u64, to_ns: u64) -> Option<f64> {
        let length_ns = to_ns.checked_sub(from_ns).filter(|_| !self.samples.is_empty())?;
        let least_ns = (length_ns as f64 * THREAD_SHARE_MIN) as u64;
        let used = now.threads.iter().filter(|(_, thread)| thread.cpu_ns > least_ns);
        let used = used.map(|(pid, thread)| ((*pid, thread.id), Arc::clone(&thread.name), thread.cpu_ns));
        let used: Vec<_> = used.collect();
        let most_ns = used.iter().map(|(.., cpu_ns)| *cpu_ns).max().unwrap_or_default();
        self.threads.push(ThreadsSlice { to_ns, used });
        (length_ns > 0).then(|| most_ns as f64 / length_ns as f64)
    }

    /// What was seen; the busiest thread is that between two samples.
    pub(crate) fn report(&self, from_ns: u64, to_ns: u64) -> TargetUse {
        TargetUse {
            memory_limit_bytes: self.memory.as_ref().and_then(MemoryGroup::limit_bytes),
            memory_is_shared: self.memory.as_ref().is_some_and(MemoryGroup::is_shared),
            busiest_thread: self.busiest_thread(from_ns, to_ns),
            ..self.used.clone()
        }
    }

    fn busiest_thread(&self, from_ns: u64, to_ns: u64) -> Option<BusiestThread> {
        let slices = self.threads.iter().filter(|slice| slice.to_ns > from_ns && slice.to_ns <= to_ns);
        let (mut last_ns, mut sums) = (None, BTreeMap::<ThreadId, (&str, u64)>::new());
        for slice in slices {
            last_ns = Some(slice.to_ns);
            for (id, name, cpu_ns) in &slice.used {
                let sum = sums.entry(*id).or_insert((name, 0));
                *sum = (name, sum.1 + cpu_ns);
            }
        }
        let length_ns = last_ns?.checked_sub(from_ns).filter(|length_ns| *length_ns > 0)?;
        let (name, cpu_ns) = sums.into_values().max_by_key(|(_, cpu_ns)| *cpu_ns)?;
        Some(BusiestThread { name: name.to_owned(), cpu_share: cpu_ns as f64 / length_ns as f64 })
    }
}

/// The group in the first hierarchy that has it.
fn folder_of_group(path: &str) -> Option<std::path::PathBuf> {
    let below = Path::new(path).strip_prefix("/").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mounts = mounts.lines().filter_map(|line| MountInfo::from_line(line).ok());
    let hierarchies = mounts.filter(|mount| {
        Version::V2.is(mount, "") || ["memory", "cpu", "pids"].iter().any(|name| Version::V1.is(mount, name))
    });
    let folders = hierarchies.into_iter().map(|mount| mount.mount_point.join(below));
    folders.into_iter().find(|folder| folder.join("cgroup.procs").exists())
}

/// Pages of the buffers of TCP sockets: the `mem` of the line `TCP:` (kernel documentation, networking/proc).
fn socket_buffers(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "mem");
    words.nth(1)?.parse::<u64>().ok()?.checked_mul(procfs::page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_buffers_of_sockets() {
        let text = "sockets: used 16\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 137\nUDP: inuse 0 mem 0\n";
        assert_eq!(socket_buffers(text), Some(137 * procfs::page_size()));
        for none in ["", "TCP: inuse 1 mem", "TCP: inuse 1\nUDP: mem 5\n", "TCP: mem 99999999999999999999\n"]
        {
            assert_eq!(socket_buffers(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_busiest_thread_is_one_thread_over_the_whole_time() {
        let mut watch = TargetWatch::start(&Place::Process(std::process::id().cast_signed())).unwrap();
        let slice = |to_ns, used: &[(u64, &str, u64)]| ThreadsSlice {
            to_ns,
            used: used.iter().map(|(id, name, cpu_ns)| ((1, *id), Arc::from(*name), *cpu_ns)).collect(),
        };
        watch.threads = vec![
            slice(1_000, &[(0, "before", 1_000)]),
            slice(2_000, &[(1, "worker", 500), (2, "worker", 400)]),
            slice(3_000, &[(1, "worker", 100), (2, "worker", 400)]),
            slice(4_000, &[(0, "after", 1_000)]),
        ];
        let busiest = watch.busiest_thread(1_000, 3_000);
        assert_eq!(busiest, Some(BusiestThread { name: "worker".to_owned(), cpu_share: 0.4 }));
        assert_eq!(watch.busiest_thread(4_000, 9_000), None);
    }

    #[test]
    fn a_place_that_is_not_there_is_named() {
        let said = |place: &Place| TargetWatch::start(place).map(drop).unwrap_err().to_string();
        assert!(said(&Place::Process(i32::MAX)).contains(&format!("process {} (--target-pid)", i32::MAX)));
        for path in ["/no/such/group", "no slash", ""] {
            assert!(said(&Place::Group(path.to_owned())).contains("(--target-cgroup)"), "{path}");
        }
    }
}
