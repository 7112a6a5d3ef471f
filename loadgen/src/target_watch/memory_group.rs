//! The control group that limits the target's memory, and what the kernel counts in it (kernel documentation,
//! admin-guide/cgroup-v1/memory and admin-guide/cgroup-v2).

use std::path::{Path, PathBuf};

use crate::host_watch::cgroup::{Version, folders};
use crate::host_watch::kernel_file::KernelFile;

const MEMORY: &str = "memory";
/// Version 1 writes "no limit" as a number just below 2^63.
const UNLIMITED_FROM: u64 = 1 << 62;

/// The memory groups that a process is in.
pub(super) struct MemoryGroup {
    own: Counters,
    /// The nearest limit.
    limiting: Option<Limiting>,
    /// The generator is not in the own group.
    is_targets_own: bool,
    kills_before: Option<u64>,
}

/// A group with a limit.
struct Limiting {
    limit_bytes: u64,
    counters: Counters,
    is_shared: bool,
}

/// Files of a group.
struct Counters {
    version: Version,
    usage: Option<KernelFile>,
    stat: Option<KernelFile>,
    events: Option<KernelFile>,
    /// Version 1 alone: the kernel's part, and that of TCP.
    kernel: Vec<KernelFile>,
}

/// A group at one moment.
#[derive(Debug, Default, PartialEq)]
pub(super) struct GroupMemory {
    /// Of the group with the nearest limit.
    pub(super) limited_bytes: Option<u64>,
    /// The kernel's part of a group that the generator is not in.
    pub(super) kernel_bytes: Option<u64>,
}

impl MemoryGroup {
    /// Of a process; `None` where no memory controller can be seen.
    pub(super) fn of(pid: i32) -> Option<Self> {
        let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
        let mounts = read("/proc/self/mountinfo".to_owned());
        let folders_of = |pid: &str| folders(&read(format!("/proc/{pid}/cgroup")), &mounts, MEMORY);
        let (groups, generators) = (folders_of(&pid.to_string()), folders_of("self"));
        let is_shared = |folder: &PathBuf| generators.iter().any(|(_, generators)| generators == folder);
        // In a hybrid tree one of the two hierarchies has the controller.
        let (version, own) = groups.iter().find(|(version, folder)| has_usage(*version, folder))?;
        let limited = groups.iter().filter_map(|(version, folder)| {
            let limit_bytes = KernelFile::open(folder.join(version.limit_file()))?.read(limit)?;
            Some((limit_bytes, *version, folder))
        });
        let limiting =
            limited.min_by_key(|(limit_bytes, ..)| *limit_bytes).map(|(limit_bytes, version, folder)| {
                Limiting {
                    limit_bytes,
                    counters: Counters::open(version, folder),
                    is_shared: is_shared(folder),
                }
            });
        let (own_counters, is_targets_own) = (Counters::open(*version, own), !is_shared(own));
        let kills_before = own_counters.kills();
        Some(Self { own: own_counters, limiting, is_targets_own, kills_before })
    }

    pub(super) fn sample(&self) -> GroupMemory {
        GroupMemory {
            limited_bytes: self.limiting.as_ref().and_then(|group| group.counters.used_bytes()),
            kernel_bytes: self.is_targets_own.then(|| self.own.kernel_bytes()).flatten(),
        }
    }

    pub(super) fn limit_bytes(&self) -> Option<u64> {
        self.limiting.as_ref().map(|group| group.limit_bytes)
    }

    /// The limit is one for the generator, too.
    pub(super) fn is_shared(&self) -> bool {
        self.limiting.as_ref().is_some_and(|group| group.is_shared)
    }

    /// Processes of the group killed for want of memory since it is watched.
    pub(super) fn kills(&self) -> Option<Kills> {
        let count = self.own.kills()?.saturating_sub(self.kills_before?);
        Some(Kills { count, may_be_others: !self.is_targets_own })
    }
}

/// Processes that were killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kills {
    count: u64,
    /// Of a group that the generator is in, too, and whatever else runs beside it.
    may_be_others: bool,
}

