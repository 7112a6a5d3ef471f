//! Any bytes searched for a marker. Invariants: no panic; what is found stands there, and nothing
//! before it is a marker.

#![no_main]

use std::sync::LazyLock;

use feedmark_core::marker::{MARKER_BYTES, MarkerFinder};
use libfuzzer_sys::fuzz_target;

static FINDER: LazyLock<MarkerFinder> = LazyLock::new(MarkerFinder::default);

fuzz_target!(|bytes: &[u8]| {
    let naive = bytes.windows(MARKER_BYTES).find_map(|window| {
        let marker = FINDER.find(window)?;
        assert_eq!(marker.to_string().as_bytes(), window);
        Some(marker)
    });
    assert_eq!(FINDER.find(bytes), naive);
});
