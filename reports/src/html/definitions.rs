//! What the words mean: the tables of `docs/method.md` and `docs/capacity.md`, which are the only places that define them.

use std::sync::LazyLock;

use maud::{Markup, html};

use super::page::Section;

const METHOD: &str = include_str!("../../../docs/method.md");
const CAPACITY: &str = include_str!("../../../docs/capacity.md");

/// A name with what it means.
struct Definition {
    /// As in the document: `first delivery, full fan-out`.
    names: String,
    meaning: String,
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| table(METHOD, "| figure | definition |"));

/// The rows below a head.
fn table(document: &str, head: &str) -> Vec<Definition> {
    let rows = document.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let row = |line: &str| {
        let (names, meaning) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        Some(Definition { names: plain(names), meaning: plain(meaning) })
    };
    rows.map_while(row).collect()
}

/// Without the marks of Markdown that the table uses.
fn plain(text: &str) -> String {
    text.replace(['`', '*'], "")
}

/// The figure of a name, whatever percentile of it is meant: `full_fanout p99` is the full fan-out.
fn find(name: &str) -> Option<(usize, &'static Definition)> {
    let name = name.to_lowercase().replace('_', " ").replace("fanout", "fan-out");
    let name = match name.rsplit_once(' ') {
        Some((figure, rank)) if is_rank(rank) => figure,
        _ => name.as_str(),
    };
    let has = |definition: &Definition| definition.names.split(", ").any(|one| one == name);
    DEFINITIONS.iter().enumerate().find(|(_, definition)| has(definition))
}

/// `p99.9`, `max`.
fn is_rank(word: &str) -> bool {
    word == "max" || word.strip_prefix('p').is_some_and(|rank| rank.parse::<f64>().is_ok())
}

/// The name of a figure, with its meaning to hover over and to follow; only the name where nothing defines it.
pub(super) fn term(name: &str) -> Markup {
    html! {
        @match find(name) {
            Some((index, definition)) => a.term href={ "#definition-" (index) } title=(definition.meaning) { (name) },
            None => (name),
        }
    }
}

pub(super) fn section() -> Section {
    Section {
        id: "definitions",
        title: "Definitions",
        question: "What does each figure mean?",
        body: figures(),
    }
}

fn figures() -> Markup {
    html! {
        dl.definitions {
            @for (index, definition) in DEFINITIONS.iter().enumerate() {
                dt id={ "definition-" (index) } { (definition.names) }
                dd { (definition.meaning) }
            }
        }
        p {
            "Percentiles rank over everything that was owed: what was late or never came counts as infinite. A percentile is shown where at least ten \
             posts lie beyond it, because all deliveries of a post share its fate. "
            "t" sub { "m" } " is the intended time of post m, " "r" sub { "mi" } " its arrival at subscriber i."
        }
    }
}

/// The words of a capacity session.
pub(super) fn of_capacity() -> Section {
    let body = html! {
        dl.definitions {
            @for word in table(CAPACITY, "| word | meaning |") { dt { (word.names) } dd { (word.meaning) } }
        }
        h3 { "Figures of a run" }
        (figures())
    };
    Section { id: "definitions", title: "Words", question: "What does each word mean?", body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::terminal::latency_table;

    #[test]
    fn every_figure_of_the_first_table_is_defined() {
        for row in latency_table(&sample::run()).rows {
            assert!(find(&row[0]).is_some(), "docs/method.md does not define {}", row[0]);
        }
        let text = term("delivery").into_string();
        assert!(text.contains("r_mi - t_m") && !text.contains('`'), "{text}");
        assert_eq!(find("full_fanout p99.9").unwrap().0, find("full fan-out").unwrap().0);
        assert!(find("delivery max").is_some() && find("p99").is_none());
        assert_eq!(term("<b>").into_string(), "&lt;b&gt;");
        assert!(of_capacity().body.into_string().contains("<dt>bracket</dt>"));
    }
}
