//! feedmark: one person posts, how long until everyone sees it, and who never does?
//!
//! The instrument reads top to bottom in `run.rs`; nothing flows back:
//! settings -> scenario -> plan -> schedule -> writers and subscribers -> observations -> result.

pub mod assemble;
pub mod baseline;
pub mod bench;
pub mod blame;
pub mod calibrate;
pub mod capacity;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod engine;
pub mod floor;
pub mod folder;
pub mod fresh_run;
pub mod gate;
pub mod hiccups;
pub mod host_watch;
pub mod interrupt;
pub mod limits;
mod link;
pub mod live;
pub mod mutant;
pub mod null_target;
pub mod observer;
pub mod outlets;
pub mod pacer;
pub mod pass;
pub mod probe;
pub mod run;
pub mod save;
pub mod scenario;
pub mod settings;
pub mod source;
pub mod target;
pub mod target_watch;
pub mod template;
pub mod units;
pub mod urgency;
pub mod watch;
pub mod windows;
pub mod writers;
