//! Lines on stderr: one that changes, on a terminal, or plain ones every few seconds. Never a control character into a
//! file.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Snapshots;
use super::snapshot::LiveSnapshot;

/// Time between two plain lines of a run.
pub(super) const LINE_EVERY_NS: u64 = 5_000_000_000;
/// Length of the bar, in what it counts.
const BAR_LENGTH: u64 = 1_000;
/// How often the line may be drawn.
const DRAWN_PER_S: u8 = 10;

/// A line of every phase, another one every so often, and notes.
pub(super) async fn plain(mut snapshots: Snapshots, every_ns: u64) {
    let mut notes_seen = 0;
    let (mut phase, mut next_ns) = ("", 0);
    while snapshots.changed().await.is_ok() {
        let now = snapshots.borrow_and_update().clone();
        say_notes(&now, &mut notes_seen);
        if now.phase.name != phase || now.at_ns >= next_ns && !phase.is_empty() {
            phase = now.phase.name;
            next_ns = now.at_ns + every_ns;
            say(&format!("{phase}: {}", now.phase.line));
        }
    }
}

/// One line that changes, and above it the notes.
pub(super) async fn line(mut snapshots: Snapshots) {
    let bar =
        ProgressBar::with_draw_target(Some(BAR_LENGTH), ProgressDrawTarget::stderr_with_hz(DRAWN_PER_S));
    bar.set_style(style());
    let mut notes_seen = 0;
    while snapshots.changed().await.is_ok() {
        let now = snapshots.borrow_and_update().clone();
        if now.notes_said > notes_seen {
            bar.suspend(|| say_notes(&now, &mut notes_seen));
        }
        if !now.phase.name.is_empty() {
            bar.set_prefix(now.phase.name);
            bar.set_message(now.phase.line.clone());
            bar.set_position((now.phase.done * BAR_LENGTH as f64) as u64);
        }
    }
    bar.finish_and_clear();
}

/// What was said since; of too much at once the latest.
pub(super) fn say_notes(now: &LiveSnapshot, seen: &mut u64) {
    let notes = now.notes_since(*seen);
    let left_out = now.notes_said - *seen - notes.len() as u64;
    if left_out > 0 {
        say(&format!("({left_out} earlier notes are left out)"));
    }
    for note in notes {
        say(&note.text);
    }
    *seen = now.notes_said;
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>8} {bar:20} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A line on stderr. A stderr that is closed is nobody's loss.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
