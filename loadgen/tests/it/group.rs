//! A control group for a test: it holds who is put into it to a limit, and is gone when dropped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, io};

use crate::support::eventually;

/// What a group holds its processes to.
#[derive(Clone, Copy)]
pub(crate) enum Held {
    /// So many per cent of a CPU.
    CpuPercent(u64),
    /// So much memory.
    MemoryBytes(u64),
}

/// The folder of the group.
pub(crate) struct Group(PathBuf);

impl Group {
    /// # Errors
    /// Where no such group can be made: it takes root, and the controller.
    pub(crate) fn new(held: Held) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("feedmark-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (controller, first, second) = match held {
            Held::CpuPercent(percent) => {
                let quota_us = percent * 1_000;
                let first = ("cpu.cfs_quota_us", quota_us.to_string());
                ("cpu", first, ("cpu.max", format!("{quota_us} 100000")))
            }
            Held::MemoryBytes(bytes) => {
                let limit = bytes.to_string();
                ("memory", ("memory.limit_in_bytes", limit.clone()), ("memory.max", limit))
            }
        };
        let root = Path::new("/sys/fs/cgroup");
        // Version 1 has a hierarchy for each controller.
        let (parent, (file, value)) = match root.join(controller) {
            folder if folder.is_dir() => (folder, first),
            _ => (root.to_owned(), second),
        };
        fs::create_dir(parent.join(&name))?;
        let group = Self(parent.join(&name));
        fs::write(group.0.join(file), value)?;
        Ok(group)
    }

    pub(crate) fn take(&self, pid: i32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        eventually("the control group is empty", || fs::remove_dir(&self.0).ok());
    }
}
