//! The commands that a session prints are taken by this command line, as a shell hands them over.

use std::path::Path;
use std::process::Command as Process;

use clap::{CommandFactory as _, Parser as _};
use feedmark_reports::capacity::advice::{Advice, advice};
use feedmark_reports::capacity::headroom::{Fits, Headroom};
use feedmark_reports::capacity::limit::{Limit, NamedLimit};
use feedmark_reports::capacity::search::{Bracket, Ending};
use feedmark_reports::capacity::search_result::SearchResult;
use feedmark_reports::capacity::{Fixed, Measure, Outcome, Role, Step};
use feedmark_reports::scenario_text;
use tempfile::TempDir;

use super::super::{Cli, Command, resolve};
use super::*;
use crate::scenario::Scenario;

/// What nobody may take for more than one word, and what a shell would like to have a look at.
const TARGET: &str = "./it's \"mine\" $HOME `id` \\ --port {port}";
/// A session of every kind, as it is typed.
const SESSIONS: [&[&str]; 6] = [
    &[
        "-c",
        "500",
        "--slo",
        "full_fanout p99 < 400ms",
        "--slo",
        "missing == 0",
        "--target-args=--store memory",
    ],
    &["--target", TARGET, "--cores", "1", "--body", "it's {{marker}}", "--budget", "15m", "-r", "0.25/s"],
    &[
        "--url",
        "http://127.0.0.1:1",
        "--vary",
        "subscribers",
        "--load-max",
        "500",
        "--plan",
        "8000 subscribers, 3/s",
    ],
    &[
        "--target-metrics",
        "/metrics",
        "--series",
        "up{job=\"it's\"}",
        "--series",
        "a_total=cpu",
        "--target-cgroup",
        "/a b",
    ],
    &["--vary", "both", "--subscribers-list", "250,500,1000,2000", "--target", TARGET, "--seed", "7"],
    &[
        "--load-max",
        "12.5/s",
        "--plan",
        "1 subscriber, 0.5/s",
        "--plan",
        "9 subscribers, 2/s",
        "--fault",
        "kind=drop,share=0.01",
    ],
];

fn parse(words: &[String]) -> Command {
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command
}

fn asked_by(command: Command) -> Capacity {
    match command {
        Command::Capacity(args) => asked(&args).unwrap(),
        other => panic!("no session: {other:?}"),
    }
}

fn typed(args: &[&str]) -> Capacity {
    asked_by(parse(
        &["feedmark", "capacity"].iter().chain(args).map(|word| (*word).to_owned()).collect::<Vec<_>>(),
    ))
}

/// As a shell makes words of it, in a folder that has the session's scenario.
fn pasted(command: &str, folder: &Path) -> Command {
    let script = format!("feedmark() {{ printf '%s\\0' feedmark \"$@\"; }}\n{command}\n");
    let shell = Process::new("sh").arg("-c").arg(script).current_dir(folder).output().unwrap();
    let words = String::from_utf8(shell.stdout.clone()).unwrap();
    assert!(shell.status.success() && shell.stderr.is_empty(), "{command}: {shell:?}");
    let in_folder = |word: &str| match word {
        "scenario.toml" => folder.join(word).display().to_string(),
        word => word.to_owned(),
    };
    parse(&words.split_terminator('\0').map(in_folder).collect::<Vec<_>>())
}

/// Nothing of it has been measured; its folder has its scenario.
fn session(args: &[&str]) -> (CapacityResult, TempDir) {
    let Capacity { plan, budget_ns, planned_loads, .. } = typed(args);
    let folder = tempfile::tempdir().unwrap();
    let scenario = scenario_text::file(&plan.scenario, plan.seed);
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    (CapacityResult::planned(plan, budget_ns, planned_loads, "0.1.0"), folder)
}

