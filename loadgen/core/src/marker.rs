//! The marker: (run, writer, sequence) in 26 bytes of ASCII that survive any re-encoding.
//!
//! `fmk1-RRRRRRRR-WWWW-SSSSSSSS`, hexadecimal, of letters, digits and hyphens only, so that JSON,
//! HTML and URL encoders leave it as it is. Subscribers find it in a frame by a byte search; the
//! intended time is looked up from the schedule, so nothing else has to survive the target.

use std::fmt;

use memchr::memmem;

const PREFIX: &[u8] = b"fmk1-";

/// Length of a marker in bytes.
pub const MARKER_BYTES: usize = PREFIX.len() + 8 + 1 + 4 + 1 + 8;

/// Identifies one post of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marker {
    /// The run, so that posts of an earlier run are not taken for this one's.
    pub run: u32,
    /// The writer: posts of one writer follow each other, each sent after the reply to the one before.
    pub writer: u16,
    /// Index of the post in the arrival schedule.
    pub seq: u32,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fmk1-{:08x}-{:04x}-{:08x}", self.run, self.writer, self.seq)
    }
}

/// Finds markers in byte strings. Build it once per thread: it holds the searcher's tables.
#[derive(Debug, Clone)]
pub struct MarkerFinder {
    prefix: memmem::Finder<'static>,
}

impl Default for MarkerFinder {
    fn default() -> Self {
        Self { prefix: memmem::Finder::new(PREFIX) }
    }
}

impl MarkerFinder {
    /// The first marker in `bytes`, if there is one.
    pub fn find(&self, bytes: &[u8]) -> Option<Marker> {
        let mut from = 0;
        while let Some(at) = self.prefix.find(&bytes[from..]) {
            let start = from + at + PREFIX.len();
            if let Some(marker) = parse(&bytes[start..]) {
                return Some(marker);
            }
            from = start;
        }
        None
    }
}

/// Reads what follows the prefix.
fn parse(bytes: &[u8]) -> Option<Marker> {
    let fields = bytes.get(..MARKER_BYTES - PREFIX.len())?;
    if fields[8] != b'-' || fields[13] != b'-' {
        return None;
    }
    Some(Marker { run: hex(&fields[..8])?, writer: hex(&fields[9..13])? as u16, seq: hex(&fields[14..])? })
}

/// At most eight hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, &digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u32::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever stands around it, a marker is found and read back whole.
        #[test]
        fn found_anywhere(run: u32, writer: u16, seq: u32, before in "[^f]{0,80}", after in ".{0,40}") {
            let marker = Marker { run, writer, seq };
            let text = format!("{before}{marker}{after}");
            prop_assert_eq!(MarkerFinder::default().find(text.as_bytes()), Some(marker));
            prop_assert_eq!(marker.to_string().len(), MARKER_BYTES);
        }

        /// Any bytes at all: no panic.
        #[test]
        fn hostile_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = MarkerFinder::default().find(&bytes);
        }
    }

    #[test]
    fn a_broken_marker_does_not_hide_a_whole_one() {
        let text = b"fmk1-0000 fmk1-fmk1-00000001-0002-0000000a";
        let found = MarkerFinder::default().find(text);
        assert_eq!(found, Some(Marker { run: 1, writer: 2, seq: 10 }));
    }

    #[test]
    fn a_cut_marker_is_none() {
        let whole = Marker { run: 1, writer: 2, seq: 3 }.to_string();
        for cut in 0..whole.len() {
            assert_eq!(MarkerFinder::default().find(&whole.as_bytes()[..cut]), None);
        }
    }

    #[test]
    fn json_html_and_urls_leave_it_alone() {
        let marker = Marker { run: u32::MAX, writer: u16::MAX, seq: u32::MAX }.to_string();
        assert_eq!(serde_json::to_string(&marker).unwrap(), format!("\"{marker}\""));
        assert!(marker.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
}
