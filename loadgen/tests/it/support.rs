//! A place of its own for every test, and processes that cannot outlive it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use feedmark_reports::{RunResult, files};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Longer than anything here takes; a wait that reaches it fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The program under test.
pub(crate) const FEEDMARK: &str = env!("CARGO_BIN_EXE_feedmark");

/// A run of a few seconds whose deadline a busy machine keeps.
pub(crate) const SHORT: [&str; 10] =
    ["-c", "50", "-r", "20/s", "-d", "3s", "--warmup", "1s", "--deadline", "2s"];
/// A run that is not expected to measure anything.
pub(crate) const DOOMED: [&str; 10] =
    ["-c", "5", "-r", "20/s", "-d", "1s", "--warmup", "0s", "--deadline", "1s"];

/// A folder to work in, with a folder for temporary files that no other process uses.
pub(crate) struct Bed {
    folder: TempDir,
}

/// What a finished process left.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(bed.temporary()).unwrap();
        bed
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where its processes put temporary files.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// Where [`Bed::run`] and [`Bed::start`] put results.
    pub(crate) fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A program in this place: of the environment it gets the search path and the temporary folder.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.path()).env("TMPDIR", self.temporary());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// `feedmark` with these arguments, to its end.
    pub(crate) fn feedmark(&self, args: &[&str]) -> Finished {
        let mut command = self.command(FEEDMARK);
        command.args(args);
        finish(command)
    }

    /// `feedmark run --out OUT` with these arguments, to its end.
    pub(crate) fn run(&self, args: &[&[&str]]) -> Finished {
        let mut command = self.command(FEEDMARK);
        command.args(["run", "--out", "out"]).args(args.concat());
        finish(command)
    }

    /// The same, still running; its stderr goes to a file that can be watched.
    pub(crate) fn start(&self, args: &[&[&str]]) -> Process {
        let mut command = self.command(FEEDMARK);
        command.args(["run", "--out", "out"]).args(args.concat());
        let log = |name: &str| fs::File::create(self.path().join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(log("stdout")).stderr(log("stderr"));
        Process::start(command)
    }

    /// What the process of [`Bed::start`] has said so far: `stdout` or `stderr`.
    pub(crate) fn said(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The result in the run folder.
    pub(crate) fn result(&self) -> RunResult {
        files::read(&self.out().join("run.json")).unwrap()
    }

    /// Living processes that were started in this place, by their environment.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mine = format!("TMPDIR={}", self.temporary().display());
        let is_mine = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|&byte| byte == 0).any(|variable| variable == mine.as_bytes())
        };
        let numbers = fs::read_dir("/proc").unwrap().flatten();
        numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_mine).collect()
    }

    /// No process, and nothing among the temporary files.
    pub(crate) fn is_clean(&self) -> bool {
        self.processes().is_empty() && fs::read_dir(self.temporary()).unwrap().next().is_none()
    }
}

/// Runs a command to its end, killed if it takes longer than anything may.
pub(crate) fn finish(command: Command) -> Finished {
    let shown = format!("{command:?}");
    let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let code = output.status.code();
    assert!(code.is_some(), "{shown} hung or died of a signal\n{stdout}\n{stderr}");
    assert!(!stderr.contains("panicked"), "{shown}\n{stderr}");
    Finished { code, stdout, stderr }
}

impl Finished {
    /// It ended with this code and exactly one message, which has all these parts in it.
    pub(crate) fn refuses(&self, code: i32, parts: &[&str]) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}\n{stderr}");
        let messages: Vec<&str> = stderr.split("feedmark: ").skip(1).collect();
        assert_eq!(messages.len(), 1, "{stderr}");
        for part in parts {
            assert!(messages[0].contains(part), "no `{part}` in: {stderr}");
        }
    }

    /// The run measured, and holds nothing against its target: PASS, or only a check of validity tripped, as the
    /// machine under the test or a short warm-up will have it.
    pub(crate) fn is_healthy(&self) {
        let Self { code, stdout, stderr } = self;
        assert!(matches!(code, Some(0 | 97 | 98)), "{stdout}\n{stderr}");
        let headline =
            stdout.lines().next().unwrap_or_default().replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", "");
        let only_checks = ["UNRESOLVED  V", "INVALID  V"].iter().any(|head| headline.starts_with(head));
        let is_summary = !headline.starts_with('{');
        assert!(*code == Some(0) || only_checks || !is_summary, "{stdout}\n{stderr}");
    }

    /// The run found its target at fault: FAIL, unless the machine under the test made it INVALID.
    pub(crate) fn found_fault(&self, part: &str) {
        let Self { code, stdout, stderr } = self;
        assert!(matches!(code, Some(98 | 99)), "{stdout}\n{stderr}");
        // Sentences are wrapped.
        let words: Vec<&str> = stdout.split_whitespace().collect();
        assert!(words.join(" ").contains(part), "no `{part}` in {stdout}\n{stderr}");
    }

    pub(crate) fn ended_with(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
    }
}

/// A running process; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap() }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        eventually("the process ends", || self.has_ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A feed server as a process of its own. It ends with this value, or with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    process: Process,
}

impl Server {
    /// `feedmark target` on a free port, posts in memory.
    pub(crate) fn reference(bed: &Bed, args: &[&str]) -> Self {
        let mut command = bed.command(FEEDMARK);
        command.args(["target", "--port", "0", "--store", "memory", "--stop-on-stdin-eof"]).args(args);
        Self::spawn(command)
    }

    /// A reference server that refuses packets: eight of its commits are slow, so that the posts of each go out together, and
    /// some find the queue of two packets full.
    pub(crate) fn of_full_buffers(bed: &Bed) -> Self {
        let mut command = bed.command(FEEDMARK);
        command.args(["target", "--port", "0", "--stop-on-stdin-eof", "--open", "--socket-buffer", "2"]);
        for at in ["1500ms", "2500ms"] {
            command.args(["--fault", &format!("kind=slow-commit,by=200ms,at={at},for=700ms")]);
        }
        Self::spawn(command)
    }

    /// Any program that prints `listening on URL` and ends with its stdin.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process { child: command.spawn().unwrap() };
        let mut line = String::new();
        BufReader::new(process.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{command:?}: {line:?}"));
        Self { url: url.trim_end().to_owned(), process }
    }

    /// Ends its standard input, and waits until it has ended, too.
    pub(crate) fn finish(mut self) {
        drop(self.process.child.stdin.take());
        eventually("the server ends", || self.process.has_ended());
    }

    pub(crate) fn kill(&self) {
        self.process.signal(Signal::SIGKILL);
    }

    pub(crate) fn pid(&self) -> String {
        self.process.pid().to_string()
    }
}

/// Looks until `look` finds something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..PATIENCE.as_millis() / BETWEEN_LOOKS.as_millis() {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    panic!("never: {what}");
}
