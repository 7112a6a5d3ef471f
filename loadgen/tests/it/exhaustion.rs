//! Descriptors, local ports and disk space that run out.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use crate::support::{Bed, DOOMED, FEEDMARK, Finished, SHORT, Server, finish};

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

/// Replies that wait make the writers open more connections than this host has descriptors for.
#[test]
fn posts_without_a_descriptor_say_nothing_about_the_target() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open", "--fault", REPLIES_WAIT]);
    let script =
        "for fd in $(seq 10 340); do eval \"exec $fd</dev/null\"; done; ulimit -n 400 && exec \"$@\"";
    let mut command = bed.command("bash");
    command.args(["-c", script, "bash", FEEDMARK, "run", "--out", "out", "--url", &server.url]);
    command.args(EAGER).args(["-c", "20"]);
    finish(command).ran_out("ran out of file descriptors: ulimit -n");
    assert!(shortages(&bed, "out of file descriptors") > 0);
}

/// The same with local ports. An address that is not 127.0.0.0/8 is the only source of its connections.
#[test]
fn posts_without_a_local_port_say_nothing_about_the_target() {
    if !may_unshare("-n") {
        return;
    }
    let bed = Bed::new();
    let script = "ip link set lo up && ip address add 10.0.0.1/32 dev lo && \
                  echo 40000 40063 > /proc/sys/net/ipv4/ip_local_port_range && exec \"$@\"";
    let mut command = bed.command("unshare");
    command.args(["-n", "sh", "-c", script, "sh", FEEDMARK, "run", "--out", "out"]);
    command.args(["--target-args=--host 10.0.0.1", "--fault", REPLIES_WAIT]).args(EAGER).args(["-c", "40"]);
    finish(command).ran_out("ran out of local ports: sysctl -w net.ipv4.ip_local_port_range");
    assert!(shortages(&bed, "out of local ports") > 0);
}

const REPLIES_WAIT: &str = "kind=stall-replies,at=1s,for=2s";
/// Posts so often that 200 of them wait for a stalled reply.
const EAGER: [&str; 8] = ["-r", "100/s", "-d", "4s", "--warmup", "0s", "--deadline", "2s"];

impl Finished {
    /// The run is INVALID for this reason, whatever the target did not get.
    fn ran_out(&self, reason: &str) {
        self.ended_with(98);
        let words: Vec<&str> = self.stdout.split_whitespace().collect();
        let said = words.join(" ");
        assert!(said.contains("V1: ") && said.contains(reason), "{}\n{}", self.stdout, self.stderr);
    }
}

/// Posts of the run that failed for this cause, and nothing else that failed.
fn shortages(bed: &Bed, cause: &str) -> u64 {
    let posts = bed.result().posts;
    assert!(posts.failures.keys().all(|failure| failure.starts_with(cause)), "{:?}", posts.failures);
    posts.failed
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
