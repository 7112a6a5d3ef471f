//! The processes of a target: one with everything that it has started, or those of a control group.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use procfs::ProcError;
use procfs::process::{LimitValue, Process};

use crate::host_watch::threads::{ThreadUse, Threads, process_cpu_ns};

/// Processes that are watched; what is found beyond these is not, and is said to be so.
const PROCESSES_MAX: usize = 64;
/// Groups below a group that are looked into.
const GROUPS_MAX: usize = 64;

/// Where the processes are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A process and everything that it started.
    Tree(i32),
    /// A control group's folder, and those below it.
    Group(PathBuf),
}

/// The processes that were found.
pub(super) struct Processes {
    origin: Origin,
    members: BTreeMap<i32, Member>,
    /// Found at the last look and not watched, because there were too many.
    left_out: u32,
    /// CPU time of those that ended, as far as it was seen.
    ended_cpu_ns: u64,
    /// CPUs of the host.
    online: Option<u32>,
}

/// One of them. The handle holds the process, not its number.
struct Member {
    process: Process,
    threads: Threads,
    cpu_ns: u64,
}

/// All of them at one moment.
#[derive(Debug, Default)]
pub(super) struct ProcessesNow {
    pub(super) count: u32,
    /// Found and not watched.
    pub(super) left_out: u32,
    /// Since they started.
    pub(super) cpu_ns: u64,
    pub(super) memory_bytes: u64,
    /// The greatest there was, of a single process as the kernel knows it.
    pub(super) peak_memory_bytes: u64,
    pub(super) cpus: Option<u32>,
    pub(super) descriptors: Option<Descriptors>,
    /// What each thread used since the last sample, with its process.
    pub(super) threads: Vec<(i32, ThreadUse)>,
}

/// Open descriptors of a process, and what it may open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    pub(super) open: u64,
    pub(super) limit: u64,
}

impl Descriptors {
    fn share(self) -> f64 {
        self.open as f64 / self.limit.max(1) as f64
    }
}

impl Processes {
    /// # Errors
    /// If the first process does not exist or cannot be watched.
    pub(super) fn start(origin: Origin) -> Result<Self, ProcError> {
        if let Origin::Tree(pid) = origin {
            Process::new(pid)?.status()?;
        }
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
        let online = online.and_then(|list| number_of(&list));
        let mut processes = Self { origin, members: BTreeMap::new(), left_out: 0, ended_cpu_ns: 0, online };
        // Once: when it has ended, its number may be somebody else's.
        let root = match processes.origin {
            Origin::Tree(pid) => vec![pid],
            Origin::Group(_) => Vec::new(),
        };
        processes.find(root);
        Ok(processes)
    }

    /// The process that the others come from, or the first of a group.
    pub(super) fn first(&self) -> Option<i32> {
        match self.origin {
            Origin::Tree(pid) => Some(pid),
            Origin::Group(_) => self.members.keys().next().copied(),
        }
    }

    /// `None` when none is left.
    pub(super) fn sample(&mut self) -> Option<ProcessesNow> {
        let mut now = ProcessesNow { left_out: self.left_out, ..ProcessesNow::default() };
        let (ended_cpu_ns, online) = (&mut self.ended_cpu_ns, self.online);
        self.members.retain(|_, member| {
            let lives = member.sample(&mut now, online).is_some();
            if !lives {
                *ended_cpu_ns += member.cpu_ns;
            }
            lives
        });
        now.cpu_ns += self.ended_cpu_ns;
        self.find(Vec::new());
        (now.count > 0).then_some(now)
    }

