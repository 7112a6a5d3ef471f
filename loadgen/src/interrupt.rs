//! Ctrl-C and SIGTERM: once stops the schedule and drains, twice ends at once. Results are kept both times.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

static ASKED: AtomicU8 = AtomicU8::new(0);
/// For who waits for the next one.
static RUNG: Condvar = Condvar::new();
static WAITING: Mutex<()> = Mutex::new(());

/// Listens for SIGINT and SIGTERM from now on.
///
/// # Errors
/// If the handler cannot be installed.
pub fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(ask)
}

/// As one Ctrl-C.
pub fn ask() {
    let _waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    ASKED.fetch_add(1, Ordering::Release);
    RUNG.notify_all();
}

/// Waits for one more Ctrl-C.
pub fn wait() {
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = times_asked();
    // Nothing panics under the lock, so there is no error.
    drop(RUNG.wait_while(waiting, |()| times_asked() == before));
}

/// How often somebody has.
pub fn times_asked() -> u8 {
    ASKED.load(Ordering::Acquire)
}

/// Somebody wants the run to stop.
pub fn stop_asked() -> bool {
    times_asked() > 0
}

/// Somebody does not want to wait for the drain either.
pub fn abort_asked() -> bool {
    times_asked() > 1
}
