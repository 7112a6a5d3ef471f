//! Exit codes, help, `init`, and what goes to stdout and to stderr.

use std::fs;
use std::thread;
use std::time::Duration;

use jsonschema::validator_for;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::puppet::Feed;
use crate::support::{Bed, DOOMED, FEEDMARK, SHORT, Server, eventually, finish};

/// A healthy feed of this process, for runs that are not about the target.
fn healthy() -> Feed {
    Feed::new(|subscriber, _, _, frame| std::io::Write::write_all(subscriber, frame))
}

// 99 (fail), 1 (nothing there) and 130 (interrupted) have their tests where they are caused:
// in `run.rs`, `bad_targets.rs` and `interrupt.rs`.

#[test]
fn a_pass_is_0() {
    // A busy machine makes some runs invalid: of three, one is not.
    let mut said = String::new();
    let passed = (0..3).any(|_| {
        let bed = Bed::new();
        let finished = bed.run(&[&SHORT, &["--warmup", "5s", "--url", &healthy().url()]]);
        finished.is_healthy();
        said.push_str(&finished.stdout);
        finished.code == Some(0) && finished.stdout.starts_with("PASS")
    });
    assert!(passed, "{said}");
}

#[test]
fn a_run_that_is_disturbed_is_invalid_98() {
    let bed = Bed::new();
    // Stopped for longer than any check allows.
    let target = healthy();
    let process = bed.start(&[&SHORT, &["--url", &target.url()]]);
    eventually("the steady phase", || bed.said("stderr").contains("steady: ").then_some(()));
    process.signal(Signal::SIGSTOP);
    thread::sleep(Duration::from_millis(700));
    process.signal(Signal::SIGCONT);
    assert_eq!(process.wait().code(), Some(98), "{}", bed.said("stdout"));
    assert!(bed.said("stdout").starts_with("INVALID  V"), "{}", bed.said("stdout"));
}

#[test]
fn a_run_without_a_post_to_judge_is_unresolved_97() {
    let bed = Bed::new();
    let finished = bed.run(&[&DOOMED, &["-r", "1/h", "--url", &healthy().url()]]);
    assert!(matches!(finished.code, Some(97 | 98)), "{}", finished.stdout);
    assert!(!finished.stdout.starts_with("PASS"), "{}", finished.stdout);
    assert!(finished.stdout.contains("no delivery was owed"), "{}", finished.stdout);
}

#[test]
fn a_feed_that_leaves_one_subscriber_out_fails_99() {
    let bed = Bed::new();
    // The probe reaches everybody, the third post all but one.
    let feed = Feed::new(|subscriber, index, post, frame| match (index, post) {
        (0, 3) => Ok(()),
        _ => std::io::Write::write_all(subscriber, frame),
    });
    let finished = bed.run(&[&DOOMED, &["--url", &feed.url()]]);
    finished.found_fault("1 of ");
    let deliveries = bed.result().deliveries;
    assert_eq!((deliveries.missing, deliveries.residual, deliveries.subscribers_with_misses), (1, 0, 1));
    assert!(finished.stdout.contains("never arrived"));
}

#[test]
fn wrong_usage_is_2_and_names_what_is_wrong() {
    let bed = Bed::new();
    for (args, part) in [
        (&[][..], "Usage"),
        (&["runn"][..], "runn"),
        (&["run", "--subscriber", "5"][..], "--subscriber"),
        (&["run", "-c", "many"][..], "`many` is no number of subscribers"),
        (&["run", "-c", "0"][..], "1 to 1000000 are allowed"),
        (&["run", "-r", "20"][..], "`20` is not a rate"),
        (&["run", "-d", "30"][..], "`30` is not a duration"),
        (&["run", "-d", "0s"][..], "`0s` measures nothing"),
        (&["run", "--deadline", "0s"][..], "deadline"),
        (&["run", "--arrivals", "bursty"][..], "poisson"),
        (&["run", "--driver", "pigeon"][..], "engine, rust_socketio"),
        (&["run", "--body", "{}"][..], "{{marker}}"),
        (&["run", "--header", "nonsense"][..], "colon"),
        (&["run", "--auth", "token"][..], "JSON object"),
        (&["run", "--url", "localhost:3000"][..], "write http://host:port"),
        (&["run", "--url", "https://example.com"][..], "TLS"),
        (&["run", "--url", "http://h:1/feed"][..], "post_path"),
        (&["run", "--url", "http://h:1", "--target-args", "--open"][..], "target_args"),
        (&["run", "no/such/file.toml"][..], "no/such/file.toml"),
        (&["check", "-c", "1000000", "-r", "1000000/s", "-d", "1h"][..], "shorten the run"),
    ] {
        let finished = bed.feedmark(args);
        assert_eq!(finished.code, Some(2), "{args:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(part), "{args:?}: no `{part}` in {}", finished.stderr);
        assert_eq!(finished.stdout, "", "{args:?}");
    }
    assert_eq!(fs::read_dir(bed.path()).unwrap().count(), 1, "nothing was left behind");
}

#[test]
fn help_and_version_are_results() {
    let bed = Bed::new();
    let version = bed.feedmark(&["--version"]);
    assert_eq!((version.code, version.stderr.as_str()), (Some(0), ""));
    assert_eq!(version.stdout, format!("feedmark {}\n", env!("CARGO_PKG_VERSION")));
    for (args, parts) in [
        (&["--help"][..], &["run", "check", "init", "target", "Exit codes: 0 pass", "130 interrupted"][..]),
        (
            &["run", "--help"][..],
            &[
                "--url",
                "--subscribers",
                "--rate",
                "--post-path",
                "[default: 1000]",
                "FEEDMARK_RATE",
                "--quiet",
            ],
        ),
        (&["check", "--help"][..], &["SCENARIO", "--deadline"]),
        (&["init", "--help"][..], &["FILE"]),
        (&["target", "--help"][..], &["--open", "--durability"]),
    ] {
        let help = bed.feedmark(args);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{args:?}");
        let unwrapped = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(unwrapped.contains(part), "{args:?}: no `{part}` in {}", help.stdout);
        }
    }
}

