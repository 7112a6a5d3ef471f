//! What a floor program is told: on stdin a line starts the count anew (so that it can begin with the posts), and the
//! end of stdin, or a timer, ends the run.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

const STDIN: u64 = 0;
const TIMER: u64 = 1;

/// A descriptor that is readable when there is a command.
pub struct Commands {
    epoll: Epoll,
    /// In `epoll` for as long as it is open.
    _timer: Option<TimerFd>,
}

/// What to do.
pub enum Command {
    /// Count anew.
    Restart,
    /// Report and end.
    End,
}

impl Commands {
    /// Token of the commands beside subscribers, which have their index.
    pub const TOKEN: u64 = u64::MAX;

    /// Listens to stdin, and to a timer if there is one.
    ///
    /// # Errors
    /// A stdin that has no end, without a timer.
    pub fn listen(seconds: Option<u32>) -> anyhow::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create")?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        let timer = match seconds {
            None => None,
            Some(seconds) => {
                let timer =
                    TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC).context("timerfd")?;
                let after = Expiration::OneShot(TimeSpec::seconds(i64::from(seconds)));
                timer.set(after, TimerSetTimeFlags::empty()).context("timerfd")?;
                epoll.add(&timer, readable(TIMER)).context("epoll_ctl")?;
                Some(timer)
            }
        };
        match epoll.add(io::stdin(), readable(STDIN)) {
            Ok(()) => {}
            // epoll refuses files and /dev/null: they have no end to wait for.
            Err(Errno::EPERM) if timer.is_some() => {}
            Err(Errno::EPERM) => {
                bail!("stdin is a file; give a pipe or terminal that ends the run, or --seconds")
            }
            Err(error) => return Err(error).context("epoll_ctl on stdin"),
        }
        Ok(Self { epoll, _timer: timer })
    }

    /// The command that made the descriptor readable.
    ///
    /// # Errors
    /// As read(2).
    pub fn take(&self) -> anyhow::Result<Command> {
        let mut event = [EpollEvent::empty()];
        self.epoll.wait(&mut event, EpollTimeout::NONE).context("epoll_wait")?;
        if event[0].data() == TIMER {
            return Ok(Command::End);
        }
        match io::stdin().read(&mut [0; 4096]).context("stdin")? {
            0 => Ok(Command::End),
            _ => Ok(Command::Restart),
        }
    }
}

impl AsFd for Commands {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
