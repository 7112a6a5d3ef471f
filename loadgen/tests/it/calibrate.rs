//! What a host can resolve: measured, kept, and found again by a run.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use feedmark_core::marker::MARKER_BYTES;
use feedmark_reports::RunResult;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::{Bed, FEEDMARK, Finished, eventually, finish};

/// As short as a load can be that passes, if the machine lets it.
const LOAD: [&str; 8] = ["-c", "20", "-r", "50/s", "-d", "3s", "--deadline", "1s"];
/// The same, for runs of which only the floor matters.
const BRIEF: [&str; 8] = ["-c", "20", "-r", "50/s", "-d", "1s", "--warmup", "0s"];
/// A machine that is busy now may not be soon.
const ATTEMPTS: usize = 2;

/// A command that keeps its floors in the bed's `store`.
fn with_store(bed: &Bed, args: &[&[&str]]) -> Command {
    let mut command = bed.command(FEEDMARK);
    command.env("FEEDMARK_STORE", bed.path().join("store")).args(args.concat());
    command
}

fn floors_file(bed: &Bed) -> PathBuf {
    bed.path().join("store/floors.json")
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A calibration that goes on; dropped, it is killed.
struct Calibrating(Child);

impl Calibrating {
    fn start(bed: &Bed, load: &[&str]) -> Self {
        let mut command = with_store(bed, &[&["calibrate"], load]);
        let log = |name: &str| fs::File::create(bed.path().join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        Self(command.spawn().unwrap())
    }

    /// Sends Ctrl-C and gives the exit code.
    fn interrupt(mut self) -> Option<i32> {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT).unwrap();
        eventually("it ends", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Calibrating {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run that looks for a floor, and its result.
fn run(bed: &Bed, args: &[&[&str]]) -> (Finished, RunResult) {
    let run: &[&str] = &["run", "--out", "out", "--deadline", "1s"];
    let finished = finish(with_store(bed, &[&[run], args].concat()));
    let result = bed.result();
    fs::remove_dir_all(bed.out()).unwrap();
    (finished, result)
}

fn has_floor(result: &RunResult) -> bool {
    let measured = result.validity.iter().any(|check| check.id == "V11" && check.value.is_some());
    assert_eq!(measured, result.evidence.floor.is_some(), "V11 is measured with a floor, and only then");
    measured
}

/// The priority is one of root's, or is not: the floor of the other kind is of no use.
#[test]
fn a_floor_with_another_priority_is_not_used() {
    let bed = Bed::new();
    store_by_hand(&bed);
    let mut floors = read(floors_file(&bed));
    let real_time = &mut floors["floors"][0]["load"]["real_time"];
    *real_time = json!(!real_time.as_bool().unwrap());
    fs::write(floors_file(&bed), floors.to_string()).unwrap();
    let (_, result) = run(&bed, &[&BRIEF]);
    assert!(!has_floor(&result));
}

/// Puts a floor of this host and the brief load into the store.
fn store_by_hand(bed: &Bed) {
    let (_, result) = run(bed, &[&BRIEF]);
    assert!(!has_floor(&result), "nothing was stored");
    let scenario = &result.scenario;
    let load = json!({
        "subscribers": scenario.subscribers, "rate_per_s": scenario.rate_per_s, "arrivals": "poisson",
        "body_bytes": 252, "threads": scenario.threads, "timestamps": result.timestamps,
        "real_time": result.evidence.real_time_priority,
    });
    let floor = json!({ "measured_at": "2026-01-01T00:00:00Z", "p50": 1000, "p90": 2000, "p99": null });
    let floors = json!({
        "schema_version": 2,
        "floors": [{ "host": result.host, "load": load, "floor": floor }],
    });
    fs::create_dir_all(floors_file(bed).parent().unwrap()).unwrap();
    fs::write(floors_file(bed), floors.to_string()).unwrap();
}

#[test]
fn everything_is_told_and_the_floor_of_a_run_that_passed_is_kept() {
    let bed = Bed::new();
    for _ in 0..ATTEMPTS {
        let finished = finish(with_store(&bed, &[&["calibrate", "--quiet"], &LOAD]));
        let Finished { code, stdout, stderr } = &finished;
        for label in [
            "what this host can resolve",
            "host ",
            "load ",
            "priority ",
            "floor ",
            "resolves ",
            "greatest rate ",
            "send lag ",
            "receive delay ",
            "clock ",
            "receive stamps ",
            "sleep ",
            "open files ",
            "local ports ",
            "accept queue ",
            "what to change",
        ] {
            let found = stdout.lines().any(|line| line.trim_start().starts_with(label.trim_end()));
            assert!(found, "no `{label}` in {stdout}\n{stderr}");
        }
        assert!(stdout.contains("20 subscribers x 50/s = 1,000 deliveries/s"), "{stdout}");
        assert_eq!(stderr, "");
        assert!(bed.is_clean());
        if *code == Some(0) {
            assert!(stdout.contains("stored in "), "{stdout}");
            assert_eq!(read(floors_file(&bed))["floors"].as_array().unwrap().len(), 1);
            let (_, same) = run(&bed, &[&BRIEF]);
            assert!(has_floor(&same));
            return;
        }
        // The machine was busy: then it says so, and nothing is kept.
        assert!(matches!(code, Some(97 | 98)), "{stdout}\n{stderr}");
        assert!(stdout.contains(": the floor is not stored\n  V"), "{stdout}");
        assert!(!floors_file(&bed).exists());
    }
}

#[test]
fn a_run_finds_the_floor_where_it_is_told_to_look() {
    let bed = Bed::new();
    store_by_hand(&bed);
    fs::rename(bed.path().join("store"), bed.path().join("elsewhere")).unwrap();
    let (_, by_default) = run(&bed, &[&BRIEF]);
    assert!(!has_floor(&by_default));
    let (_, told) = run(&bed, &[&BRIEF, &["--store", "elsewhere"]]);
    assert!(has_floor(&told));
}

#[test]
fn a_run_at_the_same_load_has_the_floor_and_another_has_not() {
    let bed = Bed::new();
    store_by_hand(&bed);
    let (_, same) = run(&bed, &[&BRIEF, &["-r", "50.2/s", "--arrivals", "constant"]]);
    assert!(has_floor(&same));
    assert_eq!(same.evidence.floor.unwrap().measured_at, "2026-01-01T00:00:00Z");
    for other in [
        ["-c", "21"],
        ["-r", "60/s"],
        ["--timestamps", "user"],
        ["--body", r#"{"title":"{{marker}}","content":"short"}"#],
    ] {
        let (_, result) = run(&bed, &[&BRIEF, &other]);
        assert!(!has_floor(&result), "{other:?}");
    }
}

fn is_as_the_schema_says(calibration: &Value) {
    let schema = read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/calibration.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(calibration).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let mut wrong = calibration.clone();
    wrong["load"]["subscribers"] = "many".into();
    assert!(!validator.is_valid(&wrong), "the schema would take anything");
}

#[test]
fn json_says_the_same_and_a_scenario_gives_the_load() {
    let bed = Bed::new();
    let scenario = "url = 'http://127.0.0.1:1'\nsubscribers = 7\nrate = '30/s'\nevent = 'other'\nnamespace = '/n'\n\
                    post_path = '/p'\nbody = '{{marker}} no JSON'\nauth = '{}'\ntimestamps = 'user'";
    bed.write("feed.toml", scenario);
    let short = ["-d", "1s", "--warmup", "0s", "--deadline", "1s"];
    let finished = finish(with_store(&bed, &[&["calibrate", "feed.toml", "--json"], &short]));
    let json: Value = serde_json::from_str(&finished.stdout).unwrap();
    is_as_the_schema_says(&json);
    assert_eq!((&json["load"]["subscribers"], &json["load"]["rate_per_s"]), (&json!(7), &json!(30.0)));
    assert_eq!((&json["load"]["timestamps"], &json["kernel_stamps"]), (&json!("user"), &json!(false)));
    assert_eq!(json["load"]["body_bytes"], MARKER_BYTES + " no JSON".len());
    assert!(json["posts"].as_u64().unwrap() > 0);
    let greatest = |how: &str| json[format!("deliveries_per_s_{how}")].as_f64().unwrap();
    assert!(greatest("max") > 0.0 && greatest("together_max") > greatest("max"));
    // A warm-up this short makes no floor.
    assert!(matches!(finished.code, Some(97 | 98)), "{}", finished.stderr);
    assert_eq!(json["stored_in"], Value::Null);
    assert!(finished.stderr.contains("saturate: "), "{}", finished.stderr);
}

#[test]
fn what_names_a_target_is_refused() {
    let bed = Bed::new();
    for (flag, value) in [("--url", "http://127.0.0.1:1"), ("--target-args", "-x"), ("--target-pid", "1")] {
        finish(with_store(&bed, &[&["calibrate", flag, value]]))
            .refuses(2, &[flag, "null target", "drop it"]);
    }
}

#[test]
fn without_a_place_for_the_floor_nothing_is_started() {
    let bed = Bed::new();
    bed.feedmark(&["calibrate"]).refuses(2, &["HOME", "--store DIR"]);
    bed.write("file", "");
    for store in ["file", "file/store", "/proc/store"] {
        bed.feedmark(&["calibrate", "--store", store]).refuses(1, &[store, "another --store"]);
    }
}

#[test]
fn a_broken_store_stops_calibrate_and_no_run() {
    let bed = Bed::new();
    fs::create_dir(bed.path().join("store")).unwrap();
    for (text, part) in [("{", "EOF"), (r#"{"schema_version":9}"#, "schema_version is 9")] {
        fs::write(floors_file(&bed), text).unwrap();
        finish(with_store(&bed, &[&["calibrate"]])).refuses(1, &["floors.json", part, "remove this file"]);
        let (finished, result) = run(&bed, &[&BRIEF]);
        assert!(!has_floor(&result));
        let note =
            finished.stderr.lines().find(|line| line.starts_with("the floor of this host is not used: "));
        assert!(note.is_some_and(|note| note.contains("floors.json")), "{}", finished.stderr);
        assert_eq!(fs::read_to_string(floors_file(&bed)).unwrap(), text);
    }
}

#[test]
fn ctrl_c_leaves_neither_a_child_nor_a_floor() {
    for phase in ["warm-up: ", "steady: ", "saturate: "] {
        let bed = Bed::new();
        let load = ["-c", "20", "-r", "50/s", "-d", "2s", "--warmup", "1s", "--deadline", "1s"];
        let calibrating = Calibrating::start(&bed, &load);
        eventually(phase, || bed.said("stderr").contains(phase).then_some(()));
        // The null target is a process, too.
        assert_eq!(bed.processes().len(), 2);
        thread::sleep(Duration::from_millis(200));
        assert_eq!(calibrating.interrupt(), Some(130), "{}", bed.said("stderr"));
        assert!(bed.said("stdout").contains("what this host can resolve"), "{}", bed.said("stdout"));
        assert!(!floors_file(&bed).exists(), "{}", bed.said("stdout"));
        eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
    }
}