#[test]
fn help_does_not_show_secrets_of_the_environment() {
    let bed = Bed::new();
    let mut command = bed.command(FEEDMARK);
    command.args(["run", "--help"]);
    command.env("FEEDMARK_AUTH", r#"{"token":"very-secret"}"#);
    command.env("FEEDMARK_HEADER", "Authorization: Bearer very-secret");
    let help = finish(command).stdout;
    assert!(help.contains("FEEDMARK_AUTH") && !help.contains("very-secret"), "{help}");
}

#[test]
fn init_writes_a_scenario_that_check_takes() {
    let bed = Bed::new();
    let printed = bed.feedmark(&["init"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let written = bed.feedmark(&["init", "feed.toml"]);
    assert_eq!(written.code, Some(0));
    assert!(written.stdout.contains("feedmark check feed.toml"), "{}", written.stdout);
    assert_eq!(fs::read_to_string(bed.path().join("feed.toml")).unwrap(), printed.stdout);
    let checked = bed.feedmark(&["check", "feed.toml"]);
    checked.ended_with(0);
    assert_eq!(checked.stdout, bed.feedmark(&["check"]).stdout, "the file is the default");
}

#[test]
fn init_leaves_an_existing_file_alone() {
    let bed = Bed::new();
    let path = bed.write("feed.toml", "mine");
    bed.feedmark(&["init", "feed.toml"]).refuses(2, &["feed.toml exists", "choose another name"]);
    assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    bed.feedmark(&["init", "no/such/folder.toml"]).refuses(1, &["cannot write no/such/folder.toml"]);
}

#[test]
fn json_on_stdout_is_run_json_and_keeps_to_its_schema() {
    let bed = Bed::new();
    let finished = bed.run(&[&DOOMED, &["--json", "--quiet", "--url", &healthy().url()]]);
    finished.is_healthy();
    assert_eq!(finished.stderr, "", "quiet");
    let file = fs::read_to_string(bed.out().join("run.json")).unwrap();
    assert_eq!(finished.stdout, file, "byte for byte");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/run.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let mut document: Value = serde_json::from_str(&file).unwrap();
    let validator = validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    document["deliveries"]["owed"] = "many".into();
    assert!(!validator.is_valid(&document), "the schema would take anything");
}

#[test]
fn what_goes_into_files_is_plain_text() {
    let bed = Bed::new();
    let finished = bed.run(&[&DOOMED, &["--url", &healthy().url()]]);
    finished.is_healthy();
    for text in [&finished.stdout, &finished.stderr] {
        let control: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(control.is_empty(), "{control:?} in {text}");
    }
    assert!(finished.stdout.ends_with("results: out\n"), "{}", finished.stdout);
    for part in ["target: ", "connect: ", "probe: ", "steady: "] {
        assert!(finished.stderr.contains(part), "no `{part}` in {}", finished.stderr);
    }
}

/// A terminal is told by `script`, which makes one; colors are there unless nobody wants them.
#[test]
fn colors_are_for_terminals_whose_owner_wants_them() {
    let target = healthy();
    let run = format!("{FEEDMARK} run --out out {} --quiet --url {}", DOOMED.join(" "), target.url());
    for (no_color, flag, colored) in [(None, "", true), (Some("1"), "", false), (None, "--no-color", false)] {
        let bed = Bed::new();
        let mut command = bed.command("script");
        command.args(["-qec", &format!("{run} {flag}"), "/dev/null"]).env("TERM", "xterm");
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        let finished = finish(command);
        finished.is_healthy();
        assert_eq!(finished.stdout.contains("\u{1b}["), colored, "{no_color:?} {flag}: {}", finished.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_stdout_is_one() {
    let bed = Bed::new();
    let (target, out) = (healthy(), "out");
    let run = format!("{FEEDMARK} run --out {out} {} --quiet --url {}", DOOMED.join(" "), target.url());
    let mut gone = bed.command("bash");
    gone.args(["-c", &format!("{run} | true; exit ${{PIPESTATUS[0]}}")]);
    let code = finish(gone).code;
    assert!(matches!(code, Some(0 | 97 | 98)), "{code:?}");
    let bed = Bed::new();
    let mut full = bed.command("sh");
    full.args(["-c", &format!("{run} --json > /dev/full")]);
    finish(full).refuses(1, &["cannot write to standard output", "No space left", "the results are in out"]);
    bed.result();
}

/// The reference server is a subcommand, and ends with its standard input.
#[test]
fn target_serves() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    let finished = bed.run(&[&DOOMED, &["--url", &server.url, "--target-pid", &server.pid()]]);
    finished.is_healthy();
    let sampled = bed.result().resources.target.unwrap();
    assert!(sampled.peak_memory_bytes > 0 && !sampled.samples.is_empty());
    server.finish();
}
