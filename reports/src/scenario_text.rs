//! A recorded scenario, written so that it can be run again: as a file, and as a command; and the command of a session of
//! such runs.
//!
//! Invariant: `feedmark run` of either resolves to the recorded scenario, except for what the record leaves out because it may be
//! secret: the values of headers, and the auth payload.

use toml::Value;

use crate::capacity::{CapacityResult, Plan, PlannedLoad, Vary};
use crate::gate::{PORT, is_url};
use crate::run_result::{Driver, ScenarioRecord};
use crate::units::flag_duration;

/// A setting with its value, as a scenario file has them.
type Setting = (&'static str, Value);

/// The scenario as a file, with every default filled in.
pub fn file(scenario: &ScenarioRecord, seed: u64) -> String {
    let mut text = String::new();
    for (name, value) in settings(scenario, seed) {
        text.push_str(&format!("{name} = {value}\n"));
    }
    if !scenario.header_names.is_empty() {
        let names = scenario.header_names.join(", ");
        text.push_str(&format!("# Add the headers, whose values are not kept: {}\n", one_line(&names)));
    }
    if scenario.auth {
        text.push_str("# Add the auth payload, which is not kept.\n");
    }
    text
}

/// The scenario as a command for a shell, with every default filled in.
pub fn command(scenario: &ScenarioRecord, seed: u64) -> String {
    let mut words = vec!["feedmark run".to_owned()];
    for (name, value) in settings(scenario, seed) {
        // The flag gives one threshold, the setting all.
        let flag = if name == "thresholds" { "threshold".to_owned() } else { name.replace('_', "-") };
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.push(format!("--{flag} {}", quoted(&text)));
        }
    }
    words.extend(
        scenario.header_names.iter().map(|name| format!("--header {}", quoted(&format!("{name}: VALUE")))),
    );
    words.extend(scenario.auth.then(|| "--auth 'PAYLOAD'".to_owned()));
    words.join(" \\\n  ")
}

/// A capacity session as a command for a shell, which needs its scenario as `scenario.toml`.
pub fn capacity_command(capacity: &CapacityResult) -> String {
    let plan = &capacity.plan;
    let vary = match plan.vary {
        Vary::Rate => "rate",
        Vary::Subscribers => "subscribers",
        Vary::Both => "both",
    };
    let list = |counts: &[u32]| {
        let counts: Vec<String> = counts.iter().map(u32::to_string).collect();
        (!counts.is_empty()).then(|| counts.join(","))
    };
    let rate_unit = if plan.vary == Vary::Subscribers { "" } else { "/s" };
    let mut flags = vec![("vary", vary.to_owned()), ("load-max", format!("{}{rate_unit}", plan.load_max))];
    flags.extend(target(plan));
    flags.extend(watched(plan));
    flags.extend(list(&plan.subscriber_counts).map(|counts| ("subscribers-list", counts)));
    flags.extend(list(&plan.core_counts).map(|counts| ("cores", counts)));
    flags.extend(capacity.budget_ns.map(|budget| ("budget", flag_duration(budget))));
    flags.extend(capacity.planned_loads.iter().map(|load| ("plan", load.to_string())));
    with_flags("feedmark capacity scenario.toml", flags).join(" \\\n  ")
}

/// A search for the greatest rate to as many subscribers as a planned load has, of what else the plan asks for; it needs the
/// session's `scenario.toml`.
pub fn search_command(plan: &Plan, load: PlannedLoad) -> String {
    let mut flags = vec![("vary", "rate".to_owned())];
    flags.extend(at(load.subscribers, load.rate_per_s));
    flags.extend(target(plan));
    flags.extend(watched(plan));
    // Of several numbers of cores the greatest is what the target has.
    flags.extend(plan.core_counts.last().map(|cores| ("cores", cores.to_string())));
    with_flags("feedmark capacity scenario.toml", flags).join(" ")
}

/// A single run at a load, as a step of the session; it needs the session's `scenario.toml`, and a server that runs where the
/// plan has a command for one.
pub fn step_command(plan: &Plan, (subscribers, rate_per_s): (u32, f64), duration_ns: u64) -> String {
    let url = target(plan).map(|(flag, target)| match flag {
        "url" => target,
        _ => format!("http://127.0.0.1:{PORT}"),
    });
    let mut flags = at(subscribers, rate_per_s).to_vec();
    flags.push(("duration", flag_duration(duration_ns)));
    flags.extend(url.map(|url| ("url", url)));
    flags.extend(watched(plan));
    with_flags("feedmark run scenario.toml", flags).join(" ")
}

/// Flags with their values, not yet quoted.
type Flag = (&'static str, String);

fn with_flags(command: &str, flags: Vec<Flag>) -> Vec<String> {
    let flags = flags.into_iter().map(|(flag, value)| format!("--{flag} {}", quoted(&value)));
    std::iter::once(command.to_owned()).chain(flags).collect()
}

fn at(subscribers: u32, rate_per_s: f64) -> [Flag; 2] {
    [("subscribers", subscribers.to_string()), ("rate", format!("{rate_per_s}/s"))]
}

/// The reference server needs no word.
fn target(plan: &Plan) -> Option<Flag> {
    match plan.target.as_str() {
        url if is_url(url) => Some(("url", url.to_owned())),
        command if command.contains(PORT) => Some(("target", command.to_owned())),
        _ => None,
    }
}

/// What is to be watched of the target.
fn watched(plan: &Plan) -> impl Iterator<Item = Flag> + '_ {
    let watched = &plan.watched;
    let cgroup = watched.target_cgroup.iter().map(|path| ("target-cgroup", path.clone()));
    let metrics = watched.target_metrics.iter().map(|at| ("target-metrics", at.clone()));
    cgroup.chain(metrics).chain(watched.series.iter().map(|series| ("series", series.clone())))
}

