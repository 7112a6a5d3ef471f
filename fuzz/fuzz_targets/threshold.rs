//! Any text as a threshold. Invariants: no panic; a threshold prints as one that is equal; an error points into the
//! text, with a caret.

#![no_main]

use feedmark_reports::threshold::Threshold;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match text.parse::<Threshold>() {
    Ok(threshold) => assert_eq!(threshold.to_string().parse(), Ok(threshold)),
    Err(error) => {
        assert!(text.is_char_boundary(error.at));
        assert!(error.to_string().ends_with('^'));
    }
});
