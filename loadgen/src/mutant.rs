//! Ways to break the instrument on purpose, to see that the truth tests notice (METHOD T24).
//!
//! Invariant: builds without debug assertions, releases that is, have no such switch: there [`active`] is a
//! constant, and the name of the variable is not in the binary.

/// A mistake that load testers are known to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Latencies count from when a post was sent, not from when it should have been.
    ActualForIntended,
    /// Ticks of the schedule are left out, and nobody says so.
    SkippedTicks,
    /// Latencies that a millisecond clock shows as 0 are thrown away.
    NonPositiveDropped,
    /// Percentiles are the mean of every second's percentiles.
    AveragedPercentiles,
    /// Missing deliveries rank nowhere.
    MissingIgnored,
}

/// The environment asks for this mutant.
#[cfg(debug_assertions)]
pub fn active(mutant: Mutant) -> bool {
    static ASKED: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("FEEDMARK_MUTANT").unwrap_or_default());
    !ASKED.is_empty() && *ASKED == format!("{mutant:?}")
}

/// Never.
#[cfg(not(debug_assertions))]
pub const fn active(_: Mutant) -> bool {
    false
}
