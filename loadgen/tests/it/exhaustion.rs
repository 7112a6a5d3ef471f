//! Descriptors, local ports and disk space that run out.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use crate::support::{Bed, DOOMED, FEEDMARK, SHORT, Server, finish};

#[test]
fn too_few_descriptors_are_known_before_anything_is_started() {
    let bed = Bed::new();
    let mut command = bed.command("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$0\" \"$@\"", FEEDMARK, "run", "--out", "out", "-c", "50"]);
    finish(command)
        .refuses(2, &["subscribers: `50` need ", "may have 100", "ulimit -Hn", "at most 0 subscribers"]);
    assert!(!bed.out().exists());
}

/// The check counts what the run opens; descriptors that it got from its parent come on top.
#[test]
fn descriptors_that_run_out_all_the_same_are_named() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    // With few left some subscribers connect, but not the writers; with fewer nobody does.
    for inherited in ["340", "386"] {
        let out = format!("out-{inherited}");
        let script =
            "for fd in $(seq 10 $0); do eval \"exec $fd</dev/null\"; done; ulimit -n 400 && exec \"$@\"";
        let mut command = bed.command("bash");
        command.args(["-c", script, inherited, FEEDMARK, "run", "--out", &out, "--url", &server.url]);
        command.args(SHORT).args(["-c", "80"]);
        let finished = finish(command);
        finished.refuses(1, &["out of file descriptors", "ulimit -n"]);
    }
}

/// One source address of 64 ports does not do for 200 subscribers; loopback has more.
#[test]
fn subscribers_beyond_one_address_worth_of_ports_use_other_loopback_addresses() {
    if !may_unshare("-n") {
        return;
    }
    let bed = Bed::new();
    let script =
        "ip link set lo up && echo 40000 40063 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"";
    let mut command = bed.command("unshare");
    command
        .args(["-n", "sh", "-c", script, "sh", FEEDMARK, "run", "--out", "out"])
        .args(SHORT)
        .args(["-c", "200"]);
    finish(command).is_healthy();
    let result = bed.result();
    assert_eq!((result.connections.established, result.connections.failed), (200, 0));
    assert_eq!((result.deliveries.missing, result.deliveries.residual), (0, 0));
}

/// What was measured is printed, and kept where there is room.
#[test]
fn a_full_disk_costs_the_folder_and_not_the_results() {
    if !may_unshare("-m") {
        return;
    }
    let bed = Bed::new();
    fs::create_dir(bed.out()).unwrap();
    let script = "mount -t tmpfs -o size=8k tmpfs out && exec \"$@\"";
    let mut command = bed.command("unshare");
    command.args(["-m", "sh", "-c", script, "sh", FEEDMARK, "run", "--out", "out"]).args(DOOMED);
    let finished = finish(command);
    finished.refuses(1, &["No space left on device", "the results are in ", "instead"]);
    assert!(finished.stdout.contains("deliveries "), "{}", finished.stdout);
    let kept: Vec<_> = fs::read_dir(bed.temporary()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(finished.stderr.contains(&kept[0].display().to_string()), "{}", finished.stderr);
    assert_eq!(feedmark_reports::files::read(&kept[0].join("run.json")).unwrap().deliveries.residual, 0);
    assert!(kept[0].join("run.hlog").exists() && kept[0].join("run.hgrm").exists());
}

/// And when there is no room anywhere, the reader is told how to get the figures nevertheless.
#[test]
fn without_any_room_the_remedy_is_named() {
    if !may_unshare("-m") {
        return;
    }
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    fs::create_dir(bed.out()).unwrap();
    let script = "mount -t tmpfs -o size=8k tmpfs out && mount -t tmpfs -o size=8k tmpfs tmp && exec \"$@\"";
    let mut command = bed.command("unshare");
    command.args(["-m", "sh", "-c", script, "sh", FEEDMARK, "run", "--out", "out", "--url", &server.url]);
    command.args(DOOMED);
    let finished = finish(command);
    finished.refuses(1, &["No space left on device", "nothing could be saved", "--json"]);
    assert!(finished.stdout.contains("deliveries "), "{}", finished.stdout);
}

/// A namespace of one's own needs root; whoever is not root is told so.
fn may_unshare(flag: &str) -> bool {
    let permitted = Command::new("unshare").args([flag, "true"]).output();
    let permitted = permitted.is_ok_and(|output| output.status.success());
    if !permitted {
        let _ = writeln!(std::io::stderr(), "skipped: unshare {flag} is not permitted here, run as root");
    }
    permitted
}
