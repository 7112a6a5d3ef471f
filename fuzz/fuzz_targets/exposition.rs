//! Any bytes as the text of a target's `/metrics`, and any text as a selector.
//! Invariants: no panic; a sample's name and labels are of the text; a selector that picks a sample has its name.

#![no_main]

use feedmark_core::exposition::{Selector, counters, samples};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let selector = text.lines().next().and_then(|line| Selector::parse(line).ok());
    for sample in samples(&text) {
        assert!(text.contains(sample.name) && sample.labels.values().all(|value| text.contains(value)));
        if selector.as_ref().is_some_and(|selector| selector.picks(&sample, "")) {
            assert_eq!(selector.as_ref().map(Selector::name), Some(sample.name));
        }
    }
    assert!(counters(&text).all(|name| text.contains(name)));
});
