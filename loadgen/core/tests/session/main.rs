//! Sessions against a target in memory: what they report, answer and hold back.

mod properties;
mod refusals;
mod server;
mod tables;
