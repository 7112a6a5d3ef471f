//! Reading a socket together with the kernel's receive stamp.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

/// Shared by all connections of a reactor; a frame that does not fit is read in parts.
pub(super) const READ_BUFFER_BYTES: usize = 64 * 1024;

/// One read's buffers.
pub(super) struct Receiver {
    buffer: Box<[u8]>,
    control: Vec<u8>,
}

/// What one read gave.
pub(super) struct Received<'a> {
    /// The bytes; none at the end of the stream.
    pub(super) bytes: &'a [u8],
    /// The kernel's stamp of the last segment read, ns since the Unix epoch.
    pub(super) stamp_realtime_ns: Option<u64>,
    /// The socket may hold more.
    pub(super) filled: bool,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; READ_BUFFER_BYTES].into(), control: nix::cmsg_space!(TimeSpec) }
    }

    /// Reads once.
    ///
    /// # Errors
    /// As `recvmsg(2)`; `WouldBlock` when there is nothing to read.
    #[inline]
    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<Received<'_>> {
        let (length, stamp_realtime_ns) = {
            let mut parts = [IoSliceMut::new(&mut self.buffer)];
            let message = recvmsg::<()>(socket, &mut parts, Some(&mut self.control), MsgFlags::empty())?;
            let stamp = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(time) => {
                    Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
                }
                _ => None,
            });
            (message.bytes, stamp)
        };
        Ok(Received { bytes: &self.buffer[..length], stamp_realtime_ns, filled: length == READ_BUFFER_BYTES })
    }
}

/// Asks the kernel to stamp what the socket receives; false where it cannot.
pub(super) fn stamp_receives(socket: &impl std::os::fd::AsFd) -> bool {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true).is_ok()
}

/// The descriptor to read from.
pub(super) fn descriptor(stream: &mio::net::TcpStream) -> RawFd {
    stream.as_raw_fd()
}
