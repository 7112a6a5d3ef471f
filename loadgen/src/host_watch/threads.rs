//! CPU time of every thread of a process, and the time it was ready to run and had no CPU.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use procfs::process::{Process, Task};
use procfs::{FromRead, ProcResult};

/// Threads of a process that are watched; one that is found beyond these is not. The generator has one thread per four CPUs
/// and a few.
const THREADS_MAX: usize = 512;
/// Longest name of a thread: Linux's own bound.
const NAME_BYTES_MAX: u64 = 64;

/// What one thread used between two samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadUse {
    /// Tells threads of one name apart; never used again.
    pub(crate) id: u64,
    /// The thread's name, `main` for the first one; `a + b` for threads that ended within the same window.
    pub name: Arc<str>,
    /// CPU time, user and system.
    pub cpu_ns: u64,
    /// Time ready to run without a CPU; `None` if the kernel does not tell, or the thread ended.
    pub run_delay_ns: Option<u64>,
}

/// The threads of a process.
pub(crate) struct Threads {
    process: Process,
    known: BTreeMap<i32, Known>,
    next_id: u64,
    /// The kernel keeps scheduler statistics; else CPU time comes in ticks of 10 ms, and without run delay.
    has_schedstat: bool,
    last_process_cpu_ns: u64,
}

struct Known {
    id: u64,
    /// Holds the thread, not its number: once it ends, reads fail, even if the number is given again.
    task: Task,
    name: Arc<str>,
    last: Reading,
}

/// Counters of one thread since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    cpu_ns: u64,
    run_delay_ns: Option<u64>,
}

impl Threads {
    /// Those of `process`, counted from now on.
    pub(crate) fn of(process: Process) -> Self {
        let mut threads = Self {
            process,
            known: BTreeMap::new(),
            next_id: 0,
            has_schedstat: has_schedstat(),
            last_process_cpu_ns: 0,
        };
        threads.sample();
        threads
    }

    /// Processes that the threads have started, those that are gone left out.
    pub(crate) fn children(&self) -> Vec<i32> {
        let tasks = self.known.values().filter_map(|thread| thread.task.children().ok());
        tasks.flatten().map(u32::cast_signed).collect()
    }

    /// What each thread used since the last sample: all of it where it started since then, and where it ended since
    /// then what the process used and no living thread did.
    pub(crate) fn sample(&mut self) -> Vec<ThreadUse> {
        let process_cpu_ns = process_cpu_ns(self.process.pid);
        let (mut used, mut ended) = (Vec::new(), Vec::new());
        self.known.retain(|_, thread| match thread.sample(self.has_schedstat) {
            Some(thread_use) => {
                used.push(thread_use);
                true
            }
            None => {
                ended.push((thread.id, Arc::clone(&thread.name)));
                false
            }
        });
        self.find_new(&mut used);
        let living_ns: u64 = used.iter().map(|thread| thread.cpu_ns).sum();
        let rest_ns = process_cpu_ns.saturating_sub(self.last_process_cpu_ns).saturating_sub(living_ns);
        used.extend(use_of_ended(&ended, rest_ns));
        self.last_process_cpu_ns = process_cpu_ns;
        used
    }

    fn find_new(&mut self, used: &mut Vec<ThreadUse>) {
        // Not to be listed is not an error: what is known stays known.
        let Ok(tasks) = self.process.tasks() else { return };
        for task in tasks.flatten() {
            if self.known.contains_key(&task.tid) || self.known.len() >= THREADS_MAX {
                continue;
            }
            let tid = task.tid;
            let mut thread = Known { id: self.next_id, task, name: "".into(), last: Reading::default() };
            // One that has gone again already is as if it had never been.
            let Some(thread_use) = thread.sample(self.has_schedstat) else { continue };
            self.next_id += 1;
            used.push(thread_use);
            self.known.insert(tid, thread);
        }
    }
}

impl Known {
    /// `None` if it has ended.
    fn sample(&mut self, has_schedstat: bool) -> Option<ThreadUse> {
        let now = read(&self.task, has_schedstat)?;
        // A thread names itself after it has started.
        let name = self.task.read::<_, Name>("comm").ok()?.0;
        if self.task.tid == self.task.pid {
            self.name = "main".into();
        } else if *self.name != *name {
            self.name = name.into();
        }
        let then = std::mem::replace(&mut self.last, now);
        Some(ThreadUse {
            id: self.id,
            name: Arc::clone(&self.name),
            cpu_ns: now.cpu_ns.saturating_sub(then.cpu_ns),
            run_delay_ns: now.run_delay_ns.map(|ns| ns.saturating_sub(then.run_delay_ns.unwrap_or_default())),
        })
    }
}

