//! What a run concludes, and the exit code that says it to a pipeline.

pub(crate) mod judge;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The four answers a run can give (METHOD: validity comes before numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Every threshold holds; where none says otherwise, every post was sent and nothing is missing.
    Pass,
    /// The target did not do what was asked of it.
    Fail,
    /// The generator was not trustworthy; the figures say nothing about the target.
    Invalid,
    /// There were not enough samples to say.
    Unresolved,
}

impl Status {
    /// The process exit code of this verdict (99 is k6's code for a failed threshold).
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Unresolved => 97,
            Self::Invalid => 98,
            Self::Fail => 99,
        }
    }

    /// The word that is printed.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
            Self::Unresolved => "UNRESOLVED",
        }
    }
}

/// A status with the sentences that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The answer.
    pub status: Status,
    /// Why, one sentence each, and notes of what decides nothing; empty for a plain pass.
    pub reasons: Vec<String>,
}
