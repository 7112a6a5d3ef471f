//! WebSocket frames (RFC 6455 section 5) as a client sees them: masked out, unmasked in.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Greatest payload of a control frame (RFC 6455 section 5.5).
const CONTROL_PAYLOAD_MAX: usize = 125;

/// One frame from the target.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the frame is.
    pub opcode: OpCode,
    /// Last frame of its message.
    pub is_final: bool,
    /// The payload, unmasked as servers send it.
    pub payload: &'a [u8],
    /// Bytes of header and payload.
    pub bytes: usize,
}

/// What the target's frames must not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// RFC 6455 section 5.1: a server must not mask.
    #[error("the target sent a masked frame, which RFC 6455 forbids to servers")]
    Masked,
    /// No extension was negotiated that could set these bits or opcodes.
    #[error(
        "the target sent a frame with reserved bits or a reserved opcode, though no extension was agreed"
    )]
    Reserved,
    /// RFC 6455 section 5.5.
    #[error("the target sent a fragmented or oversized control frame ({0} bytes)")]
    BadControl(u64),
    /// Larger than the run allows.
    #[error("the target sent a frame of {bytes} bytes: the limit is {max} (--max-message)")]
    Oversized {
        /// Announced payload.
        bytes: u64,
        /// Greatest payload allowed.
        max: usize,
    },
}

/// The first whole frame in `bytes`; `None` when more bytes are needed.
///
/// # Errors
/// On anything a server must not send, and on messages over `payload_max`, before they are buffered.
pub fn parse(bytes: &[u8], payload_max: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let mut cursor = Cursor::new(bytes);
    // Reading from memory cannot fail; only the bytes themselves can be wrong.
    let Ok(parsed) = FrameHeader::parse(&mut cursor) else { return Err(FrameError::Reserved) };
    let Some((header, length)) = parsed else { return Ok(None) };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(FrameError::Reserved);
    }
    match header.opcode {
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
            return Err(FrameError::Reserved);
        }
        OpCode::Control(_) if !header.is_final || length > CONTROL_PAYLOAD_MAX as u64 => {
            return Err(FrameError::BadControl(length));
        }
        OpCode::Data(_) if length > payload_max as u64 => {
            return Err(FrameError::Oversized { bytes: length, max: payload_max });
        }
        OpCode::Control(_) | OpCode::Data(_) => {}
    }
    if header.mask.is_some() {
        return Err(FrameError::Masked);
    }
    let start = cursor.position() as usize;
    let end = start + length as usize;
    Ok(bytes.get(start..end).map(|payload| Frame {
        opcode: header.opcode,
        is_final: header.is_final,
        payload,
        bytes: end,
    }))
}

/// Appends one final, masked frame to `out`.
pub fn write_masked(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8], mask: [u8; 4]) {
    let header = FrameHeader { is_final: true, opcode, mask: Some(mask), ..FrameHeader::default() };
    // A Vec takes any number of bytes.
    let _ = header.format(payload.len() as u64, out);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: OpCode = OpCode::Data(Data::Text);

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = FrameHeader { is_final: true, opcode: TEXT, ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut bytes).unwrap();
        bytes.extend_from_slice(payload);
        bytes
    }

    proptest! {
        /// Every length form is read back; no prefix of a frame is taken for one.
        #[test]
        fn frames_are_read_whole(length in prop_oneof![0..300usize, 65_000..66_500usize]) {
            let payload = vec![b'x'; length];
            let bytes = server_frame(&payload);
            let frame = parse(&bytes, 1 << 20).unwrap().unwrap();
            prop_assert_eq!((frame.payload, frame.bytes), (&payload[..], bytes.len()));
            prop_assert_eq!(parse(&bytes[..bytes.len() - 1], 1 << 20).unwrap(), None);
        }

        /// Any bytes at all: an answer, never a panic.
        #[test]
        fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes, 1000);
        }

        /// What we send is masked, and unmasks to the payload (RFC 6455 section 5.3).
        #[test]
        fn sent_frames_unmask(payload in prop::collection::vec(any::<u8>(), 0..200), mask: [u8; 4]) {
            let mut out = Vec::new();
            write_masked(&mut out, TEXT, &payload, mask);
            let body = out.len() - payload.len();
            let unmasked: Vec<u8> =
                out[body..].iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            prop_assert_eq!(unmasked, payload);
            prop_assert_eq!(parse(&out, 1000), Err(FrameError::Masked));
        }
    }

    #[test]
    fn oversized_frames_are_refused_by_their_header() {
        let announced = [0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(parse(&announced, 1000), Err(FrameError::Oversized { bytes: 1 << 32, max: 1000 }));
    }

    #[test]
    fn what_servers_must_not_send() {
        for (bytes, error) in [
            (&[0xc1, 0][..], FrameError::Reserved),
            (&[0x83, 0][..], FrameError::Reserved),
            (&[0x8b, 0][..], FrameError::Reserved),
            (&[0x09, 0][..], FrameError::BadControl(0)),
            (&[0x89, 126, 0, 200][..], FrameError::BadControl(200)),
            (&[0x81, 0x80, 1, 2, 3, 4][..], FrameError::Masked),
        ] {
            assert_eq!(parse(bytes, 1000), Err(error), "{bytes:?}");
        }
    }
}
