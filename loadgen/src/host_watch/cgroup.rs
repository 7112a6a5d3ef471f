//! The CPU quota of the process's control group and of every group above it, each of which can hold it back.

use std::path::{Path, PathBuf};

use procfs::process::MountInfo;

use super::Throttling;
use super::kernel_file::KernelFile;

/// The groups that a process is in, as far as they can be seen from here.
pub(crate) struct Cgroups {
    /// `/proc/<pid>/cgroup`.
    membership_file: PathBuf,
    membership: String,
    levels: Vec<Level>,
}

/// One group: its own quota only, counters are not inherited.
struct Level {
    stat: KernelFile,
    last: Throttling,
}

impl Cgroups {
    /// The groups of a process: a pid, or `self`.
    pub(crate) fn start(pid: &str) -> Self {
        let membership_file = Path::new("/proc").join(pid).join("cgroup");
        let mut cgroups = Self { membership_file, membership: String::new(), levels: Vec::new() };
        cgroups.follow();
        cgroups
    }

    /// Throttling since the last sample; `None` where no group tells.
    pub(crate) fn sample(&mut self) -> Option<Throttling> {
        let sum = self.levels.iter_mut().filter_map(Level::sample).reduce(Throttling::plus);
        self.follow();
        sum
    }

    /// Somebody may have moved the process to another group: what that one held back before is not ours.
    fn follow(&mut self) {
        let membership = std::fs::read_to_string(&self.membership_file).unwrap_or_default();
        if membership == self.membership {
            return;
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let folders = folders(&membership, &mounts, CPU);
        self.levels = folders.iter().filter_map(|(_, folder)| Level::open(folder)).collect();
        self.membership = membership;
    }
}

impl Level {
    /// `None` if the group has no quota to speak of: the controller is not enabled there, or it is the root.
    fn open(folder: &Path) -> Option<Self> {
        let stat = KernelFile::open(folder.join("cpu.stat"))?;
        let last = stat.read(throttling)?;
        Some(Self { stat, last })
    }

    fn sample(&mut self) -> Option<Throttling> {
        let now = self.stat.read(throttling)?;
        let then = std::mem::replace(&mut self.last, now);
        Some(Throttling {
            times: now.times.saturating_sub(then.times),
            held_ns: now.held_ns.saturating_sub(then.held_ns),
        })
    }
}

impl Throttling {
    /// Both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            times: self.times.saturating_add(other.times),
            held_ns: self.held_ns.saturating_add(other.held_ns),
        }
    }
}

/// The controller of CPU quotas.
const CPU: &str = "cpu";

/// Folders of the groups of a process that can have a controller, its own before those above it, from the texts of
/// `/proc/<pid>/cgroup` and `/proc/self/mountinfo` (cgroups(7), proc_pid_mountinfo(5)). A group outside of what is mounted
/// cannot be seen.
pub(crate) fn folders(membership: &str, mountinfo: &str, controller: &str) -> Vec<(Version, PathBuf)> {
    let mounts: Vec<MountInfo> =
        mountinfo.lines().filter_map(|line| MountInfo::from_line(line).ok()).collect();
    let mut folders = Vec::new();
    for (version, path) in membership.lines().filter_map(|line| hierarchy(line, controller)) {
        let below = |mount: &MountInfo| {
            let below = Path::new(path).strip_prefix(&mount.root).ok()?;
            Some((mount.mount_point.clone(), mount.mount_point.join(below)))
        };
        let Some((top, own)) = mounts.iter().filter(|mount| version.is(mount, controller)).find_map(below)
        else {
            continue;
        };
        let up = own.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.extend(up.map(|folder| (version, folder.to_owned())));
    }
    folders
}

/// One of the hierarchies that can hold a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// One for each controller.
    V1,
    /// One for all.
    V2,
}

impl Version {
    pub(crate) fn is(self, mount: &MountInfo, controller: &str) -> bool {
        match self {
            Self::V1 => mount.fs_type == "cgroup" && mount.super_options.contains_key(controller),
            Self::V2 => mount.fs_type == "cgroup2",
        }
    }
}