fn settings(scenario: &ScenarioRecord, seed: u64) -> Vec<Setting> {
    let text = |text: &str| Value::from(text.to_owned());
    let span = |ns: u64| Value::from(flag_duration(ns));
    let rate = |per_s: f64| Value::from(format!("{per_s}/s"));
    let list = |list: &[String]| Value::from(list.to_vec());
    let number = |n: u64| i64::try_from(n).map_or_else(|_| Value::from(n.to_string()), Value::from);
    let thresholds: Vec<String> = scenario.thresholds.iter().map(ToString::to_string).collect();
    let all: Vec<(&'static str, Option<Value>)> = vec![
        ("url", scenario.url.as_deref().map(text)),
        ("target_args", (!scenario.target_args.is_empty()).then(|| text(&scenario.target_args.join(" ")))),
        ("fault", (!scenario.faults.is_empty()).then(|| list(&scenario.faults))),
        ("subscribers", Some(number(u64::from(scenario.subscribers)))),
        ("rate", Some(rate(scenario.rate_per_s))),
        ("duration", Some(span(scenario.duration_ns))),
        ("warmup", Some(span(scenario.warmup_ns))),
        ("deadline", Some(span(scenario.deadline_ns))),
        ("arrivals", Some(text(scenario.arrivals.name()))),
        ("seed", Some(number(seed))),
        ("in_flight", Some(number(u64::from(scenario.in_flight_max)))),
        ("post_path", Some(text(&scenario.post_path))),
        ("body", Some(text(&scenario.body))),
        ("post_timeout", Some(span(scenario.post_timeout_ns))),
        ("event", Some(text(&scenario.event))),
        ("namespace", Some(text(&scenario.namespace))),
        ("socket_path", Some(text(&scenario.socket_path))),
        ("connect_rate", scenario.connect_rate_per_s.map(rate)),
        ("connect_timeout", Some(span(scenario.connect_timeout_ns))),
        ("connect_within", scenario.connect_within_ns.map(span)),
        ("max_message", Some(Value::from(format!("{}B", scenario.message_bytes_max)))),
        (
            "driver",
            Some(text(match scenario.driver {
                Driver::Engine => "engine",
                Driver::RustSocketio => "rust_socketio",
            })),
        ),
        ("threads", Some(number(u64::from(scenario.threads)))),
        ("timestamps", Some(text(if scenario.kernel_stamps { "kernel" } else { "user" }))),
        ("thresholds", (!thresholds.is_empty()).then(|| list(&thresholds))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// As a POSIX shell takes it for one word.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    in_quotes(text)
}

/// In single quotes, for a POSIX shell: one word, whatever it is.
pub fn in_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::tests::{of_both, of_subscribers};
    use crate::sample;

    #[test]
    fn a_session_is_asked_for_again_as_it_was() {
        let planned = |plan: Plan| {
            let loads = vec!["8000 subscribers, 3/s".parse().unwrap()];
            capacity_command(&CapacityResult::planned(plan, Some(600_000_000_000), loads, "0.1.0"))
        };
        let command = planned(of_both());
        for part in [
            "--vary both \\\n",
            "--load-max 10000/s",
            "--target 'target/release/feedmark target --open --port {port}'",
            "--subscribers-list 500,1000,2000,4000,8000",
            "--budget 10m",
            "--plan '8000 subscribers, 3/s'",
        ] {
            assert!(command.contains(part), "{part}: {command}");
        }
        let command = planned(Plan { target: "http://127.0.0.1:1/".to_owned(), ..of_subscribers() });
        assert!(
            command.contains("--url http://127.0.0.1:1/") && command.contains("--load-max 100000 "),
            "{command}"
        );
        // The reference server needs no word.
        let command = planned(Plan { target: "reference server".to_owned(), ..of_both() });
        assert!(!command.contains("--target") && !command.contains("--url"), "{command}");
    }

    #[test]
    fn words_are_quoted_and_secrets_are_named() {
        let mut scenario = sample::run().scenario;
        scenario.body = "it's {{marker}}\n".to_owned();
        scenario.header_names = vec!["Authorization".to_owned()];
        scenario.auth = true;
        let command = command(&scenario, 7);
        assert!(command.contains(r"--body 'it'\''s {{marker}}"), "{command}");
        assert!(
            command.contains("--seed 7") && command.contains("--header 'Authorization: VALUE'"),
            "{command}"
        );
        let file = file(&scenario, 7);
        assert!(file.contains("not kept: Authorization\n") && file.contains("auth payload"), "{file}");
        assert!(toml::from_str::<toml::Table>(&file).is_ok(), "{file}");
    }
}
