//! Stops one thread of another process, as a debugger does, and lets it go on.

use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// Id of the thread of this name; of a process whose threads are there.
pub(crate) fn named(pid: i32, name: &str) -> Option<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.flatten().find_map(|task| {
        let comm = std::fs::read_to_string(task.path().join("comm")).ok()?;
        (comm.trim_end() == name).then(|| task.file_name().to_str()?.parse().ok().map(Pid::from_raw))?
    })
}

/// Stops the thread for this long; the others of its process go on.
pub(crate) fn stop(thread: Pid, time: Duration) {
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    std::thread::sleep(time);
    ptrace::detach(thread, None).unwrap();
}