impl Kills {
    /// Those that were the target's: of a group that others are in none as long as it lives, and one when it does not.
    pub(super) fn of_target(self, lives: bool) -> u64 {
        match (self.may_be_others, lives) {
            (false, _) => self.count,
            (true, true) => 0,
            (true, false) => self.count.min(1),
        }
    }
}

fn has_usage(version: Version, folder: &Path) -> bool {
    folder.join(version.usage_file()).exists()
}

impl Version {
    const fn usage_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.usage_in_bytes",
            Self::V2 => "memory.current",
        }
    }

    const fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }

    const fn events_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.oom_control",
            Self::V2 => "memory.events",
        }
    }
}

impl Counters {
    fn open(version: Version, folder: &Path) -> Self {
        let open = |name: &str| KernelFile::open(folder.join(name));
        let kernel: &[&str] = match version {
            Version::V1 => &["memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"],
            Version::V2 => &[],
        };
        Self {
            version,
            usage: open(version.usage_file()),
            stat: open("memory.stat"),
            events: open(version.events_file()),
            kernel: kernel.iter().filter_map(|name| open(name)).collect(),
        }
    }

    /// What is used, without the files that nobody has touched for long: the kernel drops them before it kills.
    fn used_bytes(&self) -> Option<u64> {
        let inactive = match self.version {
            Version::V1 => "total_inactive_file",
            Version::V2 => "inactive_file",
        };
        let usage = self.usage.as_ref()?.read(number)?;
        Some(usage.saturating_sub(self.stat.as_ref()?.read(|text| field(text, inactive))?))
    }

    fn kernel_bytes(&self) -> Option<u64> {
        match self.version {
            Version::V1 => self.kernel.iter().map(|file| file.read(number)).sum(),
            // Socket buffers are not in `kernel`.
            Version::V2 => {
                self.stat.as_ref()?.read(|text| Some(field(text, "kernel")? + field(text, "sock")?))
            }
        }
    }

    fn kills(&self) -> Option<u64> {
        self.events.as_ref()?.read(|text| field(text, "oom_kill"))
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A limit, if there is one: version 2 writes `max` for none.
fn limit(text: &str) -> Option<u64> {
    number(text).filter(|bytes| *bytes < UNLIMITED_FROM)
}

/// The value of a line `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    number(text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a group.
    fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn reads_both_versions() {
        let first = group(&[
            ("memory.usage_in_bytes", "1000\n"),
            ("memory.stat", "cache 1\ninactive_file 1\ntotal_inactive_file 300\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ("memory.kmem.usage_in_bytes", "70\n"),
            ("memory.kmem.tcp.usage_in_bytes", "5\n"),
        ]);
        let second = group(&[
            ("memory.current", "1000\n"),
            ("memory.stat", "anon 600\nkernel 60\nkernel_stack 9\nsock 15\ninactive_file 300\n"),
            ("memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ]);
        for (version, folder) in [(Version::V1, first), (Version::V2, second)] {
            let counters = Counters::open(version, folder.path());
            let read = (counters.used_bytes(), counters.kernel_bytes(), counters.kills());
            assert_eq!(read, (Some(700), Some(75), Some(2)), "{version:?}");
        }
    }

    #[test]
    fn a_kill_in_a_shared_group_is_the_targets_when_it_is_gone() {
        let kills = |count, may_be_others, lives| Kills { count, may_be_others }.of_target(lives);
        assert_eq!((kills(2, false, true), kills(2, false, false)), (2, 2));
        assert_eq!((kills(2, true, true), kills(2, true, false), kills(0, true, false)), (0, 1, 0));
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        let empty = group(&[("memory.usage_in_bytes", "x\n"), ("memory.oom_control", "oom_killed 2\n")]);
        for version in [Version::V1, Version::V2] {
            let counters = Counters::open(version, empty.path());
            assert_eq!((counters.used_bytes(), counters.kills()), (None, None), "{version:?}");
        }
        assert_eq!(
            (limit("max\n"), limit("9223372036854771712\n"), limit("4096\n")),
            (None, None, Some(4096))
        );
    }
}
