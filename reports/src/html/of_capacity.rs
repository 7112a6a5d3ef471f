//! The page of a capacity session: the answer, what it rests on, how it was found, and what to do next.
//!
//! Invariant: all of it follows from the [`CapacityResult`]; what the terminal says, too, is said in the same words.

mod answer;
mod checks;
mod costs;
mod course;
mod fit;
mod knee;
mod next;
mod planned;
mod reproduce;
mod search;
#[cfg(test)]
mod tests;
mod used;

use super::page::{Section, page};
use super::{definitions, downloads};
use crate::capacity::CapacityResult;
use crate::capacity::csv::csv;

/// The page of a capacity session.
pub fn capacity(capacity: &CapacityResult) -> String {
    let sections: [fn(&CapacityResult) -> Option<Section>; 9] = [
        fit::frontier,
        fit::cores,
        search::section,
        planned::section,
        costs::section,
        next::section,
        checks::section,
        course::section,
        reproduce::section,
    ];
    let mut sections: Vec<Section> = sections.iter().filter_map(|section| section(capacity)).collect();
    sections.push(definitions::of_capacity());
    let title = format!("{} · feedmark capacity", capacity.verdict.status.word());
    let whole = |sections: &[Section]| page(&title, &answer::head(capacity), sections);
    let room = downloads::room_beside(&whole(&sections));
    sections.insert(sections.len() - 1, files(capacity, room));
    whole(&sections)
}

fn files(capacity: &CapacityResult, room: usize) -> Section {
    let json = serde_json::to_vec_pretty(capacity).expect("a result is made of numbers, texts and lists");
    downloads::of_files(&[("capacity.json", json), ("steps.csv", csv(capacity).into_bytes())], room)
}
