"""Processes that one comparison starts: the server, and the tool with what the kernel says that it used.

Each is a session of its own, so that everything it starts in turn is found, counted and ended with it, and nothing else is.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

SAMPLE_SECONDS = 0.5
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60  # the truth log is finished in it
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class CannotMeasure(Exception):
    """What stopped us, and what to do next."""


# ---- the server


@contextlib.contextmanager
def server(command, folder):
    """A server of feedmark's; yields its address. It ends with its standard input, so it cannot outlive this script."""
    log = folder / "server.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--stop-on-stdin-eof"], cwd=folder, stdin=subprocess.PIPE, stdout=said, stderr=said
        )
    try:
        yield address(process, log)
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(process, log):
    """The address that a starting server prints."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"listening on (http://[^\s/\"]+:\d+)\b", log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.05)
    raise CannotMeasure(f"the server printed no address; it said:\n{tail(log)}")


def established(port):
    """Connections that the server on this port has."""
    local, state = f":{port:04X}", "01"
    count = 0
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split(None, 4)
            count += fields[1].endswith(local) and fields[3] == state
    return count


# ---- the tool


class Tool:
    """A tool under comparison: one process or several, with all their descendants."""

    def __init__(self, folder):
        self.folder = folder
        self.roots = []
        self.reaped_cpu_s = 0.0
        self.samples = []  # (realtime ns, CPU s since the start, resident bytes)
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.sampler = threading.Thread(target=self._sample_until_stopped, daemon=True)

    def __enter__(self):
        self.sampler.start()
        return self

    def __exit__(self, *_):
        for root in self.roots:
            if root.returncode is None:
                self._kill(root)
        self.stopped.set()
        self.sampler.join()

    def start(self, command, env):
        """Starts one of its processes, with its output in a file of the folder."""
        log = self.folder / f"tool-{len(self.roots) + 1}.log"
        with log.open("wb") as said:
            root = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder, env={**os.environ, **env}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )
        root.log = log
        with self.lock:
            self.roots.append(root)

    def has_ended(self):
        """True when all that was started has ended; takes over what the kernel says of it."""
        for root in self.roots:
            if root.returncode is None:
                self._reap(root, os.WNOHANG)
        return all(root.returncode is not None for root in self.roots)

    def wait(self, seconds_max):
        """Waits for its end; kills it after `seconds_max`, and then says False."""
        end = time.monotonic() + seconds_max
        while not self.has_ended():
            if time.monotonic() > end:
                for root in self.roots:
                    if root.returncode is None:
                        self._kill(root)
                return False
            time.sleep(0.1)
        return True

    @property
    def exit_code(self):
        """The first that is not 0."""
        return next((root.returncode for root in self.roots if root.returncode), 0)

    @property
    def peak_memory_bytes(self):
        return max((memory for _, _, memory in self.samples), default=0)

    def cpu_s_since(self, start_ns):
        """CPU seconds from a moment of the realtime clock to its end, connecting left out."""
        before = 0.0
        for (early_ns, early_s, _), (late_ns, late_s, _) in zip(self.samples, self.samples[1:]):
            if early_ns <= start_ns < late_ns:
                before = early_s + (late_s - early_s) * (start_ns - early_ns) / (late_ns - early_ns)
        return self.reaped_cpu_s - before

    def _kill(self, root):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(root.pid, signal.SIGKILL)
        self._reap(root, 0)

    def _reap(self, root, options):
        with self.lock:
            pid, status, usage = os.wait4(root.pid, options)
            if pid:
                root.returncode = os.waitstatus_to_exitcode(status)
                self.reaped_cpu_s += usage.ru_utime + usage.ru_stime

    def _sample_until_stopped(self):
        while not self.stopped.wait(SAMPLE_SECONDS):
            with self.lock:
                sessions = {root.pid for root in self.roots if root.returncode is None}
                cpu_s, memory_bytes = in_sessions(sessions)
                self.samples.append((time.time_ns(), self.reaped_cpu_s + cpu_s, memory_bytes))


def in_sessions(sessions):
    """CPU seconds, those of reaped children included, and resident bytes of all processes of these sessions."""
    ticks = pages = 0
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it may have ended
            # proc(5): what follows the name, which may hold blanks and parentheses.
            fields = Path(folder.path, "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) in sessions:
                ticks += sum(map(int, fields[11:15]))
                pages += int(fields[21])
    return ticks / TICKS_PER_SECOND, pages * PAGE_BYTES


def tail(log, lines=15):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
