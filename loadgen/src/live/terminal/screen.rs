//! The terminal while it is ours: raw, on its other screen, and given back in any case.

use std::io::{self, BufWriter, IsTerminal as _, Stderr};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{getpgrp, tcgetpgrp};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// It is ours now. There is one terminal, and a panic anywhere has to find out.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// The terminal.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it does not let us.
    pub(super) fn enter() -> io::Result<Self> {
        give_back_before_a_panic_is_told();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stderr())))?;
        let mut screen = Self { terminal };
        screen.take()?;
        Ok(screen)
    }

    /// It is ours now, and not somebody else's for a while.
    pub(super) fn is_entered(&self) -> bool {
        ENTERED.load(Ordering::Acquire)
    }

    /// Draws, if it is ours.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if self.is_entered() {
            self.terminal.draw(picture)?;
        }
        Ok(())
    }

    /// Everything is drawn anew.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal where the cursor is, and the answer looks like something typed.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// As Ctrl-Z does where the terminal is not raw: gives it back and stops, with all that was started from here.
    pub(super) fn suspend(&self) -> io::Result<()> {
        give_back();
        killpg(getpgrp(), Signal::SIGTSTP)?;
        Ok(())
    }

    /// Takes the terminal again, whatever a shell has done to it, unless we are in the background.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        if !is_foreground() {
            return Ok(());
        }
        give_back();
        self.take()?;
        self.clear()
    }

    fn take(&mut self) -> io::Result<()> {
        // First, so that whatever succeeds is undone.
        ENTERED.store(true, Ordering::Release);
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, Hide)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours.
fn give_back() {
    if ENTERED.swap(false, Ordering::AcqRel) {
        // A terminal that is gone needs nothing.
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// What a panic says would go with the other screen.
fn give_back_before_a_panic_is_told() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            tell(what);
        }));
    });
}

/// Nobody else has the terminal: who is in the background is stopped when it changes or reads it.
fn is_foreground() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|foreground| foreground == getpgrp())
}

/// stderr is a terminal that can show a full screen, and ours.
pub(in crate::live) fn is_ours() -> bool {
    io::stderr().is_terminal() && is_foreground()
}
