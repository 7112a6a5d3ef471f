//! The program as people meet it: real processes, real sockets, every port chosen by the kernel.
//!
//! One binary, so that it is linked once. A wait is for an event and bounded by [`support::PATIENCE`];
//! no test asserts how fast anything was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod bad_targets;
mod bench;
mod calibrate;
mod capacity;
mod capacity_table;
mod check;
mod cli;
mod compare;
mod driver;
mod exhaustion;
mod export;
mod gate;
mod group;
mod hostile_targets;
mod interop;
mod interrupt;
mod limits;
mod null_target;
mod outlets;
mod puppet;
mod report;
mod run;
mod scenario_file;
mod support;
mod terminal;
mod thresholds;