/// A line `id:controllers:path`: the path of a hierarchy that can have the controller. `/..` is outside of the process's cgroup namespace.
fn hierarchy<'a>(line: &'a str, controller: &str) -> Option<(Version, &'a str)> {
    let mut fields = line.splitn(3, ':');
    let (id, mut controllers, path) = (fields.next()?, fields.next()?.split(','), fields.next()?);
    let version = match id {
        "0" => Version::V2,
        _ if controllers.any(|one| one == controller) => Version::V1,
        _ => return None,
    };
    let is_inside = path.starts_with('/') && !path.split('/').any(|part| part == "..");
    is_inside.then_some((version, path))
}

/// The throttling in a `cpu.stat`: `throttled_time` in ns (v1, kernel documentation scheduler/sched-bwc) or `throttled_usec`
/// (v2, admin-guide/cgroup-v2).
fn throttling(text: &str) -> Option<Throttling> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.trim().parse::<u64>().ok()
    };
    let from_us = || field("throttled_usec")?.checked_mul(1_000);
    Some(Throttling { times: field("nr_throttled")?, held_ns: field("throttled_time").or_else(from_us)? })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Child, Command};

    use proptest::prelude::*;

    use super::*;

    fn folders(membership: &str, mountinfo: &str) -> Vec<PathBuf> {
        super::folders(membership, mountinfo, CPU).into_iter().map(|(_, folder)| folder).collect()
    }

    fn paths<const N: usize>(folders: [&str; N]) -> Vec<PathBuf> {
        folders.iter().map(PathBuf::from).collect()
    }

    const V2_MOUNT: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn v2_has_the_own_group_and_all_above() {
        let found = folders("0::/user.slice/user-1000.slice/run.scope\n", V2_MOUNT);
        let expected = [
            "/sys/fs/cgroup/user.slice/user-1000.slice/run.scope",
            "/sys/fs/cgroup/user.slice/user-1000.slice",
            "/sys/fs/cgroup/user.slice",
            "/sys/fs/cgroup",
        ];
        assert_eq!(found, paths(expected));
    }

    #[test]
    fn v1_takes_the_hierarchy_of_the_cpu_controller() {
        let membership = "5:cpuset:/other\n4:cpu,cpuacct:/docker/ab\n2:name=systemd:/x\n0::/\n";
        let mounts = "33 31 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                      32 31 0:29 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n";
        assert_eq!(folders(membership, mounts), paths(["/sys/fs/cgroup/cpu,cpuacct"]));
        let whole = mounts.replace("/docker/ab ", "/ ");
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct/docker/ab",
            "/sys/fs/cgroup/cpu,cpuacct/docker",
            "/sys/fs/cgroup/cpu,cpuacct",
        ];
        assert_eq!(folders(membership, &whole), paths(expected));
    }

    #[test]
    fn hybrid_has_both_hierarchies() {
        let mounts = format!("{V2_MOUNT}32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
        let found = folders("1:cpu:/a\n0::/b\n", &mounts);
        let expected = ["/sys/fs/cgroup/cpu/a", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/b", "/sys/fs/cgroup"];
        assert_eq!(found, paths(expected));
    }

    #[test]
    fn what_cannot_be_seen_is_left_out() {
        assert!(folders("0::/../../elsewhere\n", V2_MOUNT).is_empty());
        assert!(folders("0::/a\n", "").is_empty());
        assert!(folders("", V2_MOUNT).is_empty());
        assert!(folders("0::/a\n", &V2_MOUNT.replace(" / /sys", " /docker/b /sys")).is_empty());
        assert!(folders("0:\nx\n7:cpuset:/a\n0::relative\n", V2_MOUNT).is_empty());
        assert_eq!(folders("0::/\n", &format!("odd line\n\n{V2_MOUNT}")).len(), 1);
    }

    #[test]
    fn reads_both_forms_of_cpu_stat() {
        let v1 = "nr_periods 12\nnr_throttled 3\nthrottled_time 250000000\nnr_bursts 0\nburst_time 0\n";
        assert_eq!(throttling(v1), Some(Throttling { times: 3, held_ns: 250_000_000 }));
        let v2 = "usage_usec 900\nuser_usec 500\nsystem_usec 400\nnr_periods 12\nnr_throttled 3\nthrottled_usec 250000\n";
        assert_eq!(throttling(v2), Some(Throttling { times: 3, held_ns: 250_000_000 }));
        let v2_without_controller = "usage_usec 11825711073\nuser_usec 10137051820\nsystem_usec 1688659252\n";
        for none in [
            v2_without_controller,
            "",
            "nr_throttled\nthrottled_time 1\n",
            "nr_throttled x\nthrottled_time 1\n",
            "nr_throttled 1\n",
            "nr_throttled 1\nthrottled_usec 18446744073709551615\n",
        ] {
            assert_eq!(throttling(none), None, "{none:?}");
        }
    }

    proptest! {
        /// No content makes a reader panic.
        #[test]
        fn survives_anything(
            membership in "(0|1|:|cpu|,|/|\\.\\.|\n|\\PC){0,40}",
            mounts in "(cgroup2|cgroup|rw,cpu| - |/|[0-9]|:| |\n|\\PC){0,60}",
            stat in "(nr_throttled|throttled_usec|throttled_time|[0-9]{0,22}|[ \n]|\\PC){0,40}",
        ) {
            let _ = (folders(&membership, &mounts), folders(&membership, V2_MOUNT), throttling(&stat));
        }
    }

    /// A control group that exists as long as the test.
    struct Quota {
        folder: PathBuf,
        busy: Option<Child>,
    }

    impl Quota {
        /// A tenth of a CPU for whoever is in it; `None`, with a line on stderr, where that is not permitted.
        fn a_tenth(test: &str) -> Option<Self> {
            let name = format!("feedmark-test-{}-{test}", std::process::id());
            let made = (|| {
                let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
                let mounts = mounts.lines().filter_map(|line| MountInfo::from_line(line).ok());
                let usable = mounts.filter(|mount| Version::V1.is(mount, CPU) || Version::V2.is(mount, CPU));
                usable.into_iter().find_map(|mount| Self::make(mount.mount_point.join(&name)))
            })();
            if made.is_none() {
                let _ = writeln!(std::io::stderr(), "skipped: no CPU quota can be set here, run as root");
            }
            made
        }

        fn make(folder: PathBuf) -> Option<Self> {
            std::fs::create_dir(&folder).ok()?;
            let quota = Self { folder, busy: None };
            let v1 = std::fs::write(quota.folder.join("cpu.cfs_quota_us"), "10000");
            let set = v1.or_else(|_| {
                std::fs::write(quota.folder.join("cpu.max"), "10000 100000").and_then(|()| {
                    // A file of that name appears only where the controller is enabled.
                    std::fs::metadata(quota.folder.join("cpu.weight")).map(drop)
                })
            });
            set.ok().map(|()| quota)
        }

        /// A child that computes for ever, in the group `inner` inside.
        fn burn_inside(&mut self, inner: &str) -> u32 {
            let child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
            let pid = child.id();
            self.busy = Some(child);
            let folder = self.folder.join(inner);
            if !inner.is_empty() {
                std::fs::create_dir(&folder).unwrap();
            }
            std::fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
            pid
        }
    }

    impl Drop for Quota {
        fn drop(&mut self) {
            if let Some(mut child) = self.busy.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
            let _ = std::fs::remove_dir(self.folder.join("inner"));
            let _ = std::fs::remove_dir(&self.folder);
        }
    }

    #[test]
    fn a_quota_that_holds_back_shows_also_from_a_group_above() {
        for inner in ["", "inner"] {
            let Some(mut quota) = Quota::a_tenth("held") else { return };
            let mut cgroups = Cgroups::start(&quota.burn_inside(inner).to_string());
            std::thread::sleep(std::time::Duration::from_millis(600));
            let throttled = cgroups.sample().unwrap();
            assert!(throttled.times >= 2, "{throttled:?}");
            assert!(throttled.held_ns >= 100_000_000, "{throttled:?}");
        }
    }

    #[test]
    fn a_process_that_is_moved_brings_no_old_throttling() {
        let Some(mut quota) = Quota::a_tenth("moved") else { return };
        quota.burn_inside("");
        std::thread::sleep(std::time::Duration::from_millis(300));
        // This one is outside first.
        let mut moved = Command::new("sleep").arg("60").spawn().unwrap();
        let mut cgroups = Cgroups::start(&moved.id().to_string());
        std::fs::write(quota.folder.join("cgroup.procs"), moved.id().to_string()).unwrap();
        let at_the_move = cgroups.sample();
        std::thread::sleep(std::time::Duration::from_millis(400));
        let after = cgroups.sample();
        moved.kill().unwrap();
        moved.wait().unwrap();
        assert_eq!(at_the_move.unwrap_or_default(), Throttling::default());
        assert!(after.is_some_and(|throttled| throttled.times >= 1), "{after:?}");
    }
}
