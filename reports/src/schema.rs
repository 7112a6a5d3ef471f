//! The JSON Schemas of `run.json` and of a comparison, generated from the code.
//!
//! Invariant: `docs/run.schema.json` is what [`schema`] says, `docs/comparison.schema.json` what [`comparison_schema`] says; a
//! test holds them together.

use schemars::{Schema, schema_for};

use crate::RunResult;
use crate::comparison::Comparison;

/// The JSON Schema (draft 2020-12) of `run.json`, with every field's meaning and unit.
pub fn schema() -> Schema {
    schema_for!(RunResult)
}

/// The JSON Schema (draft 2020-12) of `comparison.json` and of `feedmark compare --format json`.
pub fn comparison_schema() -> Schema {
    schema_for!(Comparison)
}

/// `docs/<file>` is what the code says.
#[cfg(test)]
pub(crate) fn assert_committed(file: &str, schema: &Schema) {
    /// Set to anything, it makes the test write the file instead of comparing it.
    const UPDATE: &str = "UPDATE_SCHEMA";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(schema).unwrap() + "\n").unwrap();
    }
    // Compared as values: the order of fields follows cargo features that other crates may turn on.
    let committed: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap_or_default()).unwrap_or_default();
    assert!(
        committed == serde_json::to_value(schema).unwrap(),
        "{} is not what the code says; regenerate it with\n    {UPDATE}=1 cargo test -p feedmark-reports schema\n\
         and raise SCHEMA_VERSION if a field changed its meaning or disappeared",
        path.display()
    );
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use serde_json::Value;

    use super::*;
    use crate::Quantile;
    use crate::sample;

    #[test]
    fn the_committed_schemas_are_the_codes() {
        for (file, schema) in [("run.schema.json", schema()), ("comparison.schema.json", comparison_schema())]
        {
            assert_committed(file, &schema);
        }
    }

    fn validator() -> Validator {
        jsonschema::validator_for(&serde_json::to_value(schema()).unwrap()).unwrap()
    }

    fn errors(json: &Value) -> Vec<String> {
        let validator = validator();
        validator.iter_errors(json).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    #[test]
    fn runs_are_valid() {
        let mut empty = sample::run();
        empty.latency_ns.delivery.max = Quantile::NotAvailable;
        for run in [sample::run(), sample::lossy(), empty] {
            assert_eq!(errors(&serde_json::to_value(&run).unwrap()), Vec::<String>::new());
        }
    }

    #[test]
    fn what_no_run_holds_is_refused() {
        for (place, value) in [
            ("/schema_version", Value::from(2)),
            ("/verdict/status", Value::from("MAYBE")),
            ("/deliveries/owed", Value::from(-1)),
            ("/latency_ns/delivery/p99", Value::from("slow")),
            ("/latency_ns/delivery/hdr", Value::Null),
            ("/timestamps", Value::from("sundial")),
        ] {
            let mut json = serde_json::to_value(sample::run()).unwrap();
            *json.pointer_mut(place).unwrap() = value;
            let errors = errors(&json);
            assert!(errors.iter().any(|error| error.starts_with(place)), "{place}: {errors:?}");
        }
    }
}
