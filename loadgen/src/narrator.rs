//! What a person sees while the run goes on, on stderr: a live line on a terminal, a plain line every
//! few seconds elsewhere, nothing with `--quiet`. Never a control character into a file.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::RunClock;

/// Time between two plain lines.
const LINE_EVERY_NS: u64 = 5_000_000_000;

/// Tells how the run gets on.
pub struct Narrator {
    clock: RunClock,
    voice: Voice,
    current: &'static str,
}

enum Voice {
    Quiet,
    Lines { next_ns: u64 },
    Live(ProgressBar),
}

impl Narrator {
    /// A live line if stderr is a terminal, plain lines otherwise.
    pub fn new(clock: RunClock, quiet: bool) -> Self {
        let voice = if quiet {
            Voice::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(5));
            bar.enable_steady_tick(Duration::from_millis(200));
            Voice::Live(bar)
        } else {
            Voice::Lines { next_ns: 0 }
        };
        Self { clock, voice, current: "" }
    }

    /// Begins a phase unless it is the one that goes on.
    pub fn enter(&mut self, name: &'static str, total: u64) {
        if self.current != name {
            self.current = name;
            self.phase(name, total);
        }
    }

    /// Begins a phase that is `total` long, in whatever `progress` counts.
    pub fn phase(&mut self, name: &str, total: u64) {
        match &mut self.voice {
            Voice::Quiet => {}
            Voice::Lines { next_ns } => *next_ns = 0,
            Voice::Live(bar) => {
                bar.reset();
                bar.set_style(style());
                bar.set_prefix(name.to_owned());
                bar.set_length(total.max(1));
            }
        }
    }

    /// Says where the phase is; cheap enough to call on every turn of a loop.
    pub fn progress(&mut self, name: &str, done: u64, message: impl FnOnce() -> String) {
        match &mut self.voice {
            Voice::Quiet => {}
            Voice::Lines { next_ns } => {
                let now_ns = self.clock.now_ns();
                if now_ns >= *next_ns {
                    *next_ns = now_ns + LINE_EVERY_NS;
                    say(&format!("{name}: {}", message()));
                }
            }
            Voice::Live(bar) => {
                bar.set_position(done);
                bar.set_message(message());
            }
        }
    }

    /// A line that stays.
    pub fn note(&self, text: &str) {
        match &self.voice {
            Voice::Quiet => {}
            Voice::Lines { .. } => say(text),
            Voice::Live(bar) => bar.suspend(|| say(text)),
        }
    }

    /// Clears the live line.
    pub fn finish(&self) {
        if let Voice::Live(bar) = &self.voice {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>8} {bar:20} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A line on stderr. A stderr that is closed is nobody's loss.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
