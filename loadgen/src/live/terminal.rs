//! The full-screen view: drawn on stderr, so that stdout stays the result.
//!
//! Redrawn with every snapshot, every key and every resize, of which the terminal gets only what has changed.
//! Invariant: whatever ends the run, the terminal is as it was before, and what was said meanwhile stands on it.
//! Must not know: how a run is stopped; it asks as one Ctrl-C does.

mod draw;
mod keys;
mod palette;
mod parts;
mod screen;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::libc::SIGCONT;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::Snapshots;
use super::lines::say_notes;
use super::snapshot::LiveSnapshot;
use crate::interrupt;
use draw::draw;
use keys::{Key, Keys};
pub use palette::Palette;
use screen::Screen;
pub(super) use screen::is_ours;

/// Least columns and rows that it is worth it for.
pub const SIZE_MIN: (u16, u16) = (40, 12);

/// A process that is told to stop has stopped by then.
const STOPPED_WITHIN: Duration = Duration::from_secs(1);

/// Shows the snapshots until they end, and then what was said meanwhile.
pub(super) async fn full(mut snapshots: Snapshots, palette: Palette) {
    // A terminal that is gone is nobody's loss: the run goes on, and its notes may still reach somebody.
    let _ = watch(&mut snapshots, palette).await;
    while snapshots.changed().await.is_ok() {}
    say_notes(&snapshots.borrow(), &mut 0);
}

/// Until the snapshots end, or the terminal does.
async fn watch(snapshots: &mut Snapshots, palette: Palette) -> io::Result<()> {
    let mut screen = Screen::enter()?;
    let mut keys = Keys::open()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut continued = signal(SignalKind::from_raw(SIGCONT))?;
    loop {
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() {
                return Ok(());
            },
            // What is typed while somebody else has the terminal is not for us.
            key = keys.next(), if screen.is_entered() => match key? {
                Key::Stop => interrupt::ask(),
                Key::Suspend => {
                    screen.suspend()?;
                    // The stop takes a moment to arrive; where nobody stops us, it goes on without.
                    let _ = timeout(STOPPED_WITHIN, continued.recv()).await;
                    screen.resume()?;
                }
                Key::Redraw => screen.clear()?,
            },
            _ = resized.recv() => {}
            _ = continued.recv() => screen.resume()?,
        }
        let now: Arc<LiveSnapshot> = Arc::clone(&snapshots.borrow_and_update());
        screen.draw(|frame| draw(frame, &now, interrupt::times_asked(), &palette))?;
    }
}
