//! The pure core of feedmark: what is sent when, what arrived, and what that means.
//!
//! Invariants:
//! * nothing here opens a socket or a file, starts a thread, prints, or reads a clock: time is an
//!   argument, in integer nanoseconds of the run clock (`*_ns`);
//! * everything that grows has a named bound.

pub mod exposition;
pub mod frame;
pub mod ledger;
pub mod marker;
pub mod recorder;
pub mod schedule;
pub mod session;
pub mod socketio;

/// Nanoseconds in a second.
pub const SECOND_NS: u64 = 1_000_000_000;
