//! Did two sets of runs ask for the same work, and what else may explain a difference between them?
//!
//! Invariant: every field of a scenario is either work, or a circumstance, or left out here for a reason that is
//! written down; a new field does not compile until somebody has decided.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run_result::ScenarioRecord;
use crate::terminal::clean;
use crate::units::{bytes, count, flag_duration, number};
use crate::{RunResult, Status};

/// Values that are named, where the runs of a side differ among each other.
const VALUES_NAMED_MAX: usize = 3;
const VALUE_COLUMNS_MAX: usize = 120;
const AS_PLANNED: &str = "as planned";

/// Something in which the runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What differs: the name of a flag of `feedmark run`, or of a field of `run.json`.
    pub what: String,
    /// What the base has.
    pub base: String,
    /// What the candidate has.
    pub candidate: String,
    /// True if a comparison says nothing of the target because of it; else it may explain a change, or part of it.
    pub forbids: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in the base, {} in the candidate", self.what, self.base, self.candidate)
    }
}

/// One value of a run that should be the same on both sides.
struct Fact {
    what: &'static str,
    value: String,
    role: Role,
}

/// What it means if a value is not the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Other work was asked for.
    Work,
    /// The same work, under other circumstances.
    Circumstance,
    /// A circumstance of which both sides should have the same values, one for each of their runs.
    Series,
}

/// In which ways two sets of runs differ, beside their figures: first what forbids a comparison.
pub fn differences(base: &[RunResult], candidate: &[RunResult]) -> Vec<Difference> {
    let facts = |runs: &[RunResult]| runs.iter().map(facts).collect::<Vec<_>>();
    let mut found = unequal(&facts(base), &facts(candidate));
    found.extend(ends(base, candidate));
    found.extend(verdicts(base, candidate));
    found.sort_by_key(|difference| !difference.forbids);
    found
}

/// What forbids a comparison of runs of these two scenarios, as far as it is known before a run.
pub fn other_work(base: &ScenarioRecord, candidate: &ScenarioRecord) -> Vec<Difference> {
    let mut found = unequal(&[scenario_facts(base)], &[scenario_facts(candidate)]);
    found.retain(|difference| difference.forbids);
    found
}

fn unequal(base: &[Vec<Fact>], candidate: &[Vec<Fact>]) -> Vec<Difference> {
    let Some(first) = base.first().or(candidate.first()) else { return Vec::new() };
    let compare = |(index, fact): (usize, &Fact)| {
        let [base, candidate] =
            [base, candidate].map(|runs| distinct(runs.iter().map(|run| run[index].value.as_str())));
        let are_equal = base == candidate && (base.len() == 1 || fact.role == Role::Series);
        let forbids = fact.role == Role::Work;
        (!are_equal).then(|| Difference {
            what: fact.what.to_owned(),
            base: named(&base),
            candidate: named(&candidate),
            forbids,
        })
    };
    first.iter().enumerate().filter_map(compare).collect()
}

/// A run that ended before its time did other work than it was asked for.
fn ends(base: &[RunResult], candidate: &[RunResult]) -> Option<Difference> {
    let end = |run: &RunResult| match (run.interrupted, &run.aborted) {
        (true, _) => "interrupted",
        (false, Some(_)) => "ended itself early",
        (false, None) => AS_PLANNED,
    };
    let words = |runs: &[RunResult]| named(&distinct(runs.iter().map(end)));
    (!base.iter().chain(candidate).all(|run| end(run) == AS_PLANNED)).then(|| Difference {
        what: "end".to_owned(),
        base: words(base),
        candidate: words(candidate),
        forbids: true,
    })
}

