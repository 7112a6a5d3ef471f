//! The result of a run and everything that is made from it.
//!
//! [`RunResult`] is the only thing that measuring hands over: reports, comparisons and gates read
//! it, from memory or from `run.json`, and never measure again.
//!
//! Invariant: this crate knows neither sockets nor clocks nor the load generator.

mod advice;
pub mod capacity;
pub mod comparable;
pub mod comparison;
pub mod evidence;
pub mod export;
pub mod files;
pub mod gate;
pub mod hdr_files;
pub mod html;
pub mod live;
pub mod markdown;
pub mod metric;
pub mod post_row;
pub mod quantile;
pub mod run_folder;
pub mod run_result;
pub mod run_set;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
pub mod scenario_text;
pub mod schema;
pub mod stats;
pub mod target_use;
pub mod terminal;
pub mod threshold;
pub mod units;
pub mod validity;
pub mod verdict;

pub use quantile::{LatencySummary, Quantile};
pub use run_result::RunResult;
pub use schema::schema;
pub use verdict::{Status, Verdict};
