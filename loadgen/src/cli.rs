//! The command line: what was typed becomes a call, what came of it an exit code.
//!
//! Results go to stdout, narration and errors to stderr. Exit codes: 0 PASS, 1 error, 2 usage or
//! scenario error, 97 UNRESOLVED, 98 INVALID, 99 FAIL, 130 interrupted.

mod baseline;
mod calibrate;
mod capacity;
mod check;
mod compare;
mod export;
mod gate;
mod github;
mod init;
mod live;
mod null_target;
mod outlets;
mod report;
mod run;
mod target;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use clap::{Parser, Subcommand};
use feedmark_reports::terminal::Style;

use crate::limits::available_cpus;
use crate::scenario::Scenario;
use crate::settings::{self, Settings};

/// The run was interrupted; partial results are kept.
const INTERRUPTED: u8 = 130;
/// Wrong usage or scenario.
const USAGE: u8 = 2;
/// Something that should work did not.
const FAILED: u8 = 1;
/// Columns of a result that is printed as text.
const PLAIN_WIDTH: u16 = 80;

/// Measures the fan-out of a realtime feed: one person posts, how long until everyone sees it, and
/// who never does?
#[derive(Debug, Parser)]
#[command(name = "feedmark", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 pass, 1 error, 2 usage or scenario error, 97 unresolved, 98 invalid, 99 fail, 130 interrupted

Examples:
  feedmark run                                        drive the reference server
  feedmark run --url http://127.0.0.1:3000 -c 200 -r 5/s -d 1m
  feedmark init > feed.toml && feedmark check feed.toml && feedmark run feed.toml
  feedmark run --save-baseline main, then later: feedmark run --baseline main
  feedmark capacity --slo 'full_fanout p99 < 400ms' --budget 10m --plan '2000 subscribers, 3/s'
  feedmark compare runs/before runs/after --format markdown";

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect subscribers, post, and measure every delivery
    #[command(args_override_self = true)]
    Run(Box<run::RunArgs>),
    /// Make the report of a run or a gate anew, from the files of its folder; lay several runs over each other
    #[command(args_override_self = true)]
    Report(report::ReportArgs),
    /// Set runs side by side: what has changed, and whether that can be told from chance
    #[command(args_override_self = true)]
    Compare(compare::CompareArgs),
    /// Find out what this host can resolve: run the load against the null target, and keep the floor
    #[command(args_override_self = true)]
    Calibrate(Box<calibrate::CalibrateArgs>),
    /// Find out what a target can carry, what gives way first, and whether planned loads fit
    #[command(args_override_self = true)]
    Capacity(Box<capacity::CapacityArgs>),
    /// Tell whether a candidate is worse than the base: pairs of runs in random order, until the answer is sure
    #[command(args_override_self = true)]
    Gate(Box<gate::GateArgs>),
    /// Validate a scenario and print what it would do
    #[command(args_override_self = true)]
    Check(Box<check::CheckArgs>),
    /// Write a commented scenario to standard output, or to a file
    Init(init::InitArgs),
    /// Run the reference feed server
    #[command(args_override_self = true)]
    Target(Box<target::TargetArgs>),
    /// Run the null target: the least that a server can do, to find the floor of this host
    NullTarget(null_target::NullTargetArgs),
}

/// Parses the arguments, does what they say, and gives the process's exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results, everything else is a usage error; clap knows which is which.
            let _ = error.print();
            return if error.use_stderr() { USAGE } else { 0 };
        }
    };
    match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Report(args) => report::report(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Calibrate(args) => calibrate::calibrate(*args),
        Command::Capacity(args) => capacity::capacity(*args),
        Command::Gate(args) => gate::gate(*args),
        Command::Check(args) => check::check(*args),
        Command::Init(args) => init::init(&args),
        Command::Target(args) => target::target(*args),
        Command::NullTarget(args) => null_target::null_target(&args),
    }
}

/// Reads the file, if one was given, under the flags, and fills in the rest.
fn resolve(flags: Settings, file: Option<&Path>) -> Result<Scenario, String> {
    resolve_without(|_| (), flags, file)
}

/// The same, after `drop` has taken settings away.
fn resolve_without(
    drop: impl FnOnce(&mut Settings),
    flags: Settings,
    file: Option<&Path>,
) -> Result<Scenario, String> {
    resolve_with_settings(drop, flags, file).map(|(_, scenario)| scenario)
}

/// The same, with the settings that it comes from.
fn resolve_with_settings(
    drop: impl FnOnce(&mut Settings),
    flags: Settings,
    file: Option<&Path>,
) -> Result<(Settings, Scenario), String> {
    let of_file = file.map(Settings::read).transpose().map_err(|error| error.to_string())?;
    let mut settings = flags.clone().or(of_file.unwrap_or_default());
    drop(&mut settings);
    let scenario = Scenario::resolve(settings.clone(), available_cpus()).map(|scenario| (settings, scenario));
    let Some(path) = file else { return scenario.map_err(|error| error.to_string()) };
    scenario.map_err(|error| {
        let line = if flags.is_set(error.setting) { None } else { settings::line_of(path, error.setting) };
        line.map_or_else(|| error.to_string(), |line| format!("{}: line {line}: {error}", path.display()))
    })
}

/// An error on stderr; gives its exit code.
fn fail(code: u8, error: &dyn std::fmt::Display) -> u8 {
    warn(error);
    code
}

/// What went wrong, on stderr.
fn warn(error: &dyn std::fmt::Display) {
    // A stderr that is closed cannot be told.
    let _ = writeln!(std::io::stderr(), "feedmark: {error}");
}

/// The exit code of a verdict, and an error if something could not be exported: it turns only a PASS into an error,
/// because any other code says more.
fn concluded(code: u8, exported: Result<(), String>) -> u8 {
    match exported {
        Ok(()) => code,
        Err(error) => fail(if code == 0 { FAILED } else { code }, &error),
    }
}

/// A result on stdout. A reader that has gone away (`| head`) is no error.
///
/// # Errors
/// When stdout does not take it, a full disk for example.
fn print(text: &str) -> Result<(), String> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// How to print what goes to stdout.
fn style(no_color: bool) -> Style {
    Style { color: wants_color(no_color) && std::io::stdout().is_terminal(), width: PLAIN_WIDTH }
}

/// Nobody has asked for none.
fn wants_color(no_color: bool) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !no_color
}

/// The exit code of a command that is done when its result is printed.
fn printed(text: &str) -> u8 {
    print(text).map_or_else(|error| fail(FAILED, &error), |()| 0)
}
