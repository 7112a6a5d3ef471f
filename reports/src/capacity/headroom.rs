//! Does a planned load fit, and with how much to spare?
//!
//! Invariant: what holds at a load holds with fewer subscribers and fewer posts, what fails there fails with more, and
//! between the two only the frontier's band speaks. Where it does not tell, the answer is that it does not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frontier::{Estimate, FrontierFit};
use super::{PlannedLoad, SearchResult};
use crate::units::{number, percent};

/// Whether a planned load fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Headroom {
    /// The load.
    pub planned: PlannedLoad,
    /// The answer.
    pub answer: Fits,
    /// What the rate could have more, as a share of the planned one, and still be sure to hold; negative where it does not
    /// fit: what it has to lose. `null` where that is not known.
    pub spare_rate: Option<f64>,
    /// The same in a sentence.
    pub sentence: String,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fits {
    /// It fits.
    Fits,
    /// It does not.
    DoesNotFit,
    /// What was measured does not tell.
    Unresolved,
}

impl Fits {
    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::DoesNotFit => "does not fit",
            Self::Unresolved => "unresolved",
        }
    }
}

impl Headroom {
    /// From what was verified and what failed, and from the frontier where there is one.
    pub(super) fn of(
        planned: PlannedLoad,
        searches: &[SearchResult],
        frontier: Option<&FrontierFit>,
    ) -> Self {
        // Of several numbers of cores the greatest is what the target has.
        let cores = searches.iter().map(|search| search.fixed.cores).max().flatten();
        let searches: Vec<&SearchResult> =
            searches.iter().filter(|search| search.fixed.cores == cores).collect();
        let at = |search: &SearchResult, load: Option<f64>| load.map(|load| search.fixed.with(load));
        let verified = searches.iter().filter_map(|search| at(search, search.verified));
        let failed = searches.iter().filter_map(|search| at(search, search.bracket.failing));
        let held_rate =
            verified.filter(|(subscribers, _)| *subscribers >= planned.subscribers).map(|(_, rate)| rate);
        let failed_rate =
            failed.filter(|(subscribers, _)| *subscribers <= planned.subscribers).map(|(_, rate)| rate);
        let spare = |rate: f64| rate / planned.rate_per_s - 1.0;
        let (held_rate, failed_rate) = (held_rate.reduce(f64::max), failed_rate.reduce(f64::min));
        let holds = held_rate.filter(|rate| *rate >= planned.rate_per_s);
        let fails = failed_rate.filter(|rate| *rate <= planned.rate_per_s);
        let held = |rate: f64| format!("{} posts/s to as many or more held every time", number(rate));
        let failed = |rate: f64| format!("{} posts/s to as many or fewer failed", number(rate));
        let (answer, spare_rate, why) = match (holds, fails) {
            (Some(rate), None) => (Fits::Fits, Some(spare(rate)), held(rate)),
            // What failed elsewhere says that it is too much, and not by how much.
            (None, Some(rate)) => (Fits::DoesNotFit, held_rate.map(spare), failed(rate)),
            (Some(holds), Some(fails)) => {
                (Fits::Unresolved, None, format!("{}, and {}", held(holds), failed(fails)))
            }
            (None, None) => by_frontier(planned, frontier),
        };
        let room = match (answer, spare_rate) {
            (Fits::Fits, Some(spare)) => format!(", and so would {}", spare_text(spare)),
            (Fits::DoesNotFit, Some(spare)) => format!(", and {} would", spare_text(spare)),
            _ => String::new(),
        };
        let sentence = format!("{planned}: {}{room}: {why}", answer.word());
        Self { planned, answer, spare_rate, sentence }
    }
}

/// A spare rate for people.
pub(crate) fn spare_text(spare: f64) -> String {
    match spare {
        1.0.. => format!("{} times the posts", number(((1.0 + spare) * 10.0).round() / 10.0)),
        0.0..1.0 => format!("{} more posts", percent(spare)),
        _ => format!("{} fewer posts", percent(-spare)),
    }
}

fn by_frontier(planned: PlannedLoad, frontier: Option<&FrontierFit>) -> (Fits, Option<f64>, String) {
    let unresolved = |why: String| {
        let subscribers = planned.subscribers;
        (
            Fits::Unresolved,
            None,
            format!("{why}; a search of the rate at {subscribers} subscribers would tell"),
        )
    };
    let Some(frontier) = frontier else {
        return unresolved("neither what held nor what failed tells, and there is no frontier".to_owned());
    };
    match frontier.rate_at(planned.subscribers) {
        Err(refused) => unresolved(refused),
        Ok(Estimate { value, low, high }) => {
            let of = |rate: f64| number((rate * 100.0).round() / 100.0);
            let band = format!(
                "the frontier is at {} posts/s there (95 % band {} to {})",
                of(value),
                of(low),
                of(high)
            );
            let spare = low / planned.rate_per_s - 1.0;
            match planned.rate_per_s {
                rate if rate <= low => (Fits::Fits, Some(spare), band),
                rate if rate >= high => (Fits::DoesNotFit, Some(spare), band),
                _ => unresolved(band),
            }
        }
    }
}
