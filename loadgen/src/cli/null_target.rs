//! `feedmark null-target`.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use clap::Args;

use super::{FAILED, fail, print};
use crate::clock::RunClock;
use crate::null_target::NullTarget;

#[derive(Debug, Args)]
pub(super) struct NullTargetArgs {
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen on; 0 takes any free one, which is printed
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Stop when standard input ends, so that a parent that dies takes it along
    #[arg(long)]
    stop_on_stdin_eof: bool,
}

pub(super) fn null_target(args: &NullTargetArgs) -> u8 {
    serve(args).map_or_else(|error| fail(FAILED, &error), |()| 0)
}

fn serve(args: &NullTargetArgs) -> Result<(), String> {
    let address = SocketAddr::new(args.host, args.port);
    let cannot_listen =
        |error| format!("cannot listen on {address}: {error}: choose another --host or --port");
    let (target, stopper) = NullTarget::listen(address).map_err(cannot_listen)?;
    let stopper = Arc::new(stopper);
    let by_signal = Arc::clone(&stopper);
    ctrlc::set_handler(move || by_signal.stop())
        .map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    if args.stop_on_stdin_eof {
        std::thread::spawn(move || {
            // Whatever ends it, the reading is over.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stopper.stop();
        });
    }
    print(&format!("listening on http://{}\n", target.address().map_err(cannot_listen)?))?;
    target.run(RunClock::start()).map_err(|error| format!("the null target cannot go on: {error}"))
}
