//! The reference feed: a small but real realtime application to measure against.
//!
//! REST under `/auth` and `/feed`, Socket.IO under `/socket.io/`, and a page at `/` that shows both, all on one port. A
//! create, update or delete is **stored, then emitted** to the sockets as event `posts`, **then answered**, in that
//! order and in one order for all subscribers (`feed`). [`serve`] takes a bound listener and a shutdown future, so a
//! test runs it in-process on port 0; [`cli::ServerArgs`] is the same server with flags, used by `target-server` and
//! `feedmark target`.
//!
//! # Slow subscribers
//! Every socket owns a bounded queue of packets ([`Config::socket_buffer_packets`]). A post for a socket whose queue
//! is full is *refused*: that subscriber misses it and gets back in step through `GET /feed/posts`; nobody else waits.
//! Every refusal is counted by cause in `/metrics` and told to the poster in `x-feedmark-refused`. A subscriber whose
//! queue is still full when the heartbeat is due is disconnected, and one that takes no byte for a whole heartbeat is
//! cut off by the kernel, so that it cannot linger as a connected ghost.
//!
//! # Faults
//! On command the server misbehaves ([`Config::faults`]) and writes down what it really did ([`Config::truth_log`],
//! described in `docs/truth-log.md`). Without faults, truth log and admin token, the connections are served as if
//! there were no such thing.
//!
//! Invariant: what was answered 201 is in the store, as durable as [`Durability`] says.
//! Invariant: this crate knows nothing of load, reports or measuring.

mod accept;
mod adapter;
#[doc(hidden)]
pub mod bench;
pub mod cli;
mod clock;
mod config;
mod faults;
mod feed;
mod fields;
mod metrics;
mod passwords;
mod post;
mod problem;
mod routes;
mod server;
mod sockets;
mod store;
mod tokens;
mod user;

pub use config::{Config, ConfigError, Durability, Secret, StoreKind};
pub use faults::{BadFault, Fault};
pub use server::{ServeError, serve};
pub use store::StoreError;
