//! Ctrl-C and SIGTERM: once stops the schedule and drains, twice ends at once. Results are kept both times.

use std::sync::atomic::{AtomicU8, Ordering};

static ASKED: AtomicU8 = AtomicU8::new(0);

/// Listens for SIGINT and SIGTERM from now on.
///
/// # Errors
/// If the handler cannot be installed.
pub fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        ASKED.fetch_add(1, Ordering::Release);
    })
}

/// Somebody wants the run to stop.
pub fn stop_asked() -> bool {
    ASKED.load(Ordering::Acquire) > 0
}

/// Somebody does not want to wait for the drain either.
pub fn abort_asked() -> bool {
    ASKED.load(Ordering::Acquire) > 1
}
