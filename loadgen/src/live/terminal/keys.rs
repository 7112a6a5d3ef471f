//! What is typed meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc::O_NONBLOCK;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A key that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// `q`, or Ctrl-C.
    Stop,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
}

/// The keyboard, opened once more: what is set on this descriptor holds for nobody else.
pub(super) struct Keys {
    terminal: AsyncFd<File>,
}

impl Keys {
    #[expect(
        deprecated,
        reason = "its successor is unsafe; a file has its descriptor for as long as it lives"
    )]
    pub(super) fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open("/dev/tty")?;
        Ok(Self { terminal: AsyncFd::with_interest(terminal, Interest::READABLE)? })
    }

    /// The next key that means something; of keys that are typed together, as escape sequences are, only the first is
    /// looked at.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(super) async fn next(&mut self) -> io::Result<Key> {
        let mut bytes = [0; 64];
        loop {
            let mut ready = self.terminal.readable_mut().await?;
            let Ok(read) = ready.try_io(|terminal| terminal.get_mut().read(&mut bytes)) else { continue };
            let first = bytes[..read?].first().ok_or(io::ErrorKind::UnexpectedEof)?;
            if let Some(key) = key(*first) {
                return Ok(key);
            }
        }
    }
}

fn key(byte: u8) -> Option<Key> {
    match byte {
        b'q' | b'Q' | 0x03 => Some(Key::Stop),
        0x1a => Some(Key::Suspend),
        0x0c => Some(Key::Redraw),
        _ => None,
    }
}