/// A run that could not be trusted says nothing; one without an answer may have been too short.
fn verdicts(base: &[RunResult], candidate: &[RunResult]) -> Option<Difference> {
    let has = |status: Status| base.iter().chain(candidate).any(|run| run.verdict.status == status);
    let forbids = has(Status::Invalid);
    let words = |runs: &[RunResult]| named(&distinct(runs.iter().map(|run| run.verdict.status.word())));
    (forbids || has(Status::Unresolved)).then(|| Difference {
        what: "verdict".to_owned(),
        base: words(base),
        candidate: words(candidate),
        forbids,
    })
}

fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut values: Vec<&str> = values.collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn named(values: &[&str]) -> String {
    let shown = values.iter().take(VALUES_NAMED_MAX).map(|value| clean(value, VALUE_COLUMNS_MAX));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more) = values.len().checked_sub(VALUES_NAMED_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn facts(run: &RunResult) -> Vec<Fact> {
    let host = &run.host;
    let real_time = if run.evidence.real_time_priority { "yes" } else { "no" };
    let mut facts = scenario_facts(&run.scenario);
    facts.extend([
        Fact { what: "timestamps", value: run.timestamps.name().to_owned(), role: Role::Work },
        Fact { what: "seed", value: run.seed.to_string(), role: Role::Series },
        Fact { what: "feedmark_version", value: run.feedmark_version.clone(), role: Role::Circumstance },
        Fact { what: "host.cpu", value: host.cpu.clone(), role: Role::Circumstance },
        Fact { what: "host.cpus", value: host.cpus.to_string(), role: Role::Circumstance },
        Fact { what: "host.memory", value: bytes(host.memory_bytes), role: Role::Circumstance },
        Fact { what: "host.os", value: host.os.clone(), role: Role::Circumstance },
        Fact { what: "real_time_priority", value: real_time.to_owned(), role: Role::Circumstance },
    ]);
    facts
}

fn scenario_facts(scenario: &ScenarioRecord) -> Vec<Fact> {
    let ScenarioRecord {
        url,
        subscribers,
        rate_per_s,
        duration_ns,
        warmup_ns,
        deadline_ns,
        arrivals,
        in_flight_max,
        post_path,
        body,
        header_names,
        event,
        namespace,
        socket_path,
        driver,
        auth,
        connect_rate_per_s,
        threads,
        post_timeout_ns,
        connect_timeout_ns,
        connect_within_ns,
        message_bytes_max,
        // What was asked for; the run itself says which stamps it got.
        kernel_stamps: _,
        target_args,
        faults,
        // What is asked of the figures changes none; a run that ended by one says so itself.
        thresholds: _,
    } = scenario;
    let work = |what, value| Fact { what, value, role: Role::Work };
    let circumstance = |what, value| Fact { what, value, role: Role::Circumstance };
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    let list = |values: &[String]| if values.is_empty() { "none".to_owned() } else { values.join(" ") };
    let kind = if url.is_some() { "a server by url" } else { "the reference server" };
    let mut facts = vec![
        work("target", kind.to_owned()),
        work("subscribers", count(u64::from(*subscribers))),
        work("rate", format!("{}/s", number(*rate_per_s))),
        work("arrivals", arrivals.name().to_owned()),
        work("duration", flag_duration(*duration_ns)),
        work("warmup", flag_duration(*warmup_ns)),
        work("deadline", flag_duration(*deadline_ns)),
        work("in_flight", in_flight_max.to_string()),
        work("body", body.clone()),
        work("driver", driver.name().to_owned()),
        work("connect_rate", or_none(connect_rate_per_s.map(|rate| format!("{}/s", number(rate))))),
        work("connect_timeout", flag_duration(*connect_timeout_ns)),
        work("connect_within", or_none(connect_within_ns.map(flag_duration))),
        work("post_timeout", flag_duration(*post_timeout_ns)),
        circumstance("threads", threads.to_string()),
        circumstance("max_message", bytes(*message_bytes_max)),
    ];
    // How the target is addressed and what it is told is part of what may have been changed on purpose.
    facts.extend([
        circumstance("post_path", post_path.clone()),
        circumstance("socket_path", socket_path.clone()),
        circumstance("namespace", namespace.clone()),
        circumstance("event", event.clone()),
        circumstance("header", list(header_names)),
        circumstance("auth", if *auth { "sent" } else { "none" }.to_owned()),
        circumstance("url", or_none(url.clone())),
        circumstance("target_args", list(target_args)),
        circumstance("fault", list(faults)),
    ]);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_result::{ArrivalLaw, Driver, Timestamps};
    use crate::sample;

    fn against(change: impl FnOnce(&mut RunResult)) -> Vec<Difference> {
        let mut candidate = sample::run();
        change(&mut candidate);
        differences(&[sample::run()], &[candidate])
    }

    #[test]
    fn other_work_forbids_and_names_both_values() {
        type Change = fn(&mut RunResult);
        let changes: [(Change, &str); 15] = [
            (
                |run| run.scenario.url = Some("http://h:1".into()),
                "target: the reference server in the base, a server by url in the candidate",
            ),
            (|run| run.scenario.subscribers = 500, "subscribers: 1,000 in the base, 500 in the candidate"),
            (|run| run.scenario.rate_per_s = 0.5, "rate: 20/s in the base, 0.5/s"),
            (|run| run.scenario.arrivals = ArrivalLaw::Constant, "arrivals: poisson in the base, constant"),
            (|run| run.scenario.duration_ns /= 2, "duration: 30s in the base, 15s"),
            (|run| run.scenario.warmup_ns = 0, "warmup: 5s in the base, 0s"),
            (|run| run.scenario.deadline_ns *= 2, "deadline: 10s in the base, 20s"),
            (|run| run.scenario.in_flight_max = 1, "in_flight: 256 in the base, 1"),
            (|run| run.scenario.body = "{{marker}}".into(), "body: {\"title\":"),
            (|run| run.scenario.driver = Driver::RustSocketio, "driver: engine in the base, rust_socketio"),
            (|run| run.scenario.connect_rate_per_s = Some(10.0), "connect_rate: none in the base, 10/s"),
            (|run| run.scenario.connect_timeout_ns = 1, "connect_timeout: 10s in the base, 1ns"),
            (|run| run.scenario.connect_within_ns = Some(1_000_000), "connect_within: none in the base, 1ms"),
            (|run| run.scenario.post_timeout_ns = 1_000_000_000, "post_timeout: 10s in the base, 1s"),
            (|run| run.timestamps = Timestamps::User, "timestamps: kernel in the base, user"),
        ];
        for (change, sentence) in changes {
            let found = against(change);
            assert!(found[0].forbids && found[0].to_string().starts_with(sentence), "{sentence}: {found:?}");
            // A target of another kind has another url, too, which alone forbids nothing.
            assert_eq!(found.iter().filter(|difference| difference.forbids).count(), 1, "{found:?}");
        }
    }

    #[test]
    fn circumstances_are_named_and_forbid_nothing() {
        type Change = fn(&mut RunResult);
        let changes: [(Change, &str); 14] = [
            (|run| run.seed = 7, "seed: 42 in the base, 7 in the candidate"),
            (|run| run.feedmark_version = "0.2.0".into(), "feedmark_version: 0.1.0 in the base, 0.2.0"),
            (|run| run.host.cpu = "B".into(), "host.cpu: a CPU in the base, B"),
            (|run| run.host.cpus = 4, "host.cpus: 2 in the base, 4"),
            (|run| run.host.memory_bytes *= 2, "host.memory: 8.00 GB in the base, 16.0 GB"),
            (|run| run.host.os = "Linux 7".into(), "host.os: Linux 6.18.0 in the base, Linux 7"),
            (|run| run.evidence.real_time_priority = false, "real_time_priority: yes in the base, no"),
            (|run| run.scenario.threads = 2, "threads: 1 in the base, 2"),
            (|run| run.scenario.message_bytes_max = 1_000, "max_message: 1.05 MB in the base, 1.00 kB"),
            (|run| run.scenario.post_path = "/v2".into(), "post_path: /feed/post in the base, /v2"),
            (|run| run.scenario.auth = true, "auth: none in the base, sent"),
            (|run| run.scenario.header_names.clear(), "header: authorization in the base, none"),
            (|run| run.scenario.target_args = vec!["--open".into()], "target_args: none in the base, --open"),
            (|run| run.scenario.faults = vec!["kind=drop".into()], "fault: none in the base, kind=drop"),
        ];
        for (change, sentence) in changes {
            let found = against(change);
            assert!(!found[0].forbids && found[0].to_string().starts_with(sentence), "{sentence}: {found:?}");
            assert_eq!(found.len(), 1, "{found:?}");
        }
    }

    #[test]
    fn equal_runs_do_not_differ() {
        assert_eq!(against(|_| ()), []);
        assert_eq!(against(|run| run.host.open_files_max = 1), [], "it makes no host a different one");
        assert_eq!(differences(&[], &[]), []);
    }

    #[test]
    fn a_verdict_decides_what_a_run_is_worth() {
        for (status, forbids) in [(Status::Invalid, true), (Status::Unresolved, false)] {
            let found = against(|run| run.verdict.status = status);
            assert_eq!(
                found[0].to_string(),
                format!("verdict: PASS in the base, {} in the candidate", status.word())
            );
            assert_eq!((found.len(), found[0].forbids), (1, forbids));
        }
        assert_eq!(against(|run| run.verdict.status = Status::Fail), [], "the figures say it");
    }

    #[test]
    fn a_run_that_ended_early_did_other_work() {
        let interrupted = against(|run| run.interrupted = true);
        assert_eq!(interrupted[0].to_string(), "end: as planned in the base, interrupted in the candidate");
        let aborted = against(|run| run.aborted = Some("missing == 0".to_owned()));
        assert!(aborted[0].forbids && aborted[0].candidate == "ended itself early", "{aborted:?}");
        let mut both = sample::run();
        both.interrupted = true;
        let found = differences(&[both.clone()], &[both]);
        assert!(found.len() == 1 && found[0].forbids, "they ended at different moments: {found:?}");
    }

    /// Seeds come in series; everything else is the same in every run of a set.
    #[test]
    fn runs_of_a_set_are_held_to_each_other() {
        let with = |seed: u64, subscribers: u32| {
            let mut run = sample::run();
            run.seed = seed;
            run.scenario.subscribers = subscribers;
            run
        };
        let set = |seeds: &[u64]| seeds.iter().map(|&seed| with(seed, 1_000)).collect::<Vec<_>>();
        assert_eq!(differences(&set(&[1, 2, 3]), &set(&[3, 1, 2])), []);
        let found = differences(&set(&[1, 2, 3, 4, 5]), &set(&[1]));
        assert_eq!(found[0].to_string(), "seed: 1, 2, 3 and 2 more in the base, 1 in the candidate");
        let mixed = [with(1, 1_000), with(1, 500)];
        let found = differences(&mixed, &mixed);
        assert_eq!(found[0].to_string(), "subscribers: 1,000, 500 in the base, 1,000, 500 in the candidate");
        assert!(found[0].forbids);
    }

    #[test]
    fn other_work_is_known_before_a_run() {
        let base = sample::run().scenario;
        let mut candidate = base.clone();
        candidate.threads += 1;
        assert_eq!(other_work(&base, &candidate), []);
        candidate.subscribers += 1;
        assert_eq!(other_work(&base, &candidate).len(), 1);
    }

    #[test]
    fn hostile_values_are_cleaned() {
        let found = against(|run| run.scenario.body = "\u{1b}[31m".to_owned() + &"x".repeat(1_000));
        assert!(found[0].candidate.starts_with("\u{fffd}[31mx") && found[0].candidate.ends_with('…'));
    }
}
