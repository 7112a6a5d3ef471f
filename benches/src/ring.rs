//! An io_uring of one thread: receives that stay armed (multishot) and put what comes into buffers that the kernel takes
//! from a ring of provided ones.

#![expect(
    unsafe_code,
    reason = "an io_uring is memory shared with the kernel, and no safe crate has the ring of buffers"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, ensure};
use io_uring::types::{BufRingEntry, Fd, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::libc;
use nix::sys::time::TimeSpec;

/// Requests handed over at a time while receives are armed.
const SUBMISSIONS: u32 = 256;
/// Buffers of the ring, a power of two: no more reads than these wait to be looked at.
const BUFFERS: u16 = 1024;
/// A frame that does not fit comes in parts.
const BUFFER_BYTES: usize = 2048;
/// The only group of buffers.
const GROUP: u16 = 0;
/// The kernel ends a wait for the first of several completions early only if there is an end to it at all.
const IDLE: Timespec = Timespec::new().sec(3600);

/// The ring.
pub struct Ring {
    uring: IoUring,
    buffers: Buffers,
    /// With stamps: what a receive asks for, the same for all.
    message: Option<Box<libc::msghdr>>,
    completed: Vec<cqueue::Entry>,
}

/// Something that happened to a descriptor; its buffer, if it has one, has to be given back.
pub struct Completion {
    /// The one that its request was made with.
    pub token: u64,
    /// The request goes on.
    pub armed: bool,
    result: i32,
    buffer: Option<u16>,
}

/// What a receive gave.
pub enum Received<'a> {
    /// Some bytes, with the kernel's receive stamp or without.
    Bytes(&'a [u8], bool),
    /// There was no buffer; what came is still in the socket.
    NoBuffer,
    /// The end of the stream, or an error.
    End,
}

impl Ring {
    /// A ring for so many receives, with the kernel's receive stamp or without.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn new(receives: u32, stamps: bool) -> anyhow::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_no_sqarray()
            .setup_cqsize((u32::from(BUFFERS) + receives + 1).next_power_of_two())
            .build(SUBMISSIONS)
            .context("io_uring_setup; it needs Linux 6.6, and sysctl kernel.io_uring_disabled=0")?;
        let buffers = Buffers::provide(&uring).context("a ring of provided buffers")?;
        let message = stamps.then(|| {
            // SAFETY: a msghdr of zeros is one without name, parts and control data.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_controllen = nix::cmsg_space!(TimeSpec).capacity();
            Box::new(message)
        });
        Ok(Self { uring, buffers, message, completed: Vec::new() })
    }

    /// Whether [`Ring::wait`] can take a pause.
    ///
    /// # Errors
    /// The kernel cannot.
    pub fn ensure_pauses(&self) -> anyhow::Result<()> {
        let can = self.uring.params().is_feature_min_timeout();
        ensure!(can, "this kernel cannot wait for several completions for a time; it needs Linux 6.12");
        Ok(())
    }

    /// Receives whatever comes from a socket, which outlives the ring.
    ///
    /// # Errors
    /// As io_uring_enter(2).
    pub fn receive(&mut self, socket: &impl AsFd, token: u64) -> io::Result<()> {
        let socket = Fd(socket.as_fd().as_raw_fd());
        let request = match &self.message {
            None => opcode::RecvMulti::new(socket, GROUP).build(),
            Some(message) => opcode::RecvMsgMulti::new(socket, &raw const **message, GROUP).build(),
        };
        self.submit(&request.user_data(token))
    }

    /// Waits once until a descriptor, which outlives the ring, is readable.
    ///
    /// # Errors
    /// As io_uring_enter(2).
    pub fn watch(&mut self, descriptor: &impl AsFd, token: u64) -> io::Result<()> {
        let readable = u32::from(libc::POLLIN.cast_unsigned());
        let request = opcode::PollAdd::new(Fd(descriptor.as_fd().as_raw_fd()), readable).build();
        self.submit(&request.user_data(token))
    }

    fn submit(&mut self, request: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what a request points to, its message and the buffers, is as old as the ring.
        while unsafe { self.uring.submission().push(request) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }

    /// Waits for one completion; with a pause for `batch` of them or, once the pause is over, for one. All that there
    /// are come out of [`Ring::take`].
    ///
    /// # Errors
    /// As io_uring_enter(2).
    pub fn wait(&mut self, batch: usize, pause_us: u32) -> io::Result<()> {
        let submitter = self.uring.submitter();
        let outcome = match pause_us {
            0 => submitter.submit_and_wait(1),
            _ => {
                submitter.submit_with_args(batch, &SubmitArgs::new().min_wait_usec(pause_us).timespec(&IDLE))
            }
        };
        match outcome.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) | Err((Some(libc::ETIME | libc::EINTR), _)) => {}
            Err((_, error)) => return Err(error),
        }
        self.completed.extend(self.uring.completion());
        // The first is taken from the end.
        self.completed.reverse();
        Ok(())
    }

    /// The next completion of those waited for.
    pub fn take(&mut self) -> Option<Completion> {
        let entry = self.completed.pop()?;
        Some(Completion {
            token: entry.user_data(),
            armed: cqueue::more(entry.flags()),
            result: entry.result(),
            buffer: cqueue::buffer_select(entry.flags()),
        })
    }

    /// What came with the completion of a receive.
    #[must_use]
    pub fn received(&self, completion: &Completion) -> Received<'_> {
        let (Some(buffer), Ok(length)) = (completion.buffer, usize::try_from(completion.result)) else {
            return if completion.result == -libc::ENOBUFS { Received::NoBuffer } else { Received::End };
        };
        let bytes = self.buffers.read(buffer, length);
        let Some(message) = &self.message else { return Received::Bytes(bytes, false) };
        match RecvMsgOut::parse(bytes, message) {
            Ok(out) if !out.payload_data().is_empty() => {
                let payload = &bytes[bytes.len() - out.payload_data().len()..];
                Received::Bytes(payload, !out.control_data().is_empty())
            }
            _ => Received::End,
        }
    }

    /// Gives the buffer of a completion back to the kernel.
    pub fn give_back(&mut self, completion: Completion) {
        if let Some(buffer) = completion.buffer {
            self.buffers.provide_one(buffer);
        }
    }
}

