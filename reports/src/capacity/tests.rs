//! What a session measures and concludes, tried on servers whose truth is known.

mod answers;
mod fits;
mod resources;
mod sessions;
pub(crate) mod simulated;
mod steps;

use std::sync::LazyLock;

use super::*;
use crate::run_result::ScenarioRecord;
use crate::sample;
use crate::schema::assert_committed;

/// Made once: the sample's histograms are costly.
static SCENARIO: LazyLock<ScenarioRecord> = LazyLock::new(|| ScenarioRecord {
    url: None,
    thresholds: vec!["full_fanout p99 < 400ms".parse().unwrap(), "missing == 0".parse().unwrap()],
    ..sample::run().scenario
});

/// The greatest rate to 1,000 subscribers.
pub(crate) fn plan() -> Plan {
    Plan {
        target: "target/release/feedmark target --open --port {port}".to_owned(),
        scenario: SCENARIO.clone(),
        watched: Watched::default(),
        vary: Vary::Rate,
        subscriber_counts: Vec::new(),
        core_counts: Vec::new(),
        load_max: 10_000.0,
        seed: 1,
    }
}

/// The most subscribers at 20 posts/s.
pub(crate) fn of_subscribers() -> Plan {
    Plan { vary: Vary::Subscribers, load_max: 100_000.0, ..plan() }
}

/// The frontier.
pub(crate) fn of_both() -> Plan {
    Plan { vary: Vary::Both, subscriber_counts: vec![500, 1_000, 2_000, 4_000, 8_000], ..plan() }
}

/// The greatest rate over cores.
pub(crate) fn of_cores() -> Plan {
    Plan { core_counts: vec![1, 2, 3, 4, 6, 8, 12, 16], ..plan() }
}

#[test]
fn plans_that_cannot_be_answered_are_refused() {
    let on_one_core = |plan: Plan| Plan { core_counts: vec![1], ..plan };
    for plan in [
        plan(),
        of_subscribers(),
        of_both(),
        of_cores(),
        on_one_core(of_subscribers()),
        on_one_core(of_both()),
    ] {
        assert_eq!(plan.check(), Ok(()));
        assert!(plan.searches().iter().all(|fixed| fixed.cores.is_some() != plan.core_counts.is_empty()));
        assert_eq!(plan.difference(&plan), None);
    }
    let load_of = |rate_per_s, subscribers| ScenarioRecord { rate_per_s, subscribers, ..SCENARIO.clone() };
    for (plan, part) in [
        (Plan { subscriber_counts: vec![1, 2, 3], ..of_both() }, "3 numbers of subscribers"),
        (Plan { subscriber_counts: vec![1, 2, 2, 3], ..of_both() }, "each once"),
        (Plan { subscriber_counts: vec![0, 1, 2, 3], ..of_both() }, "numbers of subscribers"),
        (Plan { subscriber_counts: (1..=33).collect(), ..of_both() }, "33 searches"),
        (Plan { subscriber_counts: vec![1, 2, 3, 4], ..plan() }, "--vary both"),
        (Plan { core_counts: vec![0, 1], ..plan() }, "from 1"),
        (Plan { core_counts: vec![1, 2, 3, 4, 6, 5], ..plan() }, "upwards"),
        (Plan { core_counts: vec![1, 2, 3, 4, 5, 6], ..of_both() }, "give one number"),
        (Plan { load_max: 0.0, ..plan() }, "load to try is 0"),
        (Plan { load_max: f64::NAN, ..plan() }, "load to try is NaN"),
        (Plan { scenario: load_of(0.0, 10), ..plan() }, "0 posts/s to 10"),
        (Plan { scenario: load_of(1.0, 0), ..plan() }, "to 0 subscribers"),
    ] {
        let error = plan.check().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_committed_schema_is_the_codes() {
    assert_committed("capacity.schema.json", &schema());
}

#[test]
fn sessions_fit_the_schema_and_survive_json() {
    let validator = jsonschema::validator_for(&serde_json::to_value(schema()).unwrap()).unwrap();
    let server = simulated::Server::default();
    for plan in [plan(), of_subscribers(), of_both(), of_cores()] {
        for steps_max in [0, 7, usize::MAX] {
            let capacity = server.session(&plan, None, steps_max);
            let json = serde_json::to_value(&capacity).unwrap();
            let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
            assert_eq!(serde_json::from_value::<CapacityResult>(json).unwrap(), capacity);
        }
    }
}
