//! Whole runs against the reference server: the figures add up, and the files say the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;

use feedmark_reports::RunResult;
use feedmark_reports::quantile::{decode, new_histogram};
use feedmark_reports::run_result::{Posts, Timestamps};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::support::{Bed, SHORT, Server, eventually};

/// Nothing lost, and every sum that can be checked from outside.
fn assert_whole(result: &RunResult) {
    let RunResult { posts, deliveries, connections, warmup, latency_ns, .. } = result;
    let of_a_check = |reason: &String| reason.starts_with('V');
    assert!(result.verdict.reasons.iter().all(of_a_check), "{:?}", result.verdict.reasons);
    assert!(!result.interrupted);
    for posts in [posts, &warmup.posts] {
        let Posts { scheduled, sent, acknowledged, failed, dropped, .. } = *posts;
        assert_eq!((sent, acknowledged, failed, dropped), (scheduled, scheduled, 0, 0));
    }
    let subscribers = u64::from(result.scenario.subscribers);
    for (deliveries, posts) in [(deliveries, posts), (&warmup.deliveries, &warmup.posts)] {
        assert_eq!(deliveries.owed, subscribers * posts.scheduled);
        assert_eq!(deliveries.delivered, deliveries.owed);
        assert_eq!((deliveries.late, deliveries.missing, deliveries.residual), (0, 0, 0));
        assert_eq!((deliveries.duplicate, deliveries.reordered), (0, 0));
        assert_eq!((deliveries.unexpected, deliveries.not_owed), (0, 0));
        assert_eq!(deliveries.missing_by_cause, BTreeMap::new());
    }
    assert_eq!((connections.requested, connections.established), (subscribers, subscribers));
    assert_eq!((connections.failed, connections.lost), (0, 0));
    for (count, expected) in [
        (latency_ns.delivery.count, deliveries.owed),
        (latency_ns.receive_delay.count, deliveries.owed),
        (latency_ns.first_delivery.count, posts.scheduled),
        (latency_ns.full_fanout.count, posts.scheduled),
        (latency_ns.spread.count, posts.scheduled),
        (latency_ns.send_lag.count, posts.scheduled),
        (latency_ns.service_time.count, posts.scheduled),
        (latency_ns.response_time.count, posts.scheduled),
    ] {
        assert_eq!(count, expected);
    }
}

fn run(args: &[&str]) -> (Bed, RunResult) {
    let bed = Bed::new();
    bed.run(&[&SHORT, args]).is_healthy();
    let result = bed.result();
    assert_whole(&result);
    eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
    (bed, result)
}

/// The send lag of the steady phase from the columns of posts.csv, as docs/method.md derives it.
fn send_lags(bed: &Bed) -> Histogram<u64> {
    let mut table = csv::Reader::from_path(bed.out().join("posts.csv")).unwrap();
    let posts = table.deserialize::<BTreeMap<String, String>>().map(Result::unwrap);
    let mut lags = new_histogram();
    for post in posts.filter(|post| post["phase"] == "steady" && post["waited_at_cap"] == "false") {
        let ns = |column: &str| post[column].parse::<u64>().unwrap();
        lags.record(ns("sent_ns").saturating_sub(ns("intended_ns")).saturating_sub(ns("connect_ns")))
            .unwrap();
    }
    lags
}

fn sum_of_intervals(bed: &Bed, tag: Option<&str>) -> Histogram<u64> {
    let log = fs::read(bed.out().join("run.hlog")).unwrap();
    let mut sum = new_histogram();
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap()
            && interval.tag().map(|tag| tag.as_str()) == tag
        {
            sum.add(decode(interval.encoded_histogram()).unwrap()).unwrap();
        }
    }
    sum
}

/// The first command of the README, only shorter.
#[test]
fn the_reference_server_delivers_everything_and_the_files_agree() {
    let (bed, result) = run(&[]);
    assert_eq!(result.timestamps, Timestamps::Kernel);
    assert!(result.scenario.url.is_none() && result.resources.target.is_some());
    let phases: Vec<&str> = result.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["connect", "probe", "warm-up", "steady", "drain"]);
    assert!(result.phases.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));

    let latency_ns = &result.latency_ns;
    let delivery = decode(&latency_ns.delivery.hdr).unwrap();
    assert_eq!(sum_of_intervals(&bed, None), delivery);
    for (tag, hdr) in [
        ("delivery", &latency_ns.delivery.hdr),
        ("first", &latency_ns.first_delivery.hdr),
        ("full", &latency_ns.full_fanout.hdr),
        ("spread", &latency_ns.spread.hdr),
        ("ack", &latency_ns.response_time.hdr),
        ("send_lag", &latency_ns.send_lag.hdr),
        ("recv_delay", &latency_ns.receive_delay.hdr),
    ] {
        assert_eq!(sum_of_intervals(&bed, Some(tag)), decode(hdr).unwrap(), "{tag}");
    }
    assert_eq!(send_lags(&bed), decode(&latency_ns.send_lag.hdr).unwrap());
    let hgrm = fs::read_to_string(bed.out().join("run.hgrm")).unwrap();
    let total: u64 = delivery.len();
    assert!(hgrm.contains(&format!("Total count    = {total:>12}")), "{hgrm}");
    let names = fs::read_dir(bed.out()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["posts.csv", "report.html", "run.hgrm", "run.hlog", "run.json", "target.log"]);
}

