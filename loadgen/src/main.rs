//! The `feedmark` binary.
fn main() {}
