//! The truth tests (METHOD section 8): the reference server misbehaves on command and writes down what it really did;
//! what the report says is compared with that. One test a row of the table, named after it.
//!
//! A run that the harness itself calls INVALID may be repeated, at most three times; a valid run with a wrong
//! figure is a failure, never repeated. With `FEEDMARK_TRUTH_FULL=1` the runs are as long and as many as the table
//! says (`scripts/truth --full`), else short: `docs/truth.md` says what the short forms still prove.
//! Every test that holds prints its row on stdout, `T1: said ..., truth ...`, which `scripts/truth` collects. A test
//! that fails keeps the folder of its run and says where.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod accounting;
mod bed;
mod capacity;
mod control;
mod disturbed;
#[path = "../it/group.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use the rest")]
mod group;
mod healthy;
mod latency;
mod log;
mod mutants;
mod owed;
mod picture;
mod place;
mod pure;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the other tests, which use the rest")]
mod support;
mod thread;
mod view;