#[test]
fn the_seed_alone_decides_the_schedule() {
    let posts = |seed: &str| {
        let (_, result) = run(&["--seed", seed, "-c", "10", "--target-args", "--store memory"]);
        (result.warmup.posts.scheduled, result.posts.scheduled, result.scenario_hash)
    };
    let planned = |seed: &str| {
        let plan =
            Bed::new().feedmark(&[&["check", "--seed", seed, "-c", "10"], &SHORT[2..]].concat()).stdout;
        let count = plan.split(&format!("seed {seed}: ")).nth(1).unwrap().split(' ').next().unwrap();
        count.parse::<u64>().unwrap()
    };
    let (first, again, other) = (posts("7"), posts("7"), posts("8"));
    assert_eq!(first, again);
    assert_eq!((first.1, other.1), (planned("7"), planned("8")));
    assert_ne!(first, other);
}

#[test]
fn constant_arrivals_are_counted_by_arithmetic() {
    let (_, result) = run(&["--arrivals", "constant"]);
    assert_eq!((result.warmup.posts.scheduled, result.posts.scheduled), (20, 60));
}

#[test]
fn user_stamps_are_said_to_be_user_stamps() {
    let (_, result) = run(&["--timestamps", "user"]);
    assert_eq!(result.timestamps, Timestamps::User);
    // Without a kernel stamp nothing is known about the wait in the kernel.
    assert_eq!(decode(&result.latency_ns.receive_delay.hdr).unwrap().max(), 0);
}

#[test]
fn three_reactors_keep_the_same_ledger_as_one() {
    let counts = |threads: &str| {
        let (_, result) = run(&["--threads", threads, "-c", "50"]);
        (result.posts, result.deliveries, result.warmup)
    };
    assert_eq!(counts("1"), counts("3"));
}

/// What is given by --target-args beats what the run would say by itself.
#[test]
fn target_args_reach_the_reference_server_and_win() {
    let (bed, _) = run(&["--target-args", "--db kept.db --open --durability off --log-level debug"]);
    assert!(bed.path().join("kept.db").exists());
    bed.feedmark(&["run", "--target-args", "--no-such-flag"])
        .refuses(1, &["the reference server did not start", "--no-such-flag", "target.log"]);
}

#[test]
fn a_target_that_dies_is_a_failure_and_not_a_hang() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    let mut process = bed.start(&[&SHORT, &["--url", &server.url]]);
    eventually("the steady phase", || bed.said("stderr").contains("steady: ").then_some(()));
    server.kill();
    eventually("the run ends", || process.has_ended());
    let code = process.wait().code();
    assert!(matches!(code, Some(98 | 99)), "{code:?} {}", bed.said("stderr"));
    let result = bed.result();
    assert_eq!(result.connections.lost, 50);
    assert_eq!(result.connections.lost_by_cause.values().sum::<u64>(), 50);
    assert!(result.connections.lost_by_cause.keys().all(|cause| cause.starts_with("connection ")));
    assert_eq!(result.deliveries.residual, 0);
    assert!(result.posts.failed + result.posts.dropped > 0, "{:?}", result.posts);
    let failures: u64 = result.posts.failures.values().sum();
    assert_eq!(failures, result.posts.failed + result.posts.dropped);
    let summary = bed.said("stdout");
    assert!(summary.contains("50 subscribers lost the connection"), "{summary}");
}

/// The child's death is known as such, and its log named.
#[test]
fn a_reference_server_that_dies_is_named() {
    let bed = Bed::new();
    let process = bed.start(&[&SHORT]);
    eventually("the steady phase", || bed.said("stderr").contains("steady: ").then_some(()));
    let pids = bed.processes();
    assert_eq!(pids.len(), 2, "{pids:?}");
    let server = pids.into_iter().max().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server), nix::sys::signal::Signal::SIGKILL).unwrap();
    let code = process.wait().code();
    assert!(matches!(code, Some(98 | 99)), "{code:?}");
    let summary = bed.said("stdout");
    assert!(summary.contains("the reference server ended during the run"), "{summary}");
    eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
}

/// Every refusal is in the reply to its post.
#[test]
fn what_the_target_refused_is_counted_post_by_post() {
    let bed = Bed::new();
    let server = Server::of_full_buffers(&bed);
    let args = ["--url", &server.url, "-r", "200/s"];
    bed.run(&[&SHORT, &args]).found_fault("never arrived");
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let metrics = io::read_to_string(stream).unwrap();
    let counter = "feed_deliveries_refused_total{cause=\"buffer_full\"} ";
    let refused: u64 = metrics.lines().find_map(|line| line.strip_prefix(counter)).unwrap().parse().unwrap();
    let result = bed.result();
    let all = [&result.warmup.deliveries, &result.deliveries];
    let explained: u64 = all.iter().filter_map(|of| of.missing_by_cause.get("refused_by_full_buffer")).sum();
    assert_eq!(explained, refused);
    assert_eq!(all.iter().map(|of| of.missing).sum::<u64>(), refused, "nothing else was lost");
    let misses = fs::read_to_string(bed.out().join("misses.csv")).unwrap();
    assert!(misses.lines().skip(1).all(|line| line.ends_with(",missing,refused_by_full_buffer")), "{misses}");
}
