//! What the page begins with: the verdict, the answer in a sentence, and what encloses it.

use maud::{Markup, Render as _, html};

use crate::capacity::headroom::Fits;
use crate::capacity::search_result::{SearchResult, fixed_text, load_text};
use crate::capacity::{CapacityResult, VERIFICATIONS};
use crate::html::headline;
use crate::html::table::{Column, Row, Table};
use crate::terminal::capacity::{SEARCHES_HEAD, asked_words, capacity_progress, search_row};
use crate::units::{counted, number};

pub(super) fn head(capacity: &CapacityResult) -> Markup {
    let verdict = &capacity.verdict;
    html! {
        div.verdict.(headline::class(verdict.status)) {
            h1 { span.word { (verdict.status.word()) } }
            p.lead { (headline::unbroken(&lead(capacity))) }
            @if let Some(progress) = &capacity.progress { p.finding { b { "under way" } " " (capacity_progress(&capacity.plan, progress)) } }
            @if !capacity.headroom.is_empty() {
                ul { @for headroom in &capacity.headroom { li { (headroom.sentence) } } }
            }
            p.facts { b { "target" } ": " code { (capacity.plan.target) } }
            @for (label, words) in asked_words(capacity) { p.facts { b { (label) } ": " (words.join(" · ")) } }
        }
        @match capacity.searches.as_slice() {
            [one] => { (tiles(one)) },
            several => { (table(several)) },
        }
    }
}

/// One search answers for itself; several are counted.
fn lead(capacity: &CapacityResult) -> String {
    let searches = &capacity.searches;
    if let [one] = searches.as_slice() {
        return one.sentence.clone();
    }
    let verified: Vec<&SearchResult> = searches.iter().filter(|search| search.verified.is_some()).collect();
    let load = |search: &SearchResult| {
        let load = search.verified.map_or_else(String::new, |load| load_text(&search.fixed, load));
        format!("{load} ({})", fixed_text(&search.fixed))
    };
    let range = match verified.as_slice() {
        [] => "nothing is verified yet".to_owned(),
        [one] => load(one),
        [first, .., last] => format!("from {} to {}", load(first), load(last)),
    };
    let of = counted(searches.len() as u64, "search is", "searches are");
    let fitting = capacity.headroom.iter().filter(|headroom| headroom.answer == Fits::Fits).count();
    let planned = match capacity.headroom.as_slice() {
        [] => String::new(),
        [one] => format!("; the planned load: {}", one.answer.word()),
        all => format!("; {fitting} of {} planned loads fit", all.len()),
    };
    format!("{} of {of} verified: {range}{planned}", verified.len())
}

/// The bracket and what gave way, large.
fn tiles(search: &SearchResult) -> Markup {
    let held = match (search.verified, search.bracket.held) {
        (Some(_), _) => format!("held {} times of {VERIFICATIONS}", search.verifications),
        (None, Some(_)) => {
            format!("held, {} of {VERIFICATIONS} verifications", search.verifications)
        }
        (None, None) => "nothing held".to_owned(),
    };
    let failing = search.bracket.failing.map_or_else(
        || "nothing failed".to_owned(),
        |failing| format!("{} failed", load_text(&search.fixed, failing)),
    );
    let enclosing = match search.verified {
        Some(_) => "highest verified, lowest failing",
        None => "not verified: the highest that held, the lowest that failed",
    };
    html! {
        div.tiles {
            div {
                p.name { (enclosing) }
                p.value { (bracket_text(search)) }
                p.name { (search.bracket.held.map_or_else(String::new, |held| load_text(&search.fixed, held))) " " (held) "; " (failing) }
            }
            @if let Some(limit) = &search.limit {
                div {
                    p.name { "gives way first" }
                    p.value { (limit.name.name()) }
                    p.name { (without_name(&limit.sentence)) }
                }
            }
        }
    }
}

/// What a sentence says after what it is about.
pub(super) fn without_name(sentence: &str) -> &str {
    sentence.split_once(": ").map_or(sentence, |(_, rest)| rest)
}

/// `[218, 229] posts/s`; what is not known is `?`.
pub(super) fn bracket_text(search: &SearchResult) -> String {
    let unit = if search.fixed.varies_subscribers() { "subscribers" } else { "posts/s" };
    let known = |load: Option<f64>| load.map_or_else(|| "?".to_owned(), number);
    format!("[{}, {}] {unit}", known(search.bracket.held), known(search.bracket.failing))
}

fn table(searches: &[SearchResult]) -> Markup {
    let mut table = Table::new(SEARCHES_HEAD);
    table.head.push("why".to_owned());
    table.columns =
        vec![Column::Word, Column::Number, Column::Number, Column::Number, Column::Word, Column::Text];
    for search in searches {
        let why = search.limit.as_ref().map_or(&search.sentence, |limit| &limit.sentence);
        let cells = search_row(search).into_iter().chain([without_name(why).to_owned()]).collect();
        table.rows.push(Row { cells, ..Row::default() });
    }
    table.render()
}
