//! feedmark
