#!/usr/bin/env python3
"""Reads what `--export` wrote with readers that nobody here wrote, and prints the cases of junit.xml as JSON.

    pip install -r requirements.txt
    read_exports.py FOLDER

FOLDER holds junit.xml (read by PyPI `junitparser`), comment.md (rendered by GitHub's own cmark, PyPI `cmarkgfm`), metrics.txt
(the OpenMetrics parser of PyPI `prometheus_client`), benchmark.json and bencher.json (held to what their tools document).
Exits with 1 and the first difference if one of them is not what its tools expect.
"""

import html.parser
import json
import math
import pathlib
import sys

import cmarkgfm
import junitparser
from prometheus_client.openmetrics import parser as openmetrics

# All that a comment is made of.
TAGS = {"h3", "table", "thead", "tbody", "tr", "th", "td", "code", "strong", "details", "summary", "pre"}


class Mismatch(Exception):
    """What a file says differs from what it should say."""


def check(holds, message):
    if not holds:
        raise Mismatch(message)


def read_junit(path):
    """[name, result, text] of every case; result is pass or the name of the element."""
    report = junitparser.JUnitXml.fromfile(str(path))
    cases, found = [], {"failures": 0, "errors": 0, "skipped": 0}
    for suite in report:
        for case in suite:
            results = case.result
            check(len(results) <= 1, f"{path}: {case.name} has {len(results)} results")
            kind = type(results[0]).__name__.lower() if results else "pass"
            if kind != "pass":
                found[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            cases.append([case.name, kind, results[0].text if results else case.system_out])
        counts = {name: getattr(suite, name) for name in found}
        check(counts == found and suite.tests == len(cases), f"{path}: says {counts}, holds {found}")
    return cases


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.rows = set(), 0

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.rows += tag == "tr"


def read_markdown(path, cases):
    page = Tags()
    # As GitHub renders it before it removes what it does not allow: nothing has to be removed.
    page.feed(cmarkgfm.github_flavored_markdown_to_html(path.read_text(), cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE))
    check(page.tags <= TAGS, f"{path}: renders to {sorted(page.tags - TAGS)}")
    check(page.rows == cases + 1, f"{path}: {page.rows - 1} rows for {cases} cases")


def read_metrics(path, cases):
    text = path.read_text()
    families = {family.name: family for family in openmetrics.text_string_to_metric_families(text)}
    verdict = [sample.labels["status"] for sample in families["feedmark_verdict"].samples if sample.value == 1]
    check(len(verdict) == 1, f"{path}: the verdict is {verdict}")
    passed = {sample.labels["case"]: sample.value for sample in families["feedmark_case_passed"].samples}
    expected = {name: float(kind == "pass") for name, kind, _ in cases if kind != "skipped"}
    for name, value in expected.items():
        check(passed.get(name) == value, f"{path}: case {name!r} is {passed.get(name)}, expected {value}")
    latency = families.get("feedmark_latency_seconds")
    check(verdict == ["INVALID"] or (latency and latency.unit == "seconds"), f"{path}: no latencies in seconds")


def read_benchmark(path):
    """`customSmallerIsBetter`: name, unit and value, and perhaps range and extra as text."""
    entries = json.loads(path.read_text())
    check(isinstance(entries, list), f"{path}: is no list")
    for entry in entries:
        check({"name", "unit", "value"} <= entry.keys() <= {"name", "unit", "value", "range", "extra"}, f"{path}: {entry}")
        check(all(isinstance(text, str) for key, text in entry.items() if key != "value"), f"{path}: {entry}")
        check(isinstance(entry["value"], (int, float)) and math.isfinite(entry["value"]), f"{path}: {entry}")
    names = [entry["name"] for entry in entries]
    check(len(names) == len(set(names)), f"{path}: a name stands twice in {names}")
    return set(names)


def read_bencher(path):
    """Bencher Metric Format: {benchmark: {measure: {value, lower_value, upper_value}}}."""
    benchmarks = json.loads(path.read_text())
    for name, measures in benchmarks.items():
        check(name and measures, f"{path}: {name!r} has {measures}")
        for slug, metric in measures.items():
            check(0 < len(slug) <= 64 and slug == slug.lower(), f"{path}: {slug!r} is no slug")
            check({"value"} <= metric.keys() <= {"value", "lower_value", "upper_value"}, f"{path}: {metric}")
            low, high = metric.get("lower_value", metric["value"]), metric.get("upper_value", math.inf)
            check(low <= metric["value"] <= high, f"{path}: {name} {slug} is {metric}")
    return set(benchmarks)


def main():
    if len(sys.argv) != 2:
        print("usage: read_exports.py FOLDER", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    try:
        cases = read_junit(folder / "junit.xml")
        read_markdown(folder / "comment.md", len(cases))
        read_metrics(folder / "metrics.txt", cases)
        smaller, all_of_them = read_benchmark(folder / "benchmark.json"), read_bencher(folder / "bencher.json")
        check(smaller <= all_of_them, f"only in benchmark.json: {smaller - all_of_them}")
    except Mismatch as mismatch:
        print(f"read_exports.py: {mismatch}", file=sys.stderr)
        return 1
    except Exception as error:  # a reader that cannot read the files is a failure of the files
        print(f"read_exports.py: cannot read {folder}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(cases))
    return 0


if __name__ == "__main__":
    sys.exit(main())
