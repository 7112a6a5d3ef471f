//! What pipelines read, by readers that nobody here wrote, and the scripts of the GitHub action.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::interop::{python, script};
use crate::support::{Bed, DOOMED, FEEDMARK, Finished, SHORT, finish};

const ACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/github-action");
const EXPORTS: [&str; 10] = [
    "--export",
    "junit=out/junit.xml",
    "--export",
    "markdown=out/comment.md",
    "--export",
    "openmetrics=out/metrics.txt",
    "--export",
    "github-action-benchmark=out/benchmark.json",
    "--export",
    "bencher=out/bencher.json",
];
/// One that holds, one that does not, one that is open, one that is advice.
const THRESHOLDS: [&str; 4] = [
    "delivery p50 < 1900ms",
    "delivery p50 < 1us",
    "delivery p99.9 < 1900ms",
    "first_delivery p50 < 1us advisory",
];

/// Name, result and text of the cases, as independent readers find them in all formats.
fn cases(folder: &Path) -> Vec<(String, String, String)> {
    let mut command = Command::new(python("junitparser"));
    command.arg(script("read_exports.py")).arg(folder);
    let read = finish(command);
    read.ended_with(0);
    serde_json::from_str(&read.stdout).unwrap()
}

fn result_of(cases: &[(String, String, String)], name: &str) -> String {
    cases.iter().find(|case| case.0 == name).map(|case| case.1.clone()).unwrap_or_default()
}

fn thresholds() -> Vec<&'static str> {
    THRESHOLDS.iter().flat_map(|threshold| ["--threshold", threshold]).collect()
}

/// `feedmark run` as a step of GitHub Actions.
fn step(bed: &Bed, args: &[&[&str]]) -> Finished {
    let mut command = bed.command(FEEDMARK);
    command.args(["run", "--out", "out", "--quiet"]).args(args.concat());
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", "summary.md");
    finish(command)
}

#[test]
fn every_format_says_what_the_run_says() {
    let bed = Bed::new();
    let finished = step(&bed, &[&SHORT, &EXPORTS, &thresholds()]);
    finished.found_fault("`delivery p50 < 1us` does not hold");
    let cases = cases(&bed.out());
    let is = |name: &str| result_of(&cases, name);
    assert_eq!(is("delivery p50 < 1900ms"), "pass");
    assert_eq!(is("delivery p50 < 1us"), "failure");
    assert_eq!(is("delivery p99.9 < 1900ms"), "error");
    assert_eq!(is("first_delivery p50 < 1us"), "skipped");
    assert_eq!(is("missing == 0"), "pass");
    let failed = cases.iter().find(|case| case.1 == "failure").unwrap();
    assert!(failed.2.contains("observed: ") && failed.2.contains("allowed: < 1us"), "{failed:?}");
    let trusted = bed.result().verdict.status != feedmark_reports::Status::Invalid;
    let benchmark = fs::read_to_string(bed.out().join("benchmark.json")).unwrap();
    assert_eq!(benchmark.contains("\"delivery p50\""), trusted, "{benchmark}");
    // The summary of the job is the comment; annotations go to stderr, and stdout is the summary alone.
    let comment = fs::read_to_string(bed.out().join("comment.md")).unwrap();
    assert_eq!(fs::read_to_string(bed.path().join("summary.md")).unwrap(), comment);
    assert!(comment.contains("| **FAIL** | `delivery p50 < 1us` |"), "{comment}");
    for part in [
        "\n::error title=feedmark run%3A FAIL delivery p50 < 1us::`delivery p50 < 1us` does not hold",
        "\n::warning title=feedmark run%3A UNRESOLVED delivery p99.9 < 1900ms::",
        "\n::notice title=feedmark run%3A (FAIL) first_delivery p50 < 1us::",
    ] {
        assert!(format!("\n{}", finished.stderr).contains(part), "no `{part}` in {}", finished.stderr);
    }
    assert!(!finished.stdout.contains("::"), "{}", finished.stdout);
}

#[test]
fn outside_of_github_actions_nobody_is_told() {
    let bed = Bed::new();
    let finished = bed.run(&[&SHORT, &thresholds()]);
    assert!(!finished.stderr.contains("::error"), "{}", finished.stderr);
}