/// What a session may have come to: a search with this ending and this limit.
fn concluded(args: &[&str], ending: Ending, limit: Limit) -> (CapacityResult, TempDir) {
    let (mut session, folder) = session(args);
    let varies_subscribers = session.plan.vary == Vary::Subscribers;
    let fixed = match varies_subscribers {
        true => Fixed { subscribers: None, rate_per_s: Some(0.1), cores: None },
        false => Fixed { subscribers: Some(500), rate_per_s: None, cores: None },
    };
    let load = if varies_subscribers { 17.0 } else { 1.0 / 3.0 };
    let (subscribers, rate_per_s) = fixed.with(load);
    let measure = Measure {
        search: 0,
        role: Role::Verify,
        subscribers,
        rate_per_s,
        cores: None,
        warmup_ns: 5_000_000_000,
        steady_ns: 33_000_000_000,
        is_short: false,
        seed: 1,
    };
    session.steps = vec![Step::not_measured(&measure, Outcome::Pass, String::new(), 0)];
    session.searches = vec![SearchResult {
        fixed,
        steps: 1,
        bracket: Bracket { held: Some(load), failing: Some(2.0 * load) },
        verified: (ending == Ending::Verified).then_some(load),
        verifications: 5,
        ending: Some(ending),
        limit: Some(NamedLimit { name: limit, sentence: String::new(), evidence: Vec::new() }),
        overload_estimate_per_s: None,
        left_out: vec!["halvings".to_owned()],
        sentence: String::new(),
    }];
    let headroom =
        |planned| Headroom { planned, answer: Fits::Unresolved, spare_rate: None, sentence: String::new() };
    session.headroom = vec![headroom("7 subscribers, 0.1/s".parse().unwrap())];
    (session, folder)
}

#[test]
fn a_session_that_is_asked_for_again_is_the_same() {
    for args in SESSIONS {
        let (session, folder) = session(args);
        let command = scenario_text::capacity_command(&session);
        let again = asked_by(pasted(&command, folder.path()));
        assert_eq!(again.plan, session.plan, "{command}");
        assert_eq!(
            (again.budget_ns, again.planned_loads),
            (session.budget_ns, session.planned_loads),
            "{command}"
        );
    }
}

#[test]
fn what_is_said_to_do_next_can_be_done() {
    for args in SESSIONS {
        let (session, folder) = concluded(args, Ending::Verified, Limit::Latency);
        let commands: Vec<String> =
            advice(&session).into_iter().filter_map(|advice| advice.command).collect();
        assert_eq!(commands.len(), 2, "{commands:?}");
        let asked_for = &session.plan.scenario;
        let searched = asked_by(pasted(&commands[0], folder.path())).plan;
        assert_eq!((&searched.target, searched.vary), (&session.plan.target, Vary::Rate), "{}", commands[0]);
        let expected = ScenarioRecord { subscribers: 7, rate_per_s: 0.1, ..asked_for.clone() };
        assert_eq!(searched.scenario, expected, "{}", commands[0]);

        let Command::Run(run) = pasted(&commands[1], folder.path()) else { panic!("{}", commands[1]) };
        let is_command = session.plan.target.contains(PORT);
        let mut settings = run.settings;
        // Whoever starts the server knows its port.
        settings.url = settings.url.map(|url| url.replace(PORT, "3000"));
        let url = match is_command {
            true => Some("http://127.0.0.1:3000/".to_owned()),
            false => is_url(&session.plan.target).then(|| format!("{}/", session.plan.target)),
        };
        let again: Scenario = resolve(settings, run.scenario.as_deref()).unwrap();
        let (subscribers, rate_per_s) = session.searches[0].fixed.with(session.searches[0].verified.unwrap());
        let duration_ns = session.steps[0].steady_ns;
        let expected = ScenarioRecord { url, subscribers, rate_per_s, duration_ns, ..asked_for.clone() };
        assert_eq!((again.record(), again.seed), (expected, session.plan.seed), "{}", commands[1]);
    }
}

/// A flag that a sentence tells of is one that there is.
#[test]
fn flags_that_are_told_of_are_there() {
    let command = Cli::command();
    let flags: Vec<&str> = command
        .find_subcommand("capacity")
        .unwrap()
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    let endings = [
        Ending::Verified,
        Ending::GeneratorLimited(1.0),
        Ending::Unsettled(1.0),
        Ending::NothingHolds(1.0),
        Ending::BudgetSpent,
    ];
    let mut told = Vec::new();
    for ending in endings {
        for limit in [Limit::Memory, Limit::Descriptors, Limit::TargetCpu, Limit::Latency, Limit::Unknown] {
            let (session, _folder) = concluded(SESSIONS[0], ending, limit);
            for Advice { sentence, .. } in advice(&session) {
                let words = sentence.split(|c: char| !c.is_ascii_lowercase() && c != '-');
                let named = words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned);
                told.extend(named.inspect(|flag| assert!(flags.contains(&flag.as_str()), "{sentence}")));
            }
        }
    }
    told.sort();
    told.dedup();
    assert_eq!(told, ["budget", "cores", "out", "warmup"]);
}
