//! What a floor program counts, and its report of it.

use std::io::{self, Write};
use std::net::TcpStream;

use anyhow::Context;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::subscriber;

/// What came in, and what that cost.
pub struct Count {
    /// Times that the program asked the kernel what there is.
    pub waits: u64,
    /// Reads with the kernel's receive stamp.
    pub stamped: u64,
    reads: u64,
    bytes: u64,
    /// Subscribers that the server closed, from the beginning.
    lost: u64,
    at_start: Usage,
}

impl Count {
    /// Says `ready` on stdout and counts from now on.
    ///
    /// # Errors
    /// As write(2).
    pub fn start() -> anyhow::Result<Self> {
        writeln!(io::stdout(), "ready").context("stdout")?;
        Ok(Self { waits: 0, stamped: 0, reads: 0, bytes: 0, lost: 0, at_start: usage()? })
    }

    /// Counts anew.
    ///
    /// # Errors
    /// As getrusage(2).
    pub fn restart(&mut self) -> anyhow::Result<()> {
        *self = Self { waits: 0, stamped: 0, reads: 0, bytes: 0, lost: self.lost, at_start: usage()? };
        Ok(())
    }

    /// Counts one read that returned data and answers it; false if the subscriber is lost.
    #[inline]
    pub fn read(&mut self, stream: &TcpStream, bytes: &[u8]) -> bool {
        self.reads += 1;
        self.bytes += bytes.len() as u64;
        subscriber::answer(stream, bytes)
    }

    /// Counts a subscriber that is lost.
    pub fn lose(&mut self) {
        self.lost += 1;
    }

    /// One line of JSON on stdout; returns how many subscribers were lost.
    ///
    /// # Errors
    /// As write(2).
    pub fn report(&self, subscribers: usize) -> anyhow::Result<u64> {
        let now = usage()?;
        let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
        // The process's own peak: getrusage's would include the parent's memory from before exec.
        let status = procfs::process::Process::myself()
            .and_then(|process| process.status())
            .context("/proc/self/status")?;
        writeln!(
            io::stdout(),
            "{{\"subscribers\": {subscribers}, \"waits\": {}, \"reads\": {}, \"stamped\": {}, \"bytes\": {}, \
             \"cpu_user_s\": {:.6}, \"cpu_system_s\": {:.6}, \"max_rss_bytes\": {}, \"lost\": {}}}",
            self.waits,
            self.reads,
            self.stamped,
            self.bytes,
            seconds(now.user_time() - self.at_start.user_time()),
            seconds(now.system_time() - self.at_start.system_time()),
            status.vmhwm.unwrap_or(0) * 1024,
            self.lost,
        )
        .context("stdout")?;
        Ok(self.lost)
    }
}

fn usage() -> anyhow::Result<Usage> {
    getrusage(UsageWho::RUSAGE_SELF).context("getrusage")
}