/// A full disk is met after the run: its verdict stays, and only a PASS becomes an error.
#[test]
fn what_cannot_be_written_is_said_and_hides_no_verdict() {
    for threshold in ["missing == 0", "delivery p50 < 1us"] {
        let bed = Bed::new();
        fs::create_dir(bed.path().join("gone")).unwrap();
        let process = bed.start(&[
            &SHORT,
            &["--warmup", "5s", "--threshold", threshold, "--export", "junit=gone/junit.xml"],
        ]);
        crate::support::eventually("it runs", || bed.said("stderr").contains("steady").then_some(()));
        fs::remove_dir(bed.path().join("gone")).unwrap();
        let code = process.wait().code().unwrap();
        let said = bed.said("stderr");
        let expected = match bed.result().verdict.status.exit_code() {
            0 => 1,
            code => i32::from(code),
        };
        assert_eq!(code, expected, "{said}");
        assert!(said.contains("feedmark: cannot write gone/junit.xml: "), "{said}");
    }
}

#[test]
fn what_cannot_work_is_said_before_the_run() {
    let bed = Bed::new();
    let refused = |exports: &[&str], parts: &[&str]| {
        let exports: Vec<&str> = exports.iter().flat_map(|export| ["--export", export]).collect();
        let finished = bed.run(&[&DOOMED, &exports]);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
        }
    };
    refused(
        &["xunit=x"],
        &["`xunit` is no format", "junit, markdown, openmetrics, github-action-benchmark, bencher"],
    );
    refused(&["junit"], &["`junit` names no file", "FORMAT=FILE"]);
    refused(&["junit=none/junit.xml"], &["none/junit.xml cannot be written: make the folder none first"]);
    refused(&["junit=tmp"], &["tmp is a folder: name a file"]);
    refused(&["junit=a", "markdown=a"], &["a is named twice"]);
    assert!(!bed.out().exists());
}

/// The scripts of the action, with what GitHub would give them.
#[test]
fn the_action_measures_first_and_fails_last() {
    let bed = Bed::new();
    let bin = bed.path().join("runner/feedmark/bin");
    fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(FEEDMARK, bin.join("feedmark")).unwrap();
    let action = |step: &str, inputs: &[(&str, &str)]| {
        let mut command = bed.command("bash");
        command.args([ACTION, step]).envs(inputs.iter().copied());
        command.env("RUNNER_TEMP", bed.path().join("runner")).env("GITHUB_OUTPUT", bed.path().join("output"));
        command.env("GITHUB_ACTIONS", "true").env("RUNNER_OS", "Linux").env("RUNNER_ARCH", "X64");
        finish(command)
    };
    action("source", &[]).ended_with(0);
    // What the cache has is not built again.
    action("install", &[]).ended_with(0);
    bed.write(
        "feed.toml",
        "subscribers = 50\nrate = '20/s'\nduration = '3s'\nwarmup = '1s'\ndeadline = '2s'\n",
    );
    // Text that a shell would obey, and an argument with blanks.
    let out = "$(touch obeyed) `touch obeyed`";
    let inputs = [
        ("INPUT_COMMAND", "run"),
        ("INPUT_SCENARIO", "feed.toml"),
        ("INPUT_ARGS", "--threshold=delivery p50 < 1us\n\n--quiet\n"),
        ("INPUT_OUT", out),
    ];
    let measured = action("measure", &inputs);
    measured.ended_with(0);
    assert!(!bed.path().join("obeyed").exists());
    let output = fs::read_to_string(bed.path().join("output")).unwrap();
    let of = |name: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {output}")).to_owned()
    };
    assert!(
        of("key").starts_with("feedmark-Linux-X64-") && of("key").len() == "feedmark-Linux-X64-".len() + 64,
        "{output}"
    );
    let code = of("exit-code");
    assert!(
        [("99", "FAIL"), ("98", "INVALID")].contains(&(code.as_str(), of("verdict").as_str())),
        "{output}"
    );
    for file in ["junit.xml", "comment.md", "run.json"] {
        assert!(bed.path().join(out).join(file).exists(), "{file}");
    }
    action("end", &[("EXIT_CODE", &code)]).ended_with(code.parse().unwrap());
    let refused =
        action("measure", &[("INPUT_COMMAND", "run; touch obeyed"), ("INPUT_ARGS", ""), ("INPUT_OUT", "o")]);
    refused.ended_with(2);
    assert!(refused.stdout.contains("the input command is run, gate or capacity"), "{}", refused.stdout);
}

/// An expression of GitHub's inside a script would be code.
#[test]
fn the_action_puts_no_input_into_a_script() {
    let action = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../action.yml")).unwrap();
    let scripts: Vec<&str> = action.lines().filter(|line| line.trim_start().starts_with("run:")).collect();
    assert_eq!(scripts.len(), 4);
    for script in scripts {
        assert!(script.contains("\"$GITHUB_ACTION_PATH/scripts/github-action\" "), "{script}");
        assert!(!script.contains("${{"), "{script}");
    }
}
