//! A single writer on its caller's thread, for a caller that waits for every post anyway.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::{PostRecord, Shared, Taken, Writer, WritersConfig, write_post};
use crate::clock::RunClock;

/// A writer with one connection, which is kept from post to post.
pub struct LoneWriter {
    runtime: Runtime,
    shared: Shared,
    writer: Writer,
    /// Held, so that no post counts as abandoned: what ends the wait for a reply is the post timeout.
    _abandon: watch::Sender<bool>,
}

impl LoneWriter {
    /// A writer that has not connected yet.
    ///
    /// # Errors
    /// If its runtime cannot be made.
    pub fn new(config: WritersConfig, clock: RunClock) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (abandon, abandoned) = watch::channel(false);
        let shared = Shared { config, clock, abandoned };
        Ok(Self { runtime, shared, writer: Writer { id: 0, connection: None }, _abandon: abandon })
    }

    /// Posts now, as the only post of `run`, and waits for the reply.
    ///
    /// # Panics
    /// Inside an asynchronous runtime, which must not be blocked.
    pub fn post(&mut self, run: u32) -> PostRecord {
        self.shared.config.run = run;
        let taken = Taken { seq: 0, at_ns: self.shared.clock.now_ns() };
        self.runtime.block_on(write_post(&self.shared, &mut self.writer, taken, false))
    }
}
