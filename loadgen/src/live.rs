//! While it runs: what the conductor tells, and who looks at it.
//!
//! There is one way: the conductor keeps a [`LiveSnapshot`] and publishes it some times a second; every view subscribes
//! to it and shows as much of it as it can. The latest snapshot is all there is to see, so a view that is slow misses
//! some, and nobody ever waits for it. Views have threads of their own that leave a busy CPU to the others.
//!
//! Invariant: measuring is the same whether anybody looks or not. Must not know: what a view looks like.

pub mod commentary;
pub mod history;
mod lines;
pub mod rows;
pub mod terminal;
pub mod view;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use tokio::runtime::Builder;
use tokio::sync::watch;

/// What is shown: plain values, which the pages and the metrics are made from, too.
pub use feedmark_reports::live as snapshot;

use crate::clock::RunClock;
use crate::urgency::go_last;
use snapshot::{Conclusion, LiveSnapshot, PhaseNow};
use view::View;

/// Time between two snapshots of a phase: what an eye can follow.
const PUBLISH_EVERY_NS: u64 = 200_000_000;

/// Where the latest snapshot is; it ends with the run.
pub type Snapshots = watch::Receiver<Arc<LiveSnapshot>>;

/// Tells how the run gets on.
pub struct Live {
    clock: RunClock,
    now: LiveSnapshot,
    /// `None` when all has been said.
    snapshots: Option<watch::Sender<Arc<LiveSnapshot>>>,
    next_ns: u64,
    views: Vec<JoinHandle<Result<(), String>>>,
    /// What somebody else has to say.
    told: Option<Receiver<String>>,
}

impl Live {
    /// The run's time has started, and these look.
    ///
    /// # Errors
    /// If a view's thread cannot be started.
    pub fn start(clock: RunClock, views: Vec<View>) -> io::Result<Self> {
        let now = LiveSnapshot::new();
        let (snapshots, _) = watch::channel(Arc::new(now.clone()));
        let start = |view: View| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let seen = snapshots.subscribe();
            std::thread::Builder::new().name("view".into()).spawn(move || {
                go_last();
                runtime.block_on(view.show(seen))
            })
        };
        let views = views.into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Self { clock, now, snapshots: Some(snapshots), next_ns: 0, views, told: None })
    }

    /// Nobody looks.
    pub fn unseen(clock: RunClock) -> Self {
        let now = LiveSnapshot::new();
        let (snapshots, _) = watch::channel(Arc::new(now.clone()));
        Self { clock, now, snapshots: Some(snapshots), next_ns: 0, views: Vec::new(), told: None }
    }

    /// The run's clock.
    pub fn clock(&self) -> RunClock {
        self.clock
    }

    /// For another view.
    ///
    /// # Panics
    /// When all has been said.
    pub fn subscribe(&self) -> Snapshots {
        self.snapshots.as_ref().expect("a view comes before the end").subscribe()
    }

    /// Says what comes from there, too.
    pub fn hear(&mut self, told: Receiver<String>) {
        self.told = Some(told);
    }

    /// What a snapshot says from the next one on.
    pub fn update(&mut self, change: impl FnOnce(&mut LiveSnapshot)) {
        change(&mut self.now);
    }

    /// Says something that stays.
    pub fn note(&mut self, text: &str) {
        self.now.note(self.clock.now_ns(), text);
        self.publish();
    }

    /// Says where a phase is: how much of it is done, how long it goes on, and a line. Cheap enough for every turn of a
    /// loop.
    pub fn progress(
        &mut self,
        name: &'static str,
        done: f64,
        left_ns: Option<u64>,
        line: impl FnOnce() -> String,
    ) {
        let now_ns = self.clock.now_ns();
        if self.now.phase.name != name || now_ns >= self.next_ns {
            self.now.phase = PhaseNow { name, done: done.clamp(0.0, 1.0), left_ns, line: line() };
            self.publish();
        }
    }

    /// Says what came of it.
    pub fn conclude(&mut self, conclusion: Conclusion) {
        self.now.conclusion = Some(conclusion);
        self.publish();
    }

    /// The report is in the run's folder.
    pub fn reported(&mut self) {
        if let Some(conclusion) = &mut self.now.conclusion {
            conclusion.has_report = true;
        }
    }

    /// All has been said. Gives what a view could not do, when each has shown its last.
    ///
    /// # Errors
    /// The views' own, as one sentence.
    pub fn finish(&mut self) -> Result<(), String> {
        self.publish();
        self.snapshots = None;
        let ended = self.views.drain(..).map(|view| view.join().unwrap_or(Ok(())));
        let errors: Vec<String> = ended.filter_map(Result::err).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    fn publish(&mut self) {
        self.now.at_ns = self.clock.now_ns();
        self.next_ns = self.now.at_ns + PUBLISH_EVERY_NS;
        for text in self.told.iter().flat_map(Receiver::try_iter) {
            self.now.note(self.now.at_ns, &text);
        }
        if let Some(snapshots) = &self.snapshots {
            snapshots.send_replace(Arc::new(self.now.clone()));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // On the way out of an error: who shows something gives the terminal back. That error is told, and no other.
        let _ = self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_the_latest_and_the_last() {
        let mut live = Live::unseen(RunClock::start());
        let mut seen = live.subscribe();
        live.progress("connect", 0.5, None, || "half".into());
        // Too soon for another one of the same phase.
        live.progress("connect", 0.6, None, || unreachable!());
        assert_eq!(seen.borrow_and_update().phase.line, "half");
        live.update(|now| now.deliveries = 7);
        assert!(!seen.has_changed().unwrap());
        live.progress("steady", 2.0, Some(5), || "begun".into());
        let now = Arc::clone(&seen.borrow_and_update());
        assert_eq!((now.deliveries, now.phase.done), (7, 1.0));
        live.note("the end");
        live.finish().unwrap();
        assert_eq!(seen.borrow_and_update().notes[0].text, "the end");
        assert!(seen.has_changed().is_err());
    }
}
