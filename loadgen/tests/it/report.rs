//! `feedmark report`, and the report that a run leaves in its folder.

use std::fs;
use std::io::Write as _;

use crate::puppet::Feed;
use crate::support::{Bed, DOOMED};

const SECRET: &str = "hunter2";

/// A run against a healthy feed, with secrets, in `out`.
fn run(bed: &Bed, args: &[&str]) {
    let feed = Feed::new(|subscriber, _, _, frame| subscriber.write_all(frame));
    let header = format!("Authorization: Bearer {SECRET}");
    let auth = format!(r#"{{"token":"{SECRET}"}}"#);
    let finished = bed.run(&[&DOOMED, &["--url", &feed.url(), "--header", &header, "--auth", &auth], args]);
    finished.is_healthy();
}

#[test]
fn a_run_leaves_the_report_that_its_files_make_and_no_secret() {
    let bed = Bed::new();
    run(&bed, &[]);
    let file = bed.out().join("report.html");
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(&bed.result().run_id));
    assert!(page.contains("Authorization") && !page.contains(SECRET));
    for chart in
        ["latency", "heat", "percentile-curves", "profile", "post-times", "ramp", "own-delays", "cpu"]
    {
        assert!(page.contains(&format!("<figure class=\"chart\" id=\"{chart}\"")), "no chart {chart}");
    }
    fs::remove_file(&file).unwrap();
    let made = bed.feedmark(&["report", "out"]);
    made.ended_with(0);
    assert_eq!(made.stdout, "report: out/report.html\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), page);
}

#[test]
fn several_runs_are_laid_over_each_other() {
    let bed = Bed::new();
    run(&bed, &["--no-report"]);
    assert!(!bed.out().join("report.html").exists());
    bed.feedmark(&["report", "out", "out", "-o", "both.html"]).ended_with(0);
    let page = fs::read_to_string(bed.path().join("both.html")).unwrap();
    let id = bed.result().run_id;
    assert!(page.contains(&format!("1: {id}")) && page.contains(&format!("2: {id}")));
    bed.feedmark(&["report"].iter().chain(&["out"; 9]).copied().collect::<Vec<_>>())
        .refuses(2, &["9 runs", "8"]);
}

#[test]
fn what_is_no_run_is_named() {
    let bed = Bed::new();
    bed.feedmark(&["report"]).ended_with(2);
    bed.feedmark(&["report", "nowhere"]).refuses(2, &["nowhere"]);
    fs::create_dir(bed.out()).unwrap();
    bed.feedmark(&["report", "out"]).refuses(2, &["out", "run.json", "gate.json", "capacity.json"]);
    bed.write("out/gate.json", "{}");
    bed.feedmark(&["report", "out"]).refuses(2, &["out/gate.json:1:2: document: ", "schema_version"]);
    bed.feedmark(&["report", "out", "out"]).refuses(2, &["out has no run.json"]);
}
