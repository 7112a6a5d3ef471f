//! Any bytes as WebSocket frames. Invariants: no panic; a frame lies inside the bytes and within the
//! limit; with fewer bytes it is not there yet, with more it is the same.

#![no_main]

use feedmark_core::frame::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&limit, bytes)) = data.split_first() else { return };
    let payload_max = usize::from(limit) * 4;
    match parse(bytes, payload_max) {
        Ok(Some(frame)) => {
            assert!(frame.bytes <= bytes.len());
            assert!(frame.payload.len() <= payload_max.max(125));
            assert_eq!(parse(&bytes[..frame.bytes - 1], payload_max), Ok(None));
            assert_eq!(parse(&bytes[..frame.bytes], payload_max), Ok(Some(frame)));
        }
        Ok(None) => assert!(bytes.len() < payload_max.max(125) + 14),
        Err(error) => {
            let longer = [bytes, b"more"].concat();
            assert_eq!(parse(&longer, payload_max), Err(error));
        }
    }
});
