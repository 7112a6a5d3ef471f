//! T24: the harness broken on purpose; every mutant is killed by a test of another row, which passes without it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::bed::row;
use crate::{accounting, healthy, latency};

/// T2 kills a mutant in its short form as well.
const SHORT_FREEZE: [&str; 4] = ["-d", "12s", "--deadline", "3s"];

/// The test fails with this mutant.
fn is_killed(mutant: &'static str, by: &str, complaint: &str, test: impl FnOnce(Option<&'static str>)) {
    let outcome = catch_unwind(AssertUnwindSafe(|| test(Some(mutant))));
    let message = outcome.err().and_then(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
    });
    let message = message.unwrap_or_else(|| panic!("{mutant} survived {by}"));
    let first = message.lines().next().unwrap_or_default();
    assert!(message.contains(complaint), "killed, but not for {complaint:?}: {message}");
    row("T24", format!("{:?} in {by}", first.chars().take(120).collect::<String>()), mutant);
}

#[test]
fn t24_actual_for_intended_time_is_noticed() {
    is_killed("ActualForIntended", "T2 with one writer", "p99: ", |mutant| {
        latency::t2(&[&latency::ONE_WRITER[..], &SHORT_FREEZE].concat(), mutant)
    });
}

#[test]
fn t24_skipped_ticks_are_noticed() {
    is_killed("SkippedTicks", "T2", "were never tried: a defect of feedmark", |mutant| {
        latency::t2(&SHORT_FREEZE, mutant)
    });
}

#[test]
fn t24_dropped_small_values_are_noticed() {
    is_killed("NonPositiveDropped", "T13", "every owed pair has its rank", healthy::t13_once);
}

#[test]
fn t24_averaged_percentiles_are_noticed() {
    is_killed("AveragedPercentiles", "T2", "Ns(", |mutant| latency::t2(&SHORT_FREEZE, mutant));
}

#[test]
fn t24_ignored_misses_are_noticed() {
    is_killed("MissingIgnored", "T4", "every owed pair has its rank", accounting::t4);
}
