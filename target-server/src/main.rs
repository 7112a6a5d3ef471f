//! `target-server`: the reference feed as a program of its own. Parses arguments and nothing else.

use std::process::ExitCode;

use clap::Parser;
use target_server::cli::ServerArgs;

/// The reference feed: REST and Socket.IO on one port, durable posts.
#[derive(Parser, Debug)]
#[command(name = "target-server", version)]
struct Command {
    #[command(flatten)]
    server: ServerArgs,
}

#[expect(clippy::print_stderr, reason = "the last word of a program that could not serve")]
fn main() -> ExitCode {
    match Command::parse().server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("target-server: {failure}");
            ExitCode::FAILURE
        }
    }
}
