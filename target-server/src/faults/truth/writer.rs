//! The thread that puts events into the file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{Arc, PoisonError},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use serde::Serialize;

use super::{Event, Shared};
use crate::clock;

/// Time between two looks into the queue.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Text that is gathered for the encoder.
const TEXT_BYTES: usize = 64 * 1024;
/// Time between two pairings of the clocks, after which all that is written can be read.
const CLOCK_INTERVAL_NS: u64 = 1_000_000_000;

/// The last line.
#[derive(Serialize)]
struct End {
    e: &'static str,
    /// Events before this line.
    lines: u64,
    lost: u64,
}

pub(super) struct Writer {
    file: GzEncoder<BufWriter<File>>,
    /// Lines on their way to the encoder, which takes long for many small pieces.
    text: Vec<u8>,
    shared: Arc<Shared>,
    lines_max: u64,
    lines: u64,
    lost: u64,
    /// The file took no more; said once, then everything is lost.
    is_broken: bool,
}

impl Writer {
    pub(super) fn create(path: &Path, lines_max: u64, shared: Arc<Shared>) -> io::Result<Self> {
        let file = GzEncoder::new(BufWriter::new(File::create(path)?), Compression::fast());
        Ok(Self { file, text: Vec::new(), shared, lines_max, lines: 0, lost: 0, is_broken: false })
    }

    pub(super) fn run(mut self) {
        let mut paired_ns = self.pair_clocks();
        let mut events = Vec::new();
        loop {
            let (has_ended, lost) = self.take(&mut events);
            self.lost += lost;
            for event in events.drain(..) {
                self.line(&event);
            }
            if clock::monotonic_ns() >= paired_ns + CLOCK_INTERVAL_NS {
                paired_ns = self.pair_clocks();
                let flushed = self.encode().and_then(|()| self.file.flush());
                self.check(flushed);
            }
            if has_ended {
                break;
            }
        }
        self.end();
    }

    /// Exchanges the queue for the empty one, at the next look or when the log ends.
    fn take(&self, events: &mut Vec<Event>) -> (bool, u64) {
        let queue = self.shared.lock();
        let waited = self.shared.ended.wait_timeout_while(queue, LOOK_INTERVAL, |queue| !queue.has_ended);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut queue.events, events);
        (queue.has_ended, std::mem::take(&mut queue.lost))
    }

    /// The monotonic time of the pairing.
    fn pair_clocks(&mut self) -> u64 {
        let before = clock::monotonic_ns();
        let real = clock::realtime_ns();
        let mono = before.midpoint(clock::monotonic_ns());
        self.line(&Event::Clock { mono, real });
        mono
    }

    fn line(&mut self, event: &Event) {
        if self.lines >= self.lines_max || self.is_broken {
            self.lost += 1;
            return;
        }
        let written = self.write(event);
        if self.check(written) {
            self.lines += 1;
        } else {
            self.lost += 1;
        }
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.text, line)?;
        self.text.push(b'\n');
        if self.text.len() < TEXT_BYTES { Ok(()) } else { self.encode() }
    }

    fn encode(&mut self) -> io::Result<()> {
        let encoded = self.file.write_all(&self.text);
        self.text.clear();
        encoded
    }

    fn check(&mut self, written: io::Result<()>) -> bool {
        if let Err(why) = &written
            && !std::mem::replace(&mut self.is_broken, true)
        {
            tracing::error!(%why, "the truth log cannot be written: it ends here");
        }
        written.is_ok()
    }

    fn end(mut self) {
        self.pair_clocks();
        let end = End { e: "end", lines: self.lines, lost: self.lost };
        let ended = self.write(&end).and_then(|()| self.encode()).and_then(|()| self.file.finish()?.flush());
        if let Err(why) = ended {
            tracing::error!(%why, "the truth log has no proper end");
        }
    }
}
