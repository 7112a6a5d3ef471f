//! The full-screen view on a real terminal: util-linux' `script` makes one, with a shell in it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use feedmark_reports::{RunResult, files};
use nix::sys::signal::Signal;

use crate::support::{Bed, DOOMED, FEEDMARK, eventually};

/// Longer than any test would wait.
const LONG: &str = "-c 20 -r 20/s -d 10m --warmup 0s --deadline 1s";

/// A terminal with a run in it; stdout goes to a file, and before and after it the terminal is asked for its modes.
struct Tty {
    bed: Bed,
    script: Child,
    keyboard: ChildStdin,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tty {
    fn start(size: (u16, u16), variables: &str, arguments: &str) -> Self {
        let bed = Bed::new();
        let (columns, rows) = size;
        let inside = format!(
            "stty rows {rows} cols {columns}; stty -g > before; \
             env TERM=xterm {variables} {FEEDMARK} run --out out {arguments} > stdout; \
             echo $? > code; stty -g > after"
        );
        let mut command = bed.command("script");
        command.args(["--quiet", "--flush", "--command", &inside, "/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = command.spawn().unwrap();
        let (keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let written = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                written.lock().unwrap().extend_from_slice(&bytes[..read]);
            }
        });
        Self { bed, script, keyboard, seen }
    }

    /// Everything that the terminal was sent.
    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// The colors that it was told to write in (Select Graphic Rendition of ECMA-48).
    fn colors(&self) -> Vec<u8> {
        let seen = self.seen();
        let rendition = |rest: &str| {
            let (parameters, _) = rest.split_once('m')?;
            let numbers: Result<Vec<u8>, _> = parameters.split(';').map(str::parse).collect();
            numbers.ok()
        };
        let numbers = seen.split("\u{1b}[").skip(1).filter_map(rendition).flatten();
        numbers.filter(|number| matches!(number, 30..=38 | 40..=48 | 90..=107)).collect()
    }

    fn await_text(&self, text: &str) {
        eventually(text, || self.seen().contains(text).then_some(()));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.bed.path().join(name)).unwrap()
    }

    /// Waits for the end: the exit code and the result. The terminal is as it was.
    fn finish(&mut self) -> (String, RunResult) {
        eventually("the terminal closes", || self.script.try_wait().unwrap());
        assert_eq!(self.file("before"), self.file("after"), "the terminal's modes");
        let seen = self.seen();
        let last = |sequence: &str| seen.rfind(sequence);
        assert!(last("\u{1b}[?1049l") > last("\u{1b}[?1049h"), "the other screen was left: {seen:?}");
        assert!(last("\u{1b}[?25h") > last("\u{1b}[?25l"), "the cursor is shown: {seen:?}");
        let is_control = |c: char| c.is_control() && c != '\n';
        assert!(!self.file("stdout").contains(is_control), "{:?}", self.file("stdout"));
        let result = files::read(&self.bed.path().join("out/run.json")).unwrap();
        (self.file("code").trim().to_owned(), result)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn q_ends_gracefully_and_gives_the_terminal_back() {
    let mut tty = Tty::start((80, 24), "", &format!("{LONG} --csv rows.csv"));
    tty.await_text("steady");
    tty.await_text("q stops and waits");
    eventually("a second is over", || {
        let rows = fs::read_to_string(tty.bed.path().join("rows.csv")).unwrap();
        (rows.lines().count() > 1).then_some(())
    });
    tty.press("q");
    tty.await_text("q ends now");
    let (code, result) = tty.finish();
    assert_eq!(code, "130");
    assert!(result.interrupted && result.posts.scheduled > 0, "{:?}", result.posts);
    assert_eq!(result.posts.acknowledged, result.posts.scheduled, "what was out was waited for");
    // What was said meanwhile stands on the terminal afterwards.
    let seen = tty.seen();
    let after = &seen[seen.rfind("\u{1b}[?1049l").unwrap()..];
    for note in [
        "target: reference server at http://127.0.0.1:",
        "connected: 20 subscribers",
        "stopping: what is out has 1 s",
    ] {
        assert!(after.contains(note), "{note}: {after:?}");
    }
    assert!(tty.file("stdout").contains("interrupted"));
    assert!(!tty.colors().is_empty());
}

#[test]
fn q_twice_ends_now() {
    let mut tty = Tty::start((120, 40), "NO_COLOR=1", &format!("{LONG} --deadline 10m"));
    tty.await_text("steady");
    tty.press("q");
    tty.await_text("q ends now");
    tty.press("q");
    let (code, result) = tty.finish();
    assert_eq!((code.as_str(), result.interrupted), ("130", true));
    assert_eq!(tty.colors(), [0; 0], "a color with NO_COLOR");
}

/// A signal from elsewhere gives the terminal back as well.
#[test]
fn a_signal_gives_the_terminal_back() {
    let mut tty = Tty::start((80, 24), "", LONG);
    tty.await_text("steady");
    let is_run = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(FEEDMARK.as_bytes()) && line.windows(5).any(|bytes| bytes == b"\0run\0")
    };
    let run = tty.bed.processes().into_iter().find(is_run).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(run), Signal::SIGTERM).unwrap();
    assert_eq!(tty.finish().0, "130");
}

/// Where a full screen makes no sense there is none.
#[test]
fn a_small_window_and_a_dumb_terminal_get_lines() {
    for (size, variables) in [((30, 10), ""), ((80, 24), "TERM=dumb")] {
        let mut tty = Tty::start(size, variables, "-c 5 -r 20/s -d 1s --warmup 0s --deadline 1s");
        eventually("the terminal closes", || tty.script.try_wait().unwrap());
        let seen = tty.seen();
        assert!(!seen.contains("\u{1b}[?1049h"), "{seen:?}");
        assert!(seen.contains("connected: 5 subscribers"), "{seen:?}");
        assert_eq!(seen.contains('\u{1b}'), variables.is_empty(), "{seen:?}");
    }
}

/// Into a file go plain lines, and nothing else. A file of rows that cannot be written is told, and ends nothing.
#[test]
fn a_file_gets_no_control_character() {
    let bed = Bed::new();
    let rows = ["--jsonl", "/dev/full", "--csv", "rows.csv"];
    let run = bed.run(&[&DOOMED, &rows]);
    assert!(
        run.stderr.contains("feedmark: --jsonl /dev/full: it ends before the run does: "),
        "{}",
        run.stderr
    );
    assert_ne!(run.code, Some(0));
    assert!(fs::read_to_string(bed.path().join("rows.csv")).unwrap().lines().count() > 1);
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(run.stderr.contains("\nsteady: ") && !run.stderr.contains(is_control), "{:?}", run.stderr);
    let refused = bed.run(&[&["--view", "full"]]);
    refused.refuses(2, &["--view full", "--view line"]);
    bed.run(&[&["--csv", "/nowhere/rows"]]).refuses(2, &["--csv /nowhere/rows: "]);
}
