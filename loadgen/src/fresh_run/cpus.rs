//! Which CPUs a target is held to, and which are left to its run.
//!
//! A run's pacer and writers go before every ordinary thread (`urgency`): on a CPU of the target's they would take from it
//! what is to be measured.

use std::process::{Child, Command};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs of the calling thread.
fn allowed() -> nix::Result<CpuSet> {
    sched_getaffinity(Pid::from_raw(0))
}

/// The first `cores` of the CPUs that we may use.
pub(super) fn of_target(cores: u32) -> nix::Result<CpuSet> {
    Ok(split(&allowed()?, cores)?.0)
}

/// The others; where the target has them all, it shares them.
pub(super) fn of_run(cores: u32) -> nix::Result<CpuSet> {
    let allowed = allowed()?;
    let (_, left) = split(&allowed, cores)?;
    Ok(if left == CpuSet::new() { allowed } else { left })
}

fn split(allowed: &CpuSet, cores: u32) -> nix::Result<(CpuSet, CpuSet)> {
    let (mut first, mut left) = (CpuSet::new(), CpuSet::new());
    let is_allowed = |cpu: &usize| allowed.is_set(*cpu).unwrap_or(false);
    for (index, cpu) in (0..CpuSet::count()).filter(is_allowed).enumerate() {
        if index < cores as usize { &mut first } else { &mut left }.set(cpu)?;
    }
    Ok((first, left))
}

/// Starts it with these CPUs. A process has those of the thread that starts it, so a thread is held to them, and ends.
pub(super) fn spawn_on(cpus: &CpuSet, command: &mut Command) -> std::io::Result<Child> {
    let held = || {
        sched_setaffinity(Pid::from_raw(0), cpus)?;
        command.spawn()
    };
    std::thread::scope(|scope| {
        let starter = std::thread::Builder::new().name("starter".into()).spawn_scoped(scope, held)?;
        starter.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that starts it panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cpus: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cpus.iter().for_each(|cpu| set.set(*cpu).unwrap());
        set
    }

    #[test]
    fn what_the_target_has_the_run_has_not() {
        let allowed = set(&[1, 3, 6]);
        assert_eq!(split(&allowed, 1), Ok((set(&[1]), set(&[3, 6]))));
        assert_eq!(split(&allowed, 2), Ok((set(&[1, 3]), set(&[6]))));
        assert_eq!(split(&allowed, 3), Ok((allowed, set(&[]))));
        // Where nothing is left, the run has what there is.
        assert_eq!(of_run(u32::MAX).unwrap(), super::allowed().unwrap());
    }
}
