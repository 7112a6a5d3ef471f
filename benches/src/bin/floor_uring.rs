//! The floor's counterpart with `io_uring`: what feedmark's engine could cost if it did not ask for every read.
//!
//! The same contract as the floor's, on stdin and stdout and in what is counted. One thread; every subscriber has one
//! receive that stays armed, and one system call waits for and brings what came to all of them.

use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use feedmark_benches::commands::{Command, Commands};
use feedmark_benches::count::Count;
use feedmark_benches::ring::{Received, Ring};
use feedmark_benches::subscriber;

/// The floor with io_uring: multishot receives into provided buffers.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    subscribers: subscriber::Options,
    /// Let what comes gather for this long before it is taken; 0 takes it at once
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 0)]
    pause: u32,
    /// With --pause: so many reads end it early
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
}

fn main() -> ExitCode {
    feedmark_benches::exit_code("floor_uring", run(&Options::parse()))
}

/// The whole run; returns how many subscribers were lost.
fn run(options: &Options) -> anyhow::Result<u64> {
    let subscribers = options.subscribers.connect()?;
    let commands = Commands::listen(options.subscribers.seconds)?;
    let mut ring = Ring::new(options.subscribers.subscribers, options.subscribers.stamps)?;
    if options.pause > 0 {
        ring.ensure_pauses()?;
    }
    for (index, stream) in subscribers.iter().enumerate() {
        ring.receive(stream, index as u64).context("io_uring_enter")?;
    }
    ring.watch(&commands, Commands::TOKEN).context("io_uring_enter")?;
    receive(options, &mut ring, &subscribers, &commands)
}

/// The measured part.
fn receive(
    options: &Options,
    ring: &mut Ring,
    subscribers: &[TcpStream],
    commands: &Commands,
) -> anyhow::Result<u64> {
    let mut count = Count::start()?;
    loop {
        ring.wait(options.batch as usize, options.pause).context("io_uring_enter")?;
        count.waits += 1;
        while let Some(completion) = ring.take() {
            let (token, armed) = (completion.token, completion.armed);
            if token == Commands::TOKEN {
                match commands.take()? {
                    Command::End => return count.report(subscribers.len()),
                    Command::Restart => count.restart()?,
                }
                ring.watch(commands, Commands::TOKEN).context("io_uring_enter")?;
                continue;
            }
            let stream = &subscribers[token as usize];
            let goes_on = match ring.received(&completion) {
                Received::Bytes(bytes, stamped) => {
                    count.stamped += u64::from(stamped);
                    if !count.read(stream, bytes) {
                        // Its receive ends with this, and then it is counted as lost; it may be closed already.
                        let _ = stream.shutdown(Shutdown::Both);
                    }
                    true
                }
                Received::NoBuffer => true,
                Received::End => false,
            };
            ring.give_back(completion);
            match (goes_on, armed) {
                (true, true) => {}
                (true, false) => ring.receive(stream, token).context("io_uring_enter")?,
                (false, _) => count.lose(),
            }
        }
    }
}