/// Threads that ended are one: nobody knows any more which of them used it.
fn use_of_ended(ended: &[(u64, Arc<str>)], cpu_ns: u64) -> Option<ThreadUse> {
    let (id, _) = ended.first()?;
    let names: Vec<&str> = ended.iter().map(|(_, name)| &**name).collect();
    Some(ThreadUse { id: *id, name: names.join(" + ").into(), cpu_ns, run_delay_ns: None })
}

fn read(task: &Task, has_schedstat: bool) -> Option<Reading> {
    if has_schedstat {
        let schedstat = task.schedstat().ok()?;
        return Some(Reading { cpu_ns: schedstat.sum_exec_runtime, run_delay_ns: Some(schedstat.run_delay) });
    }
    let stat = task.stat().ok()?;
    let tick_ns = feedmark_core::SECOND_NS / procfs::ticks_per_second().max(1);
    Some(Reading {
        cpu_ns: stat.utime.saturating_add(stat.stime).saturating_mul(tick_ns),
        run_delay_ns: None,
    })
}

/// CPU time of all threads of a process, also of those that ended; 0 once it is gone.
pub(crate) fn process_cpu_ns(pid: i32) -> u64 {
    let cpu = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).and_then(clock_gettime);
    cpu.map_or(0, |cpu| cpu.tv_sec() as u64 * feedmark_core::SECOND_NS + cpu.tv_nsec() as u64)
}

/// The calling thread has been on a CPU: zero means that nobody counts.
fn has_schedstat() -> bool {
    let me = || Process::myself()?.task_from_tid(nix::unistd::gettid().as_raw())?.schedstat();
    me().is_ok_and(|schedstat| schedstat.pcount > 0)
}

/// A thread's name may end in half a character.
struct Name(String);

impl FromRead for Name {
    fn from_read<R: Read>(reader: R) -> ProcResult<Self> {
        let mut bytes = Vec::new();
        reader.take(NAME_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Self(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
    }
}

/// Waits until this process has a thread whose name begins so, or none: `spawn` returns before the thread has its name, and
/// `join` before the kernel has let go of it.
#[cfg(test)]
pub(crate) fn await_listed(name: &str, listed: bool) {
    let is_listed = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let mut names = tasks.filter_map(|task| std::fs::read(task.path().join("comm")).ok());
        names.any(|comm| comm.starts_with(name.as_bytes()))
    };
    while is_listed() != listed {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_thread_is_itself_until_it_ends() {
        let mut threads = Threads::of(Process::myself().unwrap());
        let (go, wait) = sync_channel::<()>(0);
        // Cut by the kernel after 15 bytes, in the middle of a character.
        let thread = std::thread::Builder::new().name("abcdefghijklmn\u{e4}".into());
        let thread = thread.spawn(move || wait.recv()).unwrap();
        await_listed("abcdefgh", true);
        let named = |used: &[ThreadUse]| {
            let mut found = used.iter().filter(|thread| thread.name.starts_with("abcdefgh"));
            (found.next().map(|thread| thread.id), found.count())
        };
        let (first, others) = named(&threads.sample());
        assert!(first.is_some());
        assert_eq!(others, 0);
        assert_eq!(named(&threads.sample()).0, first);
        drop(go);
        let _ = thread.join().unwrap();
        await_listed("abcdefgh", false);
        assert_eq!(named(&threads.sample()).0, first, "its last share");
        assert_eq!(named(&threads.sample()).0, None);
    }

    #[test]
    fn threads_that_ended_share_what_is_left() {
        let ended = |names: &[&str]| -> Vec<(u64, Arc<str>)> {
            (7..).zip(names.iter().map(|name| Arc::from(*name))).collect()
        };
        assert_eq!(use_of_ended(&[], 5), None);
        let one = use_of_ended(&ended(&["a"]), 5).unwrap();
        assert_eq!((one.id, &*one.name, one.cpu_ns, one.run_delay_ns), (7, "a", 5, None));
        assert_eq!(&*use_of_ended(&ended(&["a", "b"]), 5).unwrap().name, "a + b");
    }

    #[test]
    fn ticks_serve_where_there_are_no_scheduler_statistics() {
        let process = Process::myself().unwrap();
        let task = process.task_from_tid(nix::unistd::gettid().as_raw()).unwrap();
        let before = read(&task, false).unwrap();
        let clock = crate::clock::RunClock::start();
        let pid = process.pid;
        let start_ns = process_cpu_ns(pid);
        while process_cpu_ns(pid) < start_ns + 100_000_000 {
            std::hint::black_box(clock.now_ns());
        }
        let used_ns = read(&task, false).unwrap().cpu_ns - before.cpu_ns;
        assert!(used_ns >= 50_000_000, "{used_ns}");
        assert_eq!(before.run_delay_ns, None);
    }
}
