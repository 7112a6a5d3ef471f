//! The server's outbound bytes after an upgrade, cut into the head of the 101 and whole WebSocket frames.
//!
//! Invariant: any split of the byte stream gives the same pieces.
//! Invariant: never holds more than one piece, and none longer than the bound.

use std::{io::Cursor, ops::Range};

use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// The end of an HTTP head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// One piece of the stream: the head of the 101, or a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// Where the payload begins; the whole length for the head of the 101.
    pub(super) payload_at: usize,
    pub(super) kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A whole text message.
    Text,
    /// The closing frame.
    Close,
    /// The 101, pings, fragments.
    Other,
}

impl Piece {
    /// A WebSocket ping without a payload (RFC 6455 section 5.5.2).
    pub(super) fn ping() -> Self {
        Self { bytes: vec![0x89, 0], payload_at: 2, kind: PieceKind::Other }
    }

    pub(super) fn payload(&self) -> &[u8] {
        self.bytes.get(self.payload_at..).unwrap_or_default()
    }
}

/// The server wrote what is no frame, or one longer than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the server wrote is no WebSocket frame of at most {bytes_max} bytes")]
pub(super) struct NoFrame {
    bytes_max: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Splitter {
    bytes_max: usize,
    is_in_head: bool,
    piece: Vec<u8>,
}

impl Splitter {
    /// For a stream that begins with the head of the 101.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, is_in_head: true, piece: Vec::new() }
    }

    /// Takes the next bytes and hands over every piece that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut whole: impl FnMut(Piece)) -> Result<(), NoFrame> {
        let mut left = bytes;
        while !left.is_empty() {
            let taken =
                if self.is_in_head { self.head(left, &mut whole)? } else { self.frame(left, &mut whole)? };
            left = &left[taken..];
        }
        Ok(())
    }

    fn head(&mut self, bytes: &[u8], whole: &mut impl FnMut(Piece)) -> Result<usize, NoFrame> {
        let before = self.piece.len();
        self.piece.extend_from_slice(bytes);
        let searched_from = before.saturating_sub(HEAD_END.len() - 1);
        let found = self.piece[searched_from..].windows(HEAD_END.len()).position(|end| end == HEAD_END);
        let Some(end) = found.map(|at| searched_from + at + HEAD_END.len()) else {
            return if self.piece.len() <= self.bytes_max { Ok(bytes.len()) } else { Err(self.no_frame()) };
        };
        self.piece.truncate(end);
        self.is_in_head = false;
        whole(Piece { bytes: std::mem::take(&mut self.piece), payload_at: end, kind: PieceKind::Other });
        Ok(end - before)
    }

    fn frame(&mut self, bytes: &[u8], whole: &mut impl FnMut(Piece)) -> Result<usize, NoFrame> {
        if self.piece.is_empty()
            && let Some((payload, kind)) = self.header(bytes)?
            && payload.end <= bytes.len()
        {
            let frame = bytes[..payload.end].to_vec();
            whole(Piece { bytes: frame, payload_at: payload.start, kind });
            return Ok(payload.end);
        }
        // Split somewhere: gather the header first, then as much as it announces.
        let before = self.piece.len();
        let header_bytes = &bytes[..bytes.len().min(HEADER_BYTES_MAX.saturating_sub(before))];
        self.piece.extend_from_slice(header_bytes);
        let Some((payload, kind)) = self.header(&self.piece)? else { return Ok(header_bytes.len()) };
        self.piece.truncate(before);
        let taken = bytes.len().min(payload.end - before);
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == payload.end {
            let frame = std::mem::take(&mut self.piece);
            whole(Piece { bytes: frame, payload_at: payload.start, kind });
        }
        Ok(taken)
    }

    /// Where the payload of the frame lies whose header is at the start of `bytes`; `None`: more bytes are needed.
    fn header(&self, bytes: &[u8]) -> Result<Option<(Range<usize>, PieceKind)>, NoFrame> {
        let mut cursor = Cursor::new(bytes);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| self.no_frame())? else {
            return Ok(None);
        };
        let start = cursor.position() as usize;
        let length = usize::try_from(length).ok().filter(|length| *length <= self.bytes_max);
        let end = length.and_then(|length| start.checked_add(length)).ok_or(self.no_frame())?;
        let kind = match header.opcode {
            OpCode::Data(Data::Text) if header.is_final => PieceKind::Text,
            OpCode::Control(Control::Close) => PieceKind::Close,
            OpCode::Data(_) | OpCode::Control(_) => PieceKind::Other,
        };
        Ok(Some((start..end, kind)))
    }

    fn no_frame(&self) -> NoFrame {
        NoFrame { bytes_max: self.bytes_max }
    }
}

