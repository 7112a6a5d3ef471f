//! The program: its one line, its signals, its limits.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::blocking::Client;
use serde_json::Value;

use crate::{
    bed::{client, eventually, metric, words},
    truth::Truth,
};

/// A running `target-server`. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    client: Client,
    pub(crate) url: String,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_target-server"));
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = program();
        command.args(["--port", "0"]).args(args).current_dir(folder);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url =
            line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).trim_end().to_owned();
        Self { child, client: client(), url }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        self.client.get(format!("{}{path}", self.url)).send().unwrap().json().unwrap()
    }

    pub(crate) fn post(&self, title: &str) -> Value {
        let response =
            self.client.post(format!("{}/feed/post", self.url)).json(&words(title)).send().unwrap();
        assert_eq!(response.status(), 201);
        response.json().unwrap()
    }

    /// The id of the new post; `None` when there is no answer.
    pub(crate) fn try_post(&self, title: &str) -> Option<Value> {
        let response = self.client.post(format!("{}/feed/post", self.url)).json(&words(title)).send().ok()?;
        assert_eq!(response.status(), 201);
        // 201 is the promise, even when the body does not arrive; without it there is no id to look for.
        response.json().ok().map(|mut answer: Value| answer["post"]["_id"].take())
    }

    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let text = self.client.get(format!("{}/metrics", self.url)).send().ok()?.text().ok()?;
        metric(&text, name)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// What it printed after its first line, and how it ended.
    fn end(mut self) -> (String, ExitStatus) {
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_prints_its_address_and_stops_when_told() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let server = Process::start(folder.path(), &["--open"]);
        assert!(server.url.starts_with("http://127.0.0.1:"), "{}", server.url);
        assert_eq!(server.get("/healthz"), serde_json::json!({"status": "ok"}));
        server.post("a title");
        server.signal(signal);
        let (rest, status) = server.end();
        assert_eq!((rest.as_str(), status.code()), ("", Some(0)), "{signal}");
        assert!(folder.path().join("feed.db").exists());
        assert!(!folder.path().join("feed.db-wal").exists(), "stopped in order, it leaves no log");
    }
}

#[test]
fn it_stops_with_its_parent_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut with = Process::start(folder.path(), &["--store", "memory", "--stop-on-stdin-eof"]);
    drop(with.child.stdin.take());
    assert_eq!(with.end().1.code(), Some(0));
    let mut without = Process::start(folder.path(), &["--store", "memory"]);
    drop(without.child.stdin.take());
    assert_eq!(without.get("/healthz")["status"], "ok");
}

#[test]
fn its_truth_log_has_an_end_however_it_is_told_to_stop() {
    for by_signal in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let args = ["--open", "--store", "memory", "--stop-on-stdin-eof", "--truth-log", "truth.gz"];
        let mut server = Process::start(folder.path(), &args);
        server.post("a title");
        if by_signal {
            server.signal(Signal::SIGTERM);
        } else {
            drop(server.child.stdin.take());
        }
        assert_eq!(server.end().1.code(), Some(0));
        let truth = Truth::read(&folder.path().join("truth.gz"));
        let (end, before) = truth.lines().split_last().unwrap();
        assert_eq!(*end, serde_json::json!({"e": "end", "lines": before.len(), "lost": 0}));
        assert_eq!((truth.of("post").len(), truth.of("reply").len()), (1, 1));
    }
}

#[test]
fn only_a_server_that_may_misbehave_has_a_wire() {
    let folder = tempfile::tempdir().unwrap();
    let wires = |server: &Process| {
        let tasks = Path::new("/proc").join(server.child.id().to_string()).join("task");
        let names = tasks.read_dir().unwrap().map(|task| task.unwrap().path().join("comm"));
        names.filter(|name| std::fs::read_to_string(name).is_ok_and(|name| name == "wire\n")).count()
    };
    for arg in ["--truth-log=truth.gz", "--fault=kind=drop", "--admin-token=x"] {
        let server = Process::start(folder.path(), &["--store", "memory", arg]);
        eventually(arg, || (wires(&server) == 1).then_some(()));
    }
    let plain = Process::start(folder.path(), &["--store", "memory", "--open"]);
    plain.post("a title");
    assert_eq!(wires(&plain), 0);
}

