//! The statistics behind the validity checks and cross-checks (METHOD sections 4 to 6).
//!
//! Invariants: pure functions of their arguments, without clocks and without I/O; no result is ever
//! NaN; a sample too small to say anything gives `None`, never a number.
//! They must not know what the numbers stand for: limits and verdicts belong to the caller.

pub mod anderson_darling;
pub mod binomial;
pub mod littles_law;
pub mod median;
pub mod ols;
pub mod rank_sum;
pub mod signed_rank;
pub mod trend;
pub mod weighted;
