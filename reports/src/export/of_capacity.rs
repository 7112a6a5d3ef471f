//! The outcome of a capacity session.

use super::outcome::{Carried, Case, Kind, Outcome, PLAIN, host};
use crate::Status;
use crate::capacity::headroom::{Fits, Headroom, spare_text};
use crate::capacity::search::Ending;
use crate::capacity::search_result::{SearchResult, fixed_text, load_text};
use crate::capacity::{CapacityResult, VERIFICATIONS};
use crate::terminal::capacity::{asked_words, capacity as summary};

impl Outcome {
    /// The outcome of a capacity session that is finished.
    pub fn of_capacity(capacity: &CapacityResult) -> Self {
        let searches = capacity.searches.iter().map(of_search);
        Self {
            kind: Kind::Capacity,
            verdict: capacity.verdict.clone(),
            cases: searches.chain(capacity.headroom.iter().map(of_planned_load)).collect(),
            figures: Vec::new(),
            carried: match capacity.verdict.status {
                Status::Invalid => Vec::new(),
                _ => capacity.searches.iter().filter_map(carried).collect(),
            },
            facts: facts(capacity),
            duration_ns: Some(capacity.steps.iter().map(|step| step.took_ns).sum()),
            summary: summary(capacity, &PLAIN),
        }
    }
}

fn of_search(search: &SearchResult) -> Case {
    let verified = search.verified.map(|load| load_text(&search.fixed, load));
    Case {
        name: name(search),
        status: match search.ending {
            Some(Ending::Verified) => Status::Pass,
            Some(Ending::GeneratorLimited(_)) => Status::Invalid,
            Some(Ending::NothingHolds(_)) => Status::Fail,
            Some(Ending::Unsettled(_) | Ending::BudgetSpent) | None => Status::Unresolved,
        },
        advisory: false,
        observed: verified.unwrap_or_else(|| "nothing is verified".to_owned()),
        allowed: format!("what holds {VERIFICATIONS} times of {VERIFICATIONS}"),
        sentence: search.sentence.clone(),
    }
}

fn of_planned_load(headroom: &Headroom) -> Case {
    Case {
        name: headroom.planned.to_string(),
        status: match headroom.answer {
            Fits::Fits => Status::Pass,
            Fits::DoesNotFit => Status::Fail,
            Fits::Unresolved => Status::Unresolved,
        },
        advisory: false,
        observed: headroom.spare_rate.map_or_else(|| headroom.answer.word().to_owned(), spare_text),
        allowed: Fits::Fits.word().to_owned(),
        sentence: headroom.sentence.clone(),
    }
}

fn carried(search: &SearchResult) -> Option<Carried> {
    Some(Carried {
        name: name(search),
        fixed: search.fixed,
        held: search.verified?,
        failing: search.bracket.failing,
    })
}

fn name(search: &SearchResult) -> String {
    format!("capacity at {}", fixed_text(&search.fixed))
}

fn facts(capacity: &CapacityResult) -> Vec<(&'static str, String)> {
    let lead = [("feedmark", capacity.feedmark_version.clone()), ("target", capacity.plan.target.clone())];
    let asked = asked_words(capacity).map(|(name, words)| (name, words.join(", ")));
    lead.into_iter().chain(asked).chain(capacity.host.as_ref().map(host)).collect()
}