#[test]
fn flags_come_from_the_environment_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.current_dir(folder.path());
    for (name, value) in [
        ("PORT", "0"),
        ("OPEN", "true"),
        ("DB", "other.db"),
        ("PING_INTERVAL", "3s"),
        ("PING_TIMEOUT", "2s"),
        ("MAX_PAYLOAD", "2KB"),
        ("FAULT", "kind=drop,max=1;kind=refuse,status=500,posts=7..8"),
        ("FAULT_SEED", "9"),
        ("ADMIN_TOKEN", "secret"),
    ] {
        command.env(format!("FEEDMARK_TARGET_{name}"), value);
    }
    let server = Process::spawn(command);
    server.post("a title");
    assert!(folder.path().join("other.db").exists());
    let faults = server.client.get(format!("{}/admin/faults", server.url)).bearer_auth("secret");
    assert_eq!(faults.send().unwrap().json::<Value>().unwrap().as_array().unwrap().len(), 2);
    let open =
        server.client.get(format!("{}/socket.io/?EIO=4&transport=polling", server.url)).send().unwrap();
    let open: Value = serde_json::from_str(&open.text().unwrap()[1..]).unwrap();
    assert_eq!((&open["pingInterval"], &open["pingTimeout"]), (&3000.into(), &2000.into()));
    let large = serde_json::json!({"title": "a title", "content": "x".repeat(2000)});
    let refused = server.client.post(format!("{}/feed/post", server.url)).json(&large).send().unwrap();
    assert_eq!(refused.status(), 413);
}

#[test]
fn what_it_cannot_do_it_says_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let running = Process::start(folder.path(), &["--store", "memory"]);
    let port = running.url.rsplit(':').next().unwrap();
    for (args, code, says) in [
        (vec!["--port", port, "--store", "memory"], 1, "cannot listen on 127.0.0.1"),
        (vec!["--port", "0", "--db", "no/such/folder/feed.db"], 1, "no/such/folder/feed.db"),
        (vec!["--port", "0", "--socket-buffer", "0"], 1, "socket buffer is 0"),
        (vec!["--host", "nowhere.invalid", "--port", "0"], 1, "nowhere.invalid"),
        (vec!["--ping-interval", "5"], 2, "--ping-interval"),
        (vec!["--max-payload", "many"], 2, "--max-payload"),
        (vec!["--durability", "most"], 2, "full, normal, off"),
        (vec!["--worker-threads", "0"], 2, "--worker-threads"),
        (vec!["--fault", "kind=drop,share=2"], 2, "share is 2: give a share from 0 to 1"),
        (vec!["--admin-token", ""], 2, "--admin-token"),
        (vec!["--port", "0", "--store", "memory", "--truth-log", "no/such/log"], 1, "no/such/log"),
        (vec!["--jwt-secret", ""], 2, "--jwt-secret"),
        (vec!["--log-level", "a=b=c"], 2, "--log-level"),
    ] {
        let output = program().args(&args).current_dir(folder.path()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn help_names_the_secret_but_never_shows_it() {
    let output = program().arg("--help").env("FEEDMARK_TARGET_JWT_SECRET", "very-secret").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("--jwt-secret") && help.contains("FEEDMARK_TARGET_JWT_SECRET"), "{help}");
    assert!(!help.contains("very-secret"), "{help}");
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let script = "ulimit -n 40; exec \"$0\" --port 0 --store memory";
    command.args(["-c", script, env!("CARGO_BIN_EXE_target-server")]).current_dir(folder.path());
    let server = Process::spawn({
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    });
    // The connection of this client is there before the descriptors run out.
    let cpu_before = server.metric("feed_process_cpu_seconds_total").unwrap();
    let address = server.url.strip_prefix("http://").unwrap();
    let crowd: Vec<_> = (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
    let errors = eventually("errors are counted", || {
        server.metric("feed_accept_errors_total").filter(|errors| *errors >= 5.0)
    });
    let cpu = server.metric("feed_process_cpu_seconds_total").unwrap() - cpu_before;
    assert!(cpu < 2.0 && errors < 200.0, "it spins: {cpu} s of CPU, {errors} errors");
    drop(crowd);
    eventually("it accepts again", || client().get(format!("{}/healthz", server.url)).send().ok());
}
