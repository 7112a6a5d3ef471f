//! The JSON Schema of what `feedmark calibrate --json` prints, generated from the code.
//!
//! Invariant: `docs/calibration.schema.json` is what [`schema`] says; a test holds the two together.

use schemars::{Schema, schema_for};

use super::Calibration;

/// The JSON Schema (draft 2020-12) of a calibration, with every field's meaning and unit.
pub fn schema() -> Schema {
    schema_for!(Calibration)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    /// Set to anything, it makes the test write the file instead of comparing it.
    const UPDATE: &str = "UPDATE_SCHEMA";

    #[test]
    fn the_committed_schema_is_the_codes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/calibration.schema.json");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&schema()).unwrap() + "\n").unwrap();
        }
        // Compared as values: the order of fields follows cargo features that other crates may turn on.
        let committed: Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).unwrap_or_default();
        assert!(
            committed == serde_json::to_value(schema()).unwrap(),
            "{} is not what the code says; regenerate it with\n    {UPDATE}=1 cargo test -p feedmark schema\n\
             and raise SCHEMA_VERSION if a field changed its meaning or disappeared",
            path.display()
        );
    }
}