    /// Takes up these and what has come since.
    fn find(&mut self, mut found: Vec<i32>) {
        match &self.origin {
            Origin::Tree(_) => {
                found.extend(self.members.values().flat_map(|member| member.threads.children()));
            }
            Origin::Group(folder) => found.extend(pids_of_group(folder)),
        }
        self.left_out = 0;
        while let Some(pid) = found.pop() {
            if self.members.contains_key(&pid) {
                continue;
            }
            if self.members.len() >= PROCESSES_MAX {
                self.left_out = self.left_out.saturating_add(1);
                continue;
            }
            // One that has gone again already is as if it had never been.
            let Some(member) = Member::of(pid) else { continue };
            if let Origin::Tree(_) = self.origin {
                found.extend(member.threads.children());
            }
            self.members.insert(pid, member);
        }
    }
}

impl Member {
    fn of(pid: i32) -> Option<Self> {
        let handle = || Process::new(pid).ok();
        handle()?.status().ok()?.vmrss?;
        Some(Self { process: handle()?, threads: Threads::of(handle()?), cpu_ns: process_cpu_ns(pid) })
    }

    /// Adds its part; `None` when it has ended.
    fn sample(&mut self, now: &mut ProcessesNow, online: Option<u32>) -> Option<()> {
        let status = self.process.status().ok()?;
        // A zombie has no memory any more.
        let (resident_kb, peak_kb) = (status.vmrss?, status.vmhwm?);
        self.cpu_ns = process_cpu_ns(self.process.pid).max(self.cpu_ns);
        now.count += 1;
        now.cpu_ns += self.cpu_ns;
        now.memory_bytes += resident_kb * 1024;
        now.peak_memory_bytes = match now.count {
            1 => peak_kb * 1024,
            _ => now.memory_bytes,
        };
        now.cpus = now.cpus.max(status.cpus_allowed_list.map(|ranges| cpus(&ranges, online)));
        let descriptors = descriptors(&self.process);
        let nearest = now.descriptors.into_iter().chain(descriptors);
        now.descriptors = nearest.max_by(|a, b| a.share().total_cmp(&b.share()));
        let pid = self.process.pid;
        now.threads.extend(self.threads.sample().into_iter().map(|thread| (pid, thread)));
        Some(())
    }
}

/// Of these CPUs, at most those that the host has on-line: the list names those that could be, too.
fn cpus(ranges: &[(u32, u32)], online: Option<u32>) -> u32 {
    let allowed = ranges.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
    let allowed = allowed.fold(0, u32::saturating_add);
    online.map_or(allowed, |online| online.min(allowed))
}

/// How many are on-line, of a list such as `0-3,8` (kernel documentation, admin-guide/cputopology).
fn number_of(list: &str) -> Option<u32> {
    let range = |range: &str| -> Option<u32> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    list.trim().split(',').try_fold(0u32, |sum, part| sum.checked_add(range(part)?))
}

/// `None` of a process of somebody else.
fn descriptors(process: &Process) -> Option<Descriptors> {
    let folder = Path::new("/proc").join(process.pid.to_string()).join("fd");
    let open = match std::fs::metadata(&folder).ok()?.size() {
        // Linux before 6.2 does not count them for us.
        0 => std::fs::read_dir(&folder).ok()?.count() as u64,
        open => open,
    };
    match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(Descriptors { open, limit }),
        LimitValue::Unlimited => None,
    }
}

