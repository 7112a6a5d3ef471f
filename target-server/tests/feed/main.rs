//! The reference feed from outside: real sockets, real processes, port 0.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, helpers included")]

mod auth;
mod bed;
mod broadcast;
mod durability;
mod faults;
mod hostile;
mod order;
mod page;
mod posts;
mod process;
mod slow;
mod subscriber;
mod truth;
