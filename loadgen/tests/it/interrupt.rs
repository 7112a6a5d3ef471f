//! Ctrl-C: what was measured is kept, and nothing is left running.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use feedmark_reports::Status;
use nix::sys::signal::Signal;

use crate::puppet::{Feed, Puppet, hang};
use crate::support::{Bed, eventually};

/// Longer than any test would wait.
const LONG: [&str; 8] = ["-c", "50", "-r", "20/s", "-d", "10m", "--warmup", "0s"];

fn await_phase(bed: &Bed, phase: &str) {
    let line = format!("{phase}: ");
    eventually(phase, || bed.said("stderr").contains(&line).then_some(()));
}

#[test]
fn once_drains_and_writes_everything() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let bed = Bed::new();
        let process = bed.start(&[&LONG, &["--deadline", "1s"]]);
        await_phase(&bed, "steady");
        // A post or two should be in it.
        thread::sleep(Duration::from_millis(500));
        process.signal(signal);
        assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
        let result = bed.result();
        assert!(result.interrupted);
        assert!(result.verdict.reasons.iter().any(|reason| reason.contains("interrupted")));
        let posts = &result.posts;
        assert!((1..1000).contains(&posts.scheduled), "{posts:?}");
        assert_eq!((posts.sent, posts.acknowledged), (posts.scheduled, posts.scheduled));
        let deliveries = &result.deliveries;
        assert_eq!((deliveries.owed, deliveries.residual), (50 * posts.scheduled, 0));
        assert_eq!(deliveries.delivered + deliveries.late + deliveries.missing, deliveries.owed);
        assert!(bed.out().join("run.hlog").exists() && bed.out().join("run.hgrm").exists());
        assert!(bed.said("stdout").contains("interrupted"), "{}", bed.said("stdout"));
        assert!(bed.said("stderr").contains("\ndrain: 1 s left, "), "{}", bed.said("stderr"));
        eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
    }
}

/// The second one is for people who do not want to wait for the drain, here ten minutes.
#[test]
fn twice_ends_at_once_and_still_writes() {
    let bed = Bed::new();
    let mut process = bed.start(&[&LONG, &["--deadline", "10m"]]);
    await_phase(&bed, "steady");
    // Two signals at the same time may be one; the third and later do no harm.
    let status = eventually("it ends", || {
        let ended = process.has_ended();
        if ended.is_none() {
            process.signal(Signal::SIGINT);
            thread::sleep(Duration::from_millis(100));
        }
        ended
    });
    assert_eq!(status.code(), Some(130), "{}", bed.said("stderr"));
    let result = bed.result();
    assert!(result.interrupted);
    assert_ne!(result.verdict.status, Status::Pass);
    assert_eq!(result.deliveries.residual, 0);
    eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
}

/// Posts of the warm-up do not become posts of the steady phase when the run ends before it.
#[test]
fn an_end_in_the_warm_up_judges_nothing() {
    let bed = Bed::new();
    let mut process = bed.start(&[&LONG, &["--warmup", "10m", "--deadline", "10m"]]);
    await_phase(&bed, "warm-up");
    thread::sleep(Duration::from_millis(500));
    eventually("it ends", || {
        let ended = process.has_ended();
        if ended.is_none() {
            process.signal(Signal::SIGINT);
            thread::sleep(Duration::from_millis(100));
        }
        ended
    });
    let result = bed.result();
    assert_eq!((result.posts.scheduled, result.deliveries.owed), (0, 0), "{:?}", result.posts);
    // No deadline has passed, so that none of the posts is in any figure.
    assert_eq!((result.warmup.posts.scheduled, result.warmup.deliveries.owed), (0, 0));
    assert!(bed.said("stdout").contains("interrupted"), "{}", bed.said("stdout"));
}

#[test]
fn before_the_first_subscriber_there_is_a_result_too() {
    let bed = Bed::new();
    let puppet = Puppet::new(hang);
    let process = bed.start(&[&LONG, &["--url", &puppet.url(), "--connect-timeout", "10m"]]);
    await_phase(&bed, "connect");
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    let result = bed.result();
    assert!(result.interrupted);
    assert_eq!((result.connections.established, result.posts.scheduled), (0, 0));
}

/// A delivery that never comes is waited for until its own second deadline, not until that of the
/// schedule that was stopped.
#[test]
fn a_missing_delivery_does_not_hold_up_the_end() {
    let bed = Bed::new();
    let withheld = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&withheld);
    let feed = Feed::new(move |subscriber, index, post, frame| {
        if (index, post) == (0, 2) {
            withheld.store(true, Ordering::Release);
            return Ok(());
        }
        subscriber.write_all(frame)
    });
    let process = bed.start(&[&LONG, &["-c", "5", "--deadline", "1s", "--url", &feed.url()]]);
    eventually("a delivery is withheld", || seen.load(Ordering::Acquire).then_some(()));
    process.signal(Signal::SIGINT);
    assert_eq!(process.wait().code(), Some(130), "{}", bed.said("stderr"));
    assert_eq!((bed.result().deliveries.missing, bed.result().deliveries.residual), (1, 0));
}

/// Nobody can clean up after a SIGKILL but the server itself.
#[test]
fn a_killed_run_leaves_nothing_behind() {
    let bed = Bed::new();
    let process = bed.start(&[&LONG]);
    await_phase(&bed, "steady");
    assert_eq!(bed.processes().len(), 2);
    process.signal(Signal::SIGKILL);
    process.wait();
    eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
}
