//! `feedmark run` as a process of its own, so that every run begins alike.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{FreshRun, cpus};
use crate::blame::Blame;
use crate::interrupt;
use crate::live::Live;
use crate::target::end_of_log;

/// How often a run that goes on is looked at.
const LOOK_EVERY_NS: u64 = 20_000_000;
/// Exit codes of runs that have a `run.json`: PASS, UNRESOLVED, INVALID, FAIL.
const MEASURED: [i32; 4] = [0, 97, 98, 99];

/// What it drives.
pub(super) struct Target {
    pub(super) url: String,
    /// The process to sample.
    pub(super) pid: Option<i32>,
}

/// Runs, and waits; what the run prints goes to its log. Somebody who stops us ends the run at once.
///
/// # Errors
/// Whose fault it is, and what it said, if it measured nothing.
pub(super) fn run(
    wanted: &FreshRun<'_>,
    target: &Target,
    live: &mut Live,
    mut look: impl FnMut(&mut Live),
) -> Result<(), (Blame, String)> {
    let log = wanted.folder.join(format!("{}.log", wanted.label));
    let blame_file = wanted.folder.join(format!("{}.blame", wanted.label));
    let opened = File::create(&log)
        .map_err(|error| (Blame::Folder, format!("cannot write {}: {error}", log.display())))?;
    // What an earlier attempt left is not of this one.
    Blame::take_from(&blame_file);
    let mut run = start(wanted, target, &opened, &blame_file)
        .map_err(|error| (Blame::Generator, format!("cannot start it: {error}")))?;
    let clock = live.clock();
    loop {
        match run.try_wait() {
            Ok(Some(status)) if status.code().is_some_and(|code| MEASURED.contains(&code)) => return Ok(()),
            Ok(Some(status)) => return Err((Blame::take_from(&blame_file), what_it_said(status, &log))),
            Ok(None) if interrupt::stop_asked() => {
                // It is ours and has not been waited for, so the pid is still its own.
                let _ = run.kill();
                let _ = run.wait();
                return Err((Blame::Generator, "interrupted".to_owned()));
            }
            Ok(None) => {
                look(live);
                clock.sleep_until(clock.now_ns() + LOOK_EVERY_NS);
            }
            Err(error) => return Err((Blame::Generator, error.to_string())),
        }
    }
}

/// A log does not tell that its process was killed.
fn what_it_said(status: ExitStatus, log: &Path) -> String {
    match status.signal() {
        Some(_) => format!("it was ended by a {status}, and said: {}", end_of_log(log)),
        None => end_of_log(log),
    }
}

fn start(wanted: &FreshRun<'_>, target: &Target, log: &File, blame_file: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // The settings come as a file that is nowhere on a disk, because headers may be secrets.
    command.args([
        "run",
        "/dev/stdin",
        "--quiet",
        "--no-report",
        "--url",
        &target.url,
        "--seed",
        &wanted.seed.to_string(),
        "--out",
    ]);
    command.arg(wanted.out()).arg("--blame-file").arg(blame_file);
    // A control group has the process in it.
    if let Some(pid) = target.pid.filter(|_| wanted.settings.target_cgroup.is_none()) {
        command.args(["--target-pid", &pid.to_string()]);
    }
    if let Some(store) = wanted.store {
        command.arg("--store").arg(store);
    }
    // The environment is in the settings already, and would beat the flags that are in them, too. And whoever wants the
    // run tells GitHub Actions, not each of its runs.
    let is_ours = |name: &[u8]| name.starts_with(b"FEEDMARK_") || name.starts_with(b"GITHUB_");
    let settings = std::env::vars_os().filter(|(name, _)| is_ours(name.as_encoded_bytes()));
    settings.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        // A Ctrl-C in the terminal is for us, who end the run.
        .process_group(0);
    let mut run = match wanted.cores {
        None => command.spawn()?,
        Some(cores) => cpus::spawn_on(&cpus::of_run(cores)?, &mut command)?,
    };
    let scenario = toml::to_string(wanted.settings).map_err(std::io::Error::other)?;
    if let Some(mut stdin) = run.stdin.take() {
        // A run that does not read it has said why in its log.
        let _ = stdin.write_all(scenario.as_bytes());
    }
    Ok(run)
}
