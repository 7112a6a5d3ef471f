//! The command line: what was typed becomes a call, what came of it an exit code.
//!
//! Results go to stdout, narration and errors to stderr. Exit codes: 0 PASS, 1 error, 2 usage or
//! scenario error, 97 UNRESOLVED, 98 INVALID, 99 FAIL, 130 interrupted.

mod check;
mod init;
mod run;

use std::io::Write as _;
use std::path::Path;

use clap::{Parser, Subcommand};
use target_server::cli::ServerArgs;

use crate::limits::available_cpus;
use crate::scenario::Scenario;
use crate::settings::Settings;

/// The run was interrupted; partial results are kept.
const INTERRUPTED: u8 = 130;
/// Wrong usage or scenario.
const USAGE: u8 = 2;
/// Something that should work did not.
const FAILED: u8 = 1;

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
  feedmark init > feed.toml && feedmark check feed.toml && feedmark run feed.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect subscribers, post, and measure every delivery
    Run(Box<run::RunArgs>),
    /// Validate a scenario and print what it would do
    Check(Box<check::CheckArgs>),
    /// Write a commented scenario to standard output, or to a file
    Init(init::InitArgs),
    /// Run the reference feed server
    Target(Box<ServerArgs>),
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
        Command::Check(args) => check::check(*args),
        Command::Init(args) => init::init(&args),
        Command::Target(args) => args.run().map_or_else(|error| fail(FAILED, &error), |()| 0),
    }
}

/// Reads the file, if one was given, under the flags, and fills in the rest.
fn resolve(flags: Settings, file: Option<&Path>) -> Result<Scenario, String> {
    let settings = match file {
        Some(path) => flags.or(Settings::read(path).map_err(|error| error.to_string())?),
        None => flags,
    };
    Scenario::resolve(settings, available_cpus()).map_err(|error| match file {
        Some(path) => format!("{}: {error}", path.display()),
        None => error.to_string(),
    })
}

/// An error on stderr; gives its exit code.
fn fail(code: u8, error: &dyn std::fmt::Display) -> u8 {
    // A stderr that is closed cannot be told.
    let _ = writeln!(std::io::stderr(), "feedmark: {error}");
    code
}

/// A result on stdout. A reader that has gone away (`| head`) is no error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
