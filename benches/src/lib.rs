//! The floor programs and benchmarks behind every claim about speed.
//!
//! Invariant: the floor knows nothing of the rest of the workspace. One that shared code with what it is compared to
//! would share its costs too.

pub mod commands;
pub mod count;
pub mod ring;
pub mod subscriber;

use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code of a floor program, whose run returns how many subscribers were lost.
#[must_use]
pub fn exit_code(program: &str, run: anyhow::Result<u64>) -> ExitCode {
    let message = match run {
        Ok(0) => return ExitCode::SUCCESS,
        Ok(lost) => format!("{lost} subscribers were closed by the server; this run is no floor"),
        Err(error) => format!("{error:#}"),
    };
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "{program}: {message}");
    ExitCode::FAILURE
}