/// RFC 6455 section 5.2: two bytes, eight of length, four of mask.
const HEADER_BYTES_MAX: usize = 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::frame::Frame;

    use super::*;

    const BYTES_MAX: usize = 100_000;
    const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    fn frame(opcode: OpCode, payload: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        Frame::from_payload(header, payload.into()).format(&mut bytes).unwrap();
        bytes
    }

    /// The stream in chunks: what comes out, and the most that was ever held.
    fn split(chunks: &[&[u8]]) -> (Result<Vec<Piece>, NoFrame>, usize) {
        let mut splitter = Splitter::new(BYTES_MAX);
        let (mut pieces, mut held_max) = (Vec::new(), 0);
        for chunk in chunks {
            if let Err(why) = splitter.push(chunk, |piece| pieces.push(piece)) {
                return (Err(why), held_max);
            }
            held_max = held_max.max(splitter.piece.len());
        }
        (Ok(pieces), held_max)
    }

    fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let lengths = prop_oneof![0..4_usize, 120..130_usize, 60_000..70_000_usize];
        let opcodes = prop::sample::select(vec![
            OpCode::Data(Data::Text),
            OpCode::Data(Data::Binary),
            OpCode::Control(Control::Close),
        ]);
        let frame = (opcodes, lengths, any::<u8>())
            .prop_map(|(opcode, length, byte)| frame(opcode, vec![byte; length]));
        prop::collection::vec(frame, 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any split of the byte stream gives the head and the frames, whole and in order.
        #[test]
        fn any_split_gives_the_same_frames(
            frames in frames(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let stream: Vec<u8> = HEAD.iter().copied().chain(frames.iter().flatten().copied()).collect();
            let (pieces, held_max) = split(&cut(&stream, &cuts));
            let pieces: Vec<Vec<u8>> = pieces.unwrap().into_iter().map(|piece| piece.bytes).collect();
            prop_assert_eq!(&pieces[0], HEAD);
            prop_assert_eq!(&pieces[1..], frames);
            prop_assert!(held_max <= BYTES_MAX + HEADER_BYTES_MAX);
        }

        /// Whatever comes, it neither panics nor holds more than the bound.
        #[test]
        fn hostile_bytes_are_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let stream: Vec<u8> = HEAD.iter().copied().chain(bytes).collect();
            let (_, held_max) = split(&cut(&stream, &cuts));
            prop_assert!(held_max <= BYTES_MAX + HEADER_BYTES_MAX);
        }
    }

    #[test]
    fn byte_by_byte() {
        let text = frame(OpCode::Data(Data::Text), b"42[\"posts\"]".to_vec());
        let close = frame(OpCode::Control(Control::Close), vec![]);
        let stream = [HEAD, &text, &close].concat();
        let pieces = split(&stream.chunks(1).collect::<Vec<_>>()).0.unwrap();
        let kinds: Vec<PieceKind> = pieces.iter().map(|piece| piece.kind).collect();
        assert_eq!(kinds, [PieceKind::Other, PieceKind::Text, PieceKind::Close]);
        assert_eq!(pieces[1].payload(), b"42[\"posts\"]");
        assert_eq!(pieces[0].payload(), b"");
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_it_is_buffered() {
        for length in [BYTES_MAX as u64 + 1, 1 << 40, u64::MAX >> 1, u64::MAX] {
            let header = [&[0x81, 127][..], &length.to_be_bytes()].concat();
            assert!(split(&[HEAD, &header]).0.is_err(), "{length}");
            let (one, other) = header.split_at(5);
            assert!(split(&[HEAD, one, other]).0.is_err(), "{length} in two");
        }
        let endless = vec![b'x'; BYTES_MAX + 1];
        assert!(split(&[&endless]).0.is_err(), "a head without an end");
    }
}
