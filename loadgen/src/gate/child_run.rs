//! One run of a pair: `feedmark run` as a process of its own, so that every run begins alike.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Gate;
use crate::clock::RunClock;
use crate::interrupt;
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

/// Runs into `out`, and waits; what the run prints goes to `log`. Somebody who stops the gate ends the run at once.
///
/// # Errors
/// What it said, if it measured nothing.
pub(super) fn run(
    gate: &Gate,
    target: &Target,
    seed: u64,
    out: &Path,
    log: &Path,
    clock: RunClock,
) -> Result<(), String> {
    let mut run = start(gate, target, seed, out, log).map_err(|error| format!("cannot start it: {error}"))?;
    loop {
        match run.try_wait() {
            Ok(Some(status)) if status.code().is_some_and(|code| MEASURED.contains(&code)) => return Ok(()),
            Ok(Some(_)) => return Err(end_of_log(log)),
            Ok(None) if interrupt::stop_asked() => {
                // It is ours and has not been waited for, so the pid is still its own.
                let _ = run.kill();
                let _ = run.wait();
                return Err("interrupted".to_owned());
            }
            Ok(None) => clock.sleep_until(clock.now_ns() + LOOK_EVERY_NS),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn start(gate: &Gate, target: &Target, seed: u64, out: &Path, log: &Path) -> std::io::Result<Child> {
    let log = File::create(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    // The settings come as a file that is nowhere on a disk, because headers may be secrets.
    command.args([
        "run",
        "/dev/stdin",
        "--quiet",
        "--url",
        &target.url,
        "--seed",
        &seed.to_string(),
        "--out",
    ]);
    command.arg(out);
    if let Some(pid) = target.pid {
        command.args(["--target-pid", &pid.to_string()]);
    }
    if let Some(store) = &gate.store {
        command.arg("--store").arg(store);
    }
    // The environment is in the settings already, and would beat the flags that are in them, too. And it is the gate that
    // tells GitHub Actions, not each of its runs.
    let is_ours = |name: &[u8]| name.starts_with(b"FEEDMARK_") || name.starts_with(b"GITHUB_");
    let settings = std::env::vars_os().filter(|(name, _)| is_ours(name.as_encoded_bytes()));
    settings.for_each(|(name, _)| {
        command.env_remove(name);
    });
    let mut run = command
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C in the terminal is for the gate, which ends the run.
        .process_group(0)
        .spawn()?;
    let scenario = toml::to_string(&gate.settings).map_err(std::io::Error::other)?;
    if let Some(mut stdin) = run.stdin.take() {
        // A run that does not read it has said why in its log.
        let _ = stdin.write_all(scenario.as_bytes());
    }
    Ok(run)
}
