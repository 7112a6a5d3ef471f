//! The JSON Schema of `run.json`, generated from the code.
//!
//! Invariant: `docs/run.schema.json` is what [`schema`] says; a test holds the two together.

use schemars::{Schema, schema_for};

use crate::RunResult;

/// The JSON Schema (draft 2020-12) of `run.json`.
pub fn schema() -> Schema {
    schema_for!(RunResult)
}
