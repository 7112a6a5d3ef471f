//! The ledger against a naive reading of METHOD.md, section 1.

mod edges;
mod history;
mod model;
mod properties;
