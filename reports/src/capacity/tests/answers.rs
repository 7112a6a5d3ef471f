//! Golden answers, in every form.

use super::super::advice::{Advice, advice};
use super::super::csv::csv;
use super::simulated::Server;
use super::*;
use crate::markdown;
use crate::terminal::Style;
use crate::terminal::capacity::{capacity as page, capacity_progress};

const MINUTE_NS: u64 = 60_000_000_000;

fn text(capacity: &CapacityResult) -> String {
    page(capacity, &Style { color: false, width: 80 })
}

#[test]
fn a_rate() {
    insta::assert_snapshot!(text(&Server::default().session(&plan(), None, usize::MAX)));
}

#[test]
fn subscribers() {
    insta::assert_snapshot!(text(&Server::default().session(&of_subscribers(), None, usize::MAX)));
}

#[test]
fn a_frontier() {
    let mut capacity = Server::default().session(&of_both(), None, usize::MAX);
    capacity.planned_loads = ["3000 subscribers, 40/s", "16000 subscribers, 20/s", "30000 subscribers, 1/s"]
        .map(|load| load.parse().unwrap())
        .to_vec();
    capacity.judge();
    insta::assert_snapshot!(text(&capacity));
    insta::assert_snapshot!(markdown::capacity(&capacity));
}

#[test]
fn a_frontier_with_a_knee() {
    let server = Server { knee: Some((2_000, 6.0)), ..Server::default() };
    insta::assert_snapshot!(text(&server.session(&of_both(), None, usize::MAX)));
}

#[test]
fn cores() {
    insta::assert_snapshot!(text(&Server::default().session(&of_cores(), None, usize::MAX)));
}

#[test]
fn a_generator_at_its_end() {
    let server = Server { generator_max: 100_000.0, ..Server::default() };
    insta::assert_snapshot!(text(&server.session(&plan(), None, usize::MAX)));
}

#[test]
fn a_budget_that_was_short() {
    insta::assert_snapshot!(text(&Server::default().session(&plan(), Some(8 * MINUTE_NS), usize::MAX)));
}

#[test]
fn under_way() {
    insta::assert_snapshot!(text(&Server::default().session(&plan(), Some(30 * MINUTE_NS), 8)));
    let lines: Vec<String> = (0..18)
        .filter_map(|steps| {
            Some(capacity_progress(&plan(), &Server::default().session(&plan(), None, steps).progress?))
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn rows() {
    let mut capacity = Server::default().session(&plan(), None, 7);
    capacity.steps[6].reasons = vec!["=cmd|\"calc\"\u{7}, and more".to_owned()];
    insta::assert_snapshot!(csv(&capacity));
}

#[test]
fn what_to_do_next_follows_from_what_was_found() {
    let server = Server::default();
    let limited = Server { generator_max: 100_000.0, ..Server::default() };
    let unseen = Server { resources: StepResources::default(), ..Server::default() };
    let mut untold = server.session(&plan(), None, usize::MAX);
    untold.planned_loads = vec!["2000 subscribers, 10/s".parse().unwrap()];
    untold.judge();
    for (capacity, part) in [
        (server.session(&plan(), None, usize::MAX), "more CPUs move the limit"),
        (server.session(&plan(), None, usize::MAX), "feedmark run scenario.toml --subscribers 1000 --rate 2"),
        (unseen.session(&plan(), None, usize::MAX), "nothing that could be seen was used up"),
        (limited.session(&plan(), None, usize::MAX), "give the generator CPUs of its own"),
        (server.session(&plan(), Some(8 * MINUTE_NS), usize::MAX), "a greater --budget"),
        (server.session(&plan(), None, 5), "goes on where it is"),
        (
            untold,
            "feedmark capacity scenario.toml --vary rate --subscribers 2000 --rate 10/s --target 'target/release",
        ),
    ] {
        let advice = advice(&capacity);
        let says = |one: &Advice| {
            one.sentence.contains(part) || one.command.as_ref().is_some_and(|it| it.contains(part))
        };
        assert!(advice.iter().any(says), "{part}: {advice:?}");
    }
    // The same limit of several searches is told once.
    let advice = advice(&server.session(&of_both(), None, usize::MAX));
    assert_eq!(advice.iter().filter(|one| one.sentence.contains("more CPUs")).count(), 1);
}

/// What a target or a user wrote is text and nothing else.
#[test]
fn hostile_texts_are_inert() {
    let mut capacity = Server::default().session(&plan(), None, usize::MAX);
    capacity.plan.target = "http://x/\u{1b}[2J`<script>`|".to_owned();
    for step in &mut capacity.steps {
        step.resources = StepResources::default();
        step.reasons = vec!["\u{1b}[2J `# not a heading` | <script>".to_owned()];
    }
    capacity.judge();
    assert!(!text(&capacity).contains('\u{1b}'));
    let markdown = markdown::capacity(&capacity);
    assert!(!markdown.contains('\u{1b}') && markdown.contains("<script>"), "{markdown}");
    for line in markdown.lines().filter(|line| line.contains("<script>")) {
        let before = line.split("<script>").next().unwrap();
        assert_eq!(before.matches('`').count() % 2, 1, "outside of a code span: {line}");
    }
}
