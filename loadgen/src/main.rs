//! The `feedmark` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(feedmark::cli::main())
}