/// The ring of provided buffers. Its memory is never freed: the kernel writes into it for as long as the `io_uring`
/// exists, which is for as long as the process does.
struct Buffers {
    entries: *mut BufRingEntry,
    bytes: *mut u8,
    tail: u16,
}

/// The kernel wants whole pages.
#[repr(C, align(4096))]
struct Entries([[u8; size_of::<BufRingEntry>()]; BUFFERS as usize]);

impl Buffers {
    fn provide(uring: &IoUring) -> io::Result<Self> {
        let entries = Box::leak(Box::new(Entries([[0; size_of::<BufRingEntry>()]; BUFFERS as usize])));
        let bytes = Box::leak(vec![0; usize::from(BUFFERS) * BUFFER_BYTES].into_boxed_slice());
        let mut buffers = Self { entries: (&raw mut *entries).cast(), bytes: bytes.as_mut_ptr(), tail: 0 };
        // SAFETY: room for so many entries, never freed.
        unsafe { uring.submitter().register_buf_ring_with_flags(buffers.entries as u64, BUFFERS, GROUP, 0)? };
        (0..BUFFERS).for_each(|buffer| buffers.provide_one(buffer));
        Ok(buffers)
    }

    fn provide_one(&mut self, buffer: u16) {
        assert!(buffer < BUFFERS, "the kernel names a buffer that it was given");
        // SAFETY: the entry and the buffer are inside of their memory; the kernel looks at an entry only once the tail
        // is past it, and the tail lies in the first entry, in a field that is not written with the others.
        unsafe {
            let entry = &mut *self.entries.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(self.bytes.add(usize::from(buffer) * BUFFER_BYTES) as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer);
            self.tail = self.tail.wrapping_add(1);
            AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut())
                .store(self.tail, Ordering::Release);
        }
    }

    fn read(&self, buffer: u16, length: usize) -> &[u8] {
        assert!(
            buffer < BUFFERS && length <= BUFFER_BYTES,
            "the kernel keeps within a buffer that it was given"
        );
        // SAFETY: inside of the buffers' memory, and the kernel does not write to a buffer until it is given back.
        unsafe { std::slice::from_raw_parts(self.bytes.add(usize::from(buffer) * BUFFER_BYTES), length) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (sender, listener.accept().unwrap().0)
    }

    /// Sends more than all buffers hold, with everything read before the next is sent, and then the end.
    fn everything_arrives_and_then_the_end(stamps: bool) {
        let mut ring = match Ring::new(1, stamps) {
            Err(error)
                if error
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.raw_os_error() == Some(libc::EPERM)) =>
            {
                return;
            }
            ring => ring.unwrap(),
        };
        let (mut sender, socket) = pair();
        if stamps {
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true)
                .unwrap();
        }
        ring.receive(&socket, 7).unwrap();
        let mut with_stamp = !stamps;
        for turn in 0.. {
            // The kernel may begin to stamp a moment after it was asked to.
            if turn > BUFFERS && with_stamp == stamps {
                break;
            }
            let sent = [turn.to_le_bytes(); BUFFER_BYTES].concat();
            sender.write_all(&sent).unwrap();
            let mut received = Vec::new();
            while received.len() < sent.len() {
                ring.wait(1, 0).unwrap();
                while let Some(completion) = ring.take() {
                    assert_eq!(completion.token, 7);
                    assert!(completion.armed, "there are buffers");
                    let Received::Bytes(bytes, stamped) = ring.received(&completion) else {
                        panic!("the end, or no buffer")
                    };
                    assert!(stamps || !stamped);
                    with_stamp = stamped;
                    received.extend_from_slice(bytes);
                    ring.give_back(completion);
                }
            }
            assert_eq!(received, sent);
        }
        drop(sender);
        ring.wait(1, 0).unwrap();
        let completion = ring.take().unwrap();
        assert!(!completion.armed && matches!(ring.received(&completion), Received::End));
    }

    #[test]
    fn bytes_arrive_through_buffers_that_are_used_again() {
        everything_arrives_and_then_the_end(false);
    }

    #[test]
    fn stamps_come_with_the_bytes() {
        everything_arrives_and_then_the_end(true);
    }
}