/// Those of the group and of the groups below it.
fn pids_of_group(folder: &Path) -> Vec<i32> {
    let (mut folders, mut pids) = (vec![folder.to_owned()], Vec::new());
    let mut seen = 0;
    while let Some(folder) = folders.pop().filter(|_| seen < GROUPS_MAX) {
        seen += 1;
        let listed = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(below.map(|entry| entry.path()));
    }
    pids
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Ends with the test.
    struct Running(Child);

    impl Running {
        fn sh(script: &str) -> Self {
            let mut command = Command::new("sh");
            Self(command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            self.0.id().cast_signed()
        }

        /// So many of them have said that they are there.
        fn await_lines(&mut self, count: usize) {
            use std::io::BufRead as _;
            let lines = std::io::BufReader::new(self.0.stdout.as_mut().unwrap()).lines().take(count);
            assert_eq!(lines.map_while(Result::ok).filter(|line| line == "ready").count(), count);
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            // Its children read from it, and end with it.
            drop(self.0.stdin.take());
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_tree_is_all_that_a_process_started() {
        let mut tree = Running::sh("exec 3<&0; for i in 1 2; do sh -c 'echo ready; cat; :' <&3 & done; wait");
        tree.await_lines(2);
        let mut processes = Processes::start(Origin::Tree(tree.pid())).unwrap();
        let now = processes.sample().unwrap();
        assert!(now.count >= 3, "{now:?}");
        assert!(now.memory_bytes > 0 && now.peak_memory_bytes >= now.memory_bytes, "{now:?}");
        assert!(now.cpus >= Some(1));
        assert!(now.threads.iter().any(|(pid, _)| *pid != tree.pid()));
    }

    #[test]
    fn what_a_child_used_is_not_lost_when_it_ends() {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo ready; read line";
        let mut tree = Running::sh(&format!("exec 3<&0; sh -c '{busy}' <&3; cat <&3"));
        tree.await_lines(1);
        let mut processes = Processes::start(Origin::Tree(tree.pid())).unwrap();
        let before_ns = processes.sample().unwrap().cpu_ns;
        assert!(before_ns > 20_000_000, "{before_ns}");
        std::io::Write::write_all(tree.0.stdin.as_mut().unwrap(), b"go on\n").unwrap();
        while processes.ended_cpu_ns == 0 {
            processes.sample().unwrap();
        }
        assert!(processes.sample().unwrap().cpu_ns >= before_ns);
    }

    #[test]
    fn descriptors_are_counted_and_their_limit_is_read() {
        let mut few = Running::sh("ulimit -n 77; exec 5</dev/null 6</dev/null; echo ready; read line");
        few.await_lines(1);
        let mut processes = Processes::start(Origin::Tree(few.pid())).unwrap();
        let descriptors = processes.sample().unwrap().descriptors.unwrap();
        assert_eq!(descriptors.limit, 77);
        assert!((5..20).contains(&descriptors.open), "{descriptors:?}");
    }

    #[test]
    fn one_that_is_gone_is_refused_and_one_that_goes_is_told() {
        assert!(Processes::start(Origin::Tree(i32::MAX)).is_err());
        let mut child = Running::sh("echo ready; read line");
        child.await_lines(1);
        let mut processes = Processes::start(Origin::Tree(child.pid())).unwrap();
        assert!(processes.sample().is_some());
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert!(processes.sample().is_none());
    }

    /// Its number is that of another process by then, here of the same one that is still there.
    #[test]
    fn the_first_one_is_not_taken_up_again_when_it_has_ended() {
        let mut child = Running::sh("echo ready; read line");
        child.await_lines(1);
        let mut processes = Processes::start(Origin::Tree(child.pid())).unwrap();
        processes.members.clear();
        assert!(processes.sample().is_none());
        assert!(processes.sample().is_none());
    }

    #[test]
    fn processes_beyond_those_that_are_watched_are_told() {
        let mut many = Running::sh(&format!(
            "exec 3<&0; for i in $(seq {}); do (echo ready; read line <&3) & done; wait",
            PROCESSES_MAX + 2
        ));
        many.await_lines(PROCESSES_MAX + 2);
        let mut processes = Processes::start(Origin::Tree(many.pid())).unwrap();
        let now = processes.sample().unwrap();
        assert_eq!((now.count as usize, now.left_out), (PROCESSES_MAX, 3));
    }

    #[test]
    fn cpus_are_those_that_are_on_line() {
        assert_eq!(
            (cpus(&[(0, 0)], Some(2)), cpus(&[(0, 127)], Some(2)), cpus(&[(0, 1), (4, 4)], None)),
            (1, 2, 3)
        );
        let numbers =
            [number_of("0-1\n"), number_of("0-3,8"), number_of("5"), number_of(""), number_of("3-1")];
        assert_eq!(numbers, [Some(2), Some(5), Some(1), None, None]);
    }
}
