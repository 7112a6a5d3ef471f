#!/usr/bin/env python3
"""Reads the HDR files of a run folder with PyPI `hdrhistogram`, which nobody here wrote.

    pip install hdrhistogram
    read_hdr.py RUN_DIR

Checks, and exits with 1 and the first difference otherwise:
  * run.hlog: the untagged delivery intervals add up, bucket by bucket, to `latency_ns.delivery.hdr`
    of run.json, and so do the intervals tagged `delivery`; every other tag can be read;
  * run.hgrm: every row stands at the right bucket with the right count.

This library walks the percentiles in other steps than Java does (it does not round the power of two
down) and prints the deviation in ns, so the rows are held to its buckets, not to its own text;
read_hdr.mjs holds the text itself.
"""

import json
import math
import pathlib
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LOW_NS, HIGH_NS, DIGITS = 1, 3_600_000_000_000, 3
NS_PER_MS = 1e6
TAGS = {"delivery", "first", "full", "spread", "ack", "send_lag", "recv_delay", "hiccup"}


class Mismatch(Exception):
    """What the files say differs from what they should say."""


def check(holds, message):
    if not holds:
        raise Mismatch(message)


def empty():
    return HdrHistogram(LOW_NS, HIGH_NS, DIGITS)


def buckets(histogram):
    """{bucket index: count} of the buckets that are not empty."""
    counts = ((i, histogram.get_count_at_index(i)) for i in range(histogram.counts_len))
    return {i: n for i, n in counts if n}


def check_equal(name, found, expected):
    check(
        found.get_total_count() == expected.get_total_count(),
        f"{name}: {found.get_total_count()} values, run.json has {expected.get_total_count()}",
    )
    found, expected = buckets(found), buckets(expected)
    for index in sorted(found.keys() | expected.keys()):
        here, there = found.get(index, 0), expected.get(index, 0)
        check(here == there, f"{name}: bucket {index} holds {here}, run.json has {there}")


def check_log(path, expected):
    """Adds up the intervals per tag and holds both delivery series to run.json."""
    reader = HistogramLogReader(str(path), empty())
    sums, intervals = {}, {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        bounds = (interval.lowest_trackable_value, interval.highest_trackable_value, interval.significant_figures)
        check(bounds == (LOW_NS, HIGH_NS, DIGITS), f"{path}: bounds of an interval are {bounds}")
        sums.setdefault(tag, empty()).add(interval)
        intervals[tag] = intervals.get(tag, 0) + 1
    check(reader.get_start_time_sec() > 0, f"{path}: no StartTime")
    check(sums.keys() <= TAGS | {None}, f"{path}: unknown tags in {sorted(map(str, sums))}")
    for tag in (None, "delivery"):
        name = f"{path.name}, {tag or 'untagged'} intervals"
        check(tag in sums, f"{name}: there are none")
        check_equal(name, sums[tag], expected)
    check(
        intervals[None] == intervals["delivery"],
        f"{path}: {intervals[None]} untagged and {intervals['delivery']} tagged delivery intervals",
    )
    return sum(intervals.values()), len(sums)


def level_step(level):
    """Java's distance to the next percentile level: 5 ticks to each half of the distance to 100."""
    return 100 / (5 * 2 ** (math.floor(math.log2(100 / (100 - level))) + 1))


def check_distribution(path, histogram):
    """Holds each row to the buckets: its value is the least whose share reaches the row's percentile."""
    lines = path.read_text().splitlines()
    check(lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], f"{path}: head is {lines[0]!r}")
    rows = [line.split() for line in lines[2:] if line and not line.startswith("#")]
    total = histogram.get_total_count()
    steps, seen = [], 0
    for index, count in sorted(buckets(histogram).items()):
        seen += count
        value = histogram.get_highest_equivalent_value(histogram.get_value_from_index(index))
        steps.append((value, seen))
    check(bool(rows) == bool(total), f"{path}: {len(rows)} rows for {total} values")

    step, level = 0, 0.0
    for number, row in enumerate(rows):
        percentile = float(row[1])
        if number < len(rows) - 1:
            # The text has 12 decimals.
            check(
                abs(percentile - level / 100) < 1e-12,
                f"{path}: row {number + 1} stands at {row[1]}, expected {level / 100:.12f}",
            )
            level += level_step(level)
        while step < len(steps) - 1 and steps[step][1] / total < percentile - 1e-12:
            step += 1
        value, seen = steps[step]
        expected = [f"{value / NS_PER_MS:.3f}", row[1], str(seen)]
        check(row[:3] == expected, f"{path}: row {number + 1} is {row[:3]}, the buckets say {expected}")
        if number < len(rows) - 1:
            check(
                math.isclose(float(row[3]), 1 / (1 - percentile), rel_tol=1e-3, abs_tol=0.005),
                f"{path}: row {number + 1}: 1/(1-Percentile) is {row[3]}",
            )
    if rows:
        check(float(rows[0][1]) == 0 and float(rows[-1][1]) == 1, f"{path}: rows do not go from 0 to 1")

    text = "\n".join(lines)
    mean, peak = histogram.get_mean_value() / NS_PER_MS, histogram.get_max_value() / NS_PER_MS
    check(f"#[Mean    = {mean:12.3f}," in text, f"{path}: the mean is not {mean:.3f}")
    check(f"StdDeviation   = {histogram.get_stddev() / NS_PER_MS:12.3f}]" in text, f"{path}: wrong deviation")
    check(f"#[Max     = {peak:12.3f}, Total count    = {total:12d}]" in text, f"{path}: wrong max or count")
    size = f"#[Buckets = {histogram.bucket_count:12d}, SubBuckets     = {histogram.sub_bucket_count:12d}]"
    check(size in text, f"{path}: no line {size}")
    return len(rows)


def check_comment(path, beyond_deadline):
    start = f"# {beyond_deadline} late or missing deliver"
    check(
        any(line.startswith(start) for line in path.read_text().splitlines()),
        f"{path}: no comment on the {beyond_deadline} late or missing deliveries",
    )


def main():
    if len(sys.argv) != 2:
        print("usage: read_hdr.py RUN_DIR", file=sys.stderr)
        return 2
    run = pathlib.Path(sys.argv[1])
    try:
        delivery = json.loads((run / "run.json").read_text())["latency_ns"]["delivery"]
        expected = HdrHistogram.decode(delivery["hdr"])
        check(
            expected.get_total_count() + delivery["beyond_deadline"] == delivery["count"],
            f"run.json: count {delivery['count']} is not {expected.get_total_count()} in hdr"
            f" + {delivery['beyond_deadline']} beyond the deadline",
        )
        intervals, series = check_log(run / "run.hlog", expected)
        rows = check_distribution(run / "run.hgrm", expected)
        for name in ("run.hlog", "run.hgrm"):
            check_comment(run / name, delivery["beyond_deadline"])
    except Mismatch as mismatch:
        print(f"read_hdr.py: {mismatch}", file=sys.stderr)
        return 1
    except Exception as error:  # a reader that cannot read the files is a failure of the files
        print(f"read_hdr.py: cannot read {run}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(
        f"read_hdr.py: ok: {expected.get_total_count()} deliveries in {len(buckets(expected))} buckets,"
        f" {intervals} intervals of {series} series, {rows} rows"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
