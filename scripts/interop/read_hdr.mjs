#!/usr/bin/env node
// Reads the HDR files of a run folder with npm `hdr-histogram-js`, which nobody here wrote.
//
//     npm install hdr-histogram-js        (in this folder or one above, or set NODE_MODULES)
//     node read_hdr.mjs RUN_DIR
//
// Checks, and exits with 1 and the first difference otherwise:
//   * run.hlog: the untagged delivery intervals add up, bucket by bucket, to `latency_ns.delivery.hdr`
//     of run.json, and so do the intervals tagged `delivery`; every other tag can be read;
//   * run.hgrm: every line but our comment is what this library itself prints, byte for byte.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const root = process.env.NODE_MODULES ? join(process.env.NODE_MODULES, "index.js") : import.meta.url;
const hdr = createRequire(root)("hdr-histogram-js");

const LOW_NS = 1;
const HIGH_NS = 3_600_000_000_000;
const DIGITS = 3;
const NS_PER_MS = 1e6;
const BITS_PER_BUCKET = 64;
// What the library calls an interval without a tag.
const NO_TAG = "NO TAG";
const TAGS = new Set(["delivery", "first", "full", "spread", "ack", "send_lag", "recv_delay", "hiccup"]);

class Mismatch extends Error {}

function check(holds, message) {
  if (!holds) throw new Mismatch(message);
}

function empty() {
  return hdr.build({
    bitBucketSize: BITS_PER_BUCKET,
    lowestDiscernibleValue: LOW_NS,
    highestTrackableValue: HIGH_NS,
    numberOfSignificantValueDigits: DIGITS,
  });
}

function checkEqual(name, found, expected) {
  check(
    found.totalCount === expected.totalCount,
    `${name}: ${found.totalCount} values, run.json has ${expected.totalCount}`,
  );
  const length = Math.max(found.countsArrayLength, expected.countsArrayLength);
  for (let index = 0; index < length; index++) {
    const here = index < found.countsArrayLength ? found.getCountAtIndex(index) : 0;
    const there = index < expected.countsArrayLength ? expected.getCountAtIndex(index) : 0;
    check(here === there, `${name}: bucket ${index} holds ${here}, run.json has ${there}`);
  }
}

// Adds up the intervals per tag and holds both delivery series to run.json.
function checkLog(path, expected) {
  const text = readFileSync(path, "utf8");
  check(text.startsWith("#[Histogram log format version 1.3]\n"), `${path}: no log format version 1.3`);
  const reader = new hdr.HistogramLogReader(text, BITS_PER_BUCKET);
  const sums = new Map();
  const intervals = new Map();
  for (let interval; (interval = reader.nextIntervalHistogram()) !== null; ) {
    const tag = interval.tag;
    if (!sums.has(tag)) sums.set(tag, empty());
    sums.get(tag).add(interval);
    intervals.set(tag, (intervals.get(tag) ?? 0) + 1);
  }
  check(reader.startTimeSec > 0, `${path}: no StartTime`);
  for (const tag of sums.keys()) check(tag === NO_TAG || TAGS.has(tag), `${path}: unknown tag ${tag}`);
  for (const tag of [NO_TAG, "delivery"]) {
    const name = `run.hlog, ${tag === NO_TAG ? "untagged" : tag} intervals`;
    check(sums.has(tag), `${name}: there are none`);
    checkEqual(name, sums.get(tag), expected);
  }
  const [untagged, tagged] = [intervals.get(NO_TAG), intervals.get("delivery")];
  check(untagged === tagged, `${path}: ${untagged} untagged and ${tagged} tagged delivery intervals`);
  const lines = text.split("\n").filter((line) => /^(Tag=|[0-9])/.test(line)).length;
  const read = [...intervals.values()].reduce((sum, n) => sum + n, 0);
  check(lines === read, `${path}: ${lines} interval lines, ${read} of them read`);
  return `${read} intervals of ${sums.size} series`;
}

// Holds the text to what the library prints. Its first line is 2 blanks short of Java's, so heads are
// compared by their words.
function checkDistribution(path, expected) {
  const lines = readFileSync(path, "utf8").split("\n");
  const ours = lines.filter((line) => !line.startsWith("# "));
  const theirs = expected.outputPercentileDistribution(5, NS_PER_MS).split("\n");
  const words = (line) => line.trim().split(/\s+/).join(" ");
  check(words(ours[0]) === words(theirs[0]), `${path}: head is "${ours[0]}", the library's is "${theirs[0]}"`);
  for (let i = 1; i < Math.max(ours.length, theirs.length); i++) {
    check(
      ours[i] === theirs[i],
      `${path}: line ${i + 1} is "${ours[i] ?? "(none)"}", the library prints "${theirs[i] ?? "(none)"}"`,
    );
  }
  return `${ours.filter((line) => /^ *[0-9]/.test(line)).length} rows`;
}

function checkComment(path, beyondDeadline) {
  check(
    readFileSync(path, "utf8").split("\n").some((line) => line.startsWith(`# ${beyondDeadline} late or missing deliver`)),
    `${path}: no comment on the ${beyondDeadline} late or missing deliveries`,
  );
}

function main(args) {
  if (args.length !== 1) {
    console.error("usage: node read_hdr.mjs RUN_DIR");
    return 2;
  }
  const [run] = args;
  try {
    const delivery = JSON.parse(readFileSync(join(run, "run.json"), "utf8")).latency_ns.delivery;
    const expected = hdr.decodeFromCompressedBase64(delivery.hdr, BITS_PER_BUCKET);
    check(
      expected.totalCount + delivery.beyond_deadline === delivery.count,
      `run.json: count ${delivery.count} is not ${expected.totalCount} in hdr + ${delivery.beyond_deadline} beyond the deadline`,
    );
    const log = checkLog(join(run, "run.hlog"), expected);
    const distribution = checkDistribution(join(run, "run.hgrm"), expected);
    for (const name of ["run.hlog", "run.hgrm"]) checkComment(join(run, name), delivery.beyond_deadline);
    console.log(`read_hdr.mjs: ok: ${expected.totalCount} deliveries, ${log}, ${distribution}`);
    return 0;
  } catch (error) {
    const what = error instanceof Mismatch ? error.message : `cannot read ${run}: ${error?.message ?? error}`;
    console.error(`read_hdr.mjs: ${what}`);
    return 1;
  }
}

process.exitCode = main(process.argv.slice(2));
