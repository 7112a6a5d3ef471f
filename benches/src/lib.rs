//! The floor programs and benchmarks behind every claim about speed.
//!
//! Invariant: nothing here knows the rest of the workspace. A floor that shared code with what it is
//! compared to would share its costs too.
