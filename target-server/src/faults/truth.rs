//! The truth log: what the server really did, for every post and socket, and when.
//!
//! One JSON object a line, gzip; `docs/truth-log.md` lists the events and their fields. Times are nanoseconds of
//! `CLOCK_MONOTONIC`, and `clock` events pair that clock with `CLOCK_REALTIME`.
//!
//! Events are left in a bounded queue and written by a thread of its own, which looks every few milliseconds: whoever
//! reports an event neither waits nor wakes anybody. What does not fit is counted as lost.
//!
//! Invariant: every event is either in the file or in `lost` of the last line.

mod writer;

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use serde::Serialize;

use super::fault::{Fault, Refusal};
use writer::Writer;

/// Events that may wait for the writer.
const EVENTS_MAX: usize = 1 << 18;

/// One line of the log.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "e", rename_all = "lowercase")]
pub(super) enum Event {
    /// Both clocks at one moment.
    Clock { mono: u64, real: u64 },
    /// A plan comes into force.
    Faults { at: u64, seed: u64, faults: Vec<Fault> },
    /// The answer to CONNECT went out.
    Connected { s: u64, peer: String, at: u64, done: u64 },
    /// A post was taken, to be stored and emitted unless a `refuse` follows.
    Post { p: u64, id: String, title: String, at: u64 },
    /// A copy of a post went out to a socket.
    Write { p: u64, s: u64, copy: u32, due: u64, at: u64, done: u64 },
    /// A copy of a post did not go out.
    Drop { p: u64, s: u64, copy: u32, at: u64, why: WhyDropped },
    /// A post waits for the next one of the same socket.
    Swap { p: u64, s: u64, at: u64 },
    /// A WebSocket ended.
    Closed { s: u64, at: u64, why: WhyClosed },
    /// The answer to a `POST /feed/post` went out.
    Reply { p: Option<u64>, status: u16, at: u64 },
    /// A post was refused.
    Refuse { p: u64, how: Refusal, at: u64 },
    /// The whole loop stood still.
    Stall { at: u64, until: u64 },
}

/// Why a copy of a post did not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhyDropped {
    /// It was chosen by a `drop`.
    Fault,
    /// Its socket ended first.
    Closed,
}

/// Who ended a WebSocket first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WhyClosed {
    /// A `kill`.
    Killed,
    /// The peer hung up, or its connection broke.
    Peer,
    /// The server wrote a closing frame or hung up.
    Server,
    /// More was waiting for it than is kept.
    Overflow,
}

/// Where events are reported; costs next to nothing without a log.
#[derive(Clone, Default)]
pub(super) struct Truth(Option<Arc<Shared>>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    ended: Condvar,
}

#[derive(Default)]
struct Queue {
    events: Vec<Event>,
    lost: u64,
    has_ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Truth {
    /// Leaves an event for the writer.
    pub(super) fn report(&self, event: impl FnOnce() -> Event) {
        let Some(shared) = &self.0 else { return };
        let mut queue = shared.lock();
        if queue.events.len() < EVENTS_MAX && !queue.has_ended {
            queue.events.push(event());
        } else {
            queue.lost += 1;
        }
    }
}

/// The open log. Ended by [`Log::end`], or when dropped.
pub(super) struct Log {
    truth: Truth,
    writer: Option<JoinHandle<()>>,
}

impl Log {
    /// A log that keeps nothing.
    pub(super) fn none() -> Self {
        Self { truth: Truth::default(), writer: None }
    }

    /// Makes the file, over any older one, and starts its writer.
    pub(super) fn create(path: &Path, lines_max: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer::create(path, lines_max, Arc::clone(&shared))?;
        let writer = thread::Builder::new().name("truth".to_owned()).spawn(move || writer.run())?;
        Ok(Self { truth: Truth(Some(shared)), writer: Some(writer) })
    }

    pub(super) fn truth(&self) -> Truth {
        self.truth.clone()
    }

    /// Writes what is left and the last line. Blocks.
    pub(super) fn end(&mut self) {
        if let Some(shared) = &self.truth.0 {
            shared.lock().has_ended = true;
            shared.ended.notify_all();
        }
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing more to tell.
            let _ = writer.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end();
    }
}
