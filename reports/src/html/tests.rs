//! Pages of a made-up run.

mod links;
mod weight;

use proptest::prelude::*;

use super::*;
use crate::comparison::{METRICS, compare};
use crate::gate::tests::gate_of;
use crate::gate::{Repeat, Variant};
use crate::hdr_files::{IntervalLog, Series, write_hgrm};
use crate::post_row::{PostPhase, PostRow};
use crate::quantile::new_histogram;
use crate::run_folder::{HGRM_FILE, HLOG_FILE, POSTS_FILE};
use crate::run_set::{RUN_FILE, RunSet};
use crate::sample::arbitrary;
use crate::{LatencySummary, RunResult, sample};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
/// Seconds of the sample's warm-up and steady phase.
const WARMUP_S: u64 = 2;
const STEADY_S: u64 = 7;
const POSTS_PER_S: u64 = 20;

/// A judged post that went well.
pub(crate) fn post(seq: u32, intended_ns: u64) -> PostRow {
    let after = |ms: u64| Some(ms * MS + u64::from(seq % 7) * 100_000);
    PostRow {
        seq,
        phase: PostPhase::Steady,
        writer: Some(0),
        intended_ns,
        waited_at_cap: false,
        connect_ns: 0,
        sent_ns: Some(intended_ns + 100_000),
        complete_ns: Some(intended_ns + 3 * MS),
        failure: None,
        owed: 1_000,
        delivered: 1_000,
        late: 0,
        missing: 0,
        duplicate: 0,
        reordered: 0,
        unexpected: 0,
        not_owed: 0,
        first_latency_ns: after(2),
        reach_10_latency_ns: after(3),
        reach_25_latency_ns: after(4),
        reach_50_latency_ns: after(6),
        reach_75_latency_ns: after(8),
        reach_90_latency_ns: after(10),
        reach_99_latency_ns: after(12),
        full_latency_ns: after(13),
        slope_ns_per_rank: Some(10_000.0),
    }
}

/// Numbers without a pattern, the same every time: what has a pattern packs better than a run does.
struct Noise(u64);

impl Noise {
    /// From 0 up to `end`, the middle more often than the ends.
    fn below(&mut self, end: u64) -> u64 {
        let mut draw = || {
            // Knuth's linear congruential generator (MMIX).
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (u128::from(self.0) * u128::from(end)) >> 64
        };
        ((draw() + draw()) / 2) as u64
    }
}

/// The files of a run of `seconds`, with a histogram a second of each series.
pub(crate) fn folder_of(result: RunResult, seconds: u64, deliveries_per_s: u64) -> RunFolder {
    let mut noise = Noise(1);
    let mut log = IntervalLog::create(Vec::new(), 1.77e9).unwrap();
    for second in STEADY_S..STEADY_S + seconds {
        for (series, values, least_ns, greatest_ns) in [
            (Series::Delivery, deliveries_per_s, 2 * MS, 13 * MS),
            (Series::FirstDelivery, POSTS_PER_S, 2 * MS, 4 * MS),
            (Series::FullFanout, POSTS_PER_S, 8 * MS, 18 * MS),
            (Series::ResponseTime, POSTS_PER_S, 2 * MS, 5 * MS),
            (Series::SendLag, POSTS_PER_S, 20_000, 310_000),
            (Series::ReceiveDelay, POSTS_PER_S, 5_000, 900_000),
            (Series::Hiccup, 1_000, 40_000, if second % 20 == 0 { 31 * MS } else { 2 * MS }),
        ] {
            let mut histogram = new_histogram();
            let span_ns = greatest_ns - least_ns;
            (0..values).for_each(|_| histogram.record(least_ns + noise.below(span_ns)).unwrap());
            log.interval(series, second * S, S, &histogram).unwrap();
        }
    }
    let posts: Vec<PostRow> = (0..(WARMUP_S..STEADY_S + seconds).count() as u64 * POSTS_PER_S)
        .map(|seq| {
            let at_ns = WARMUP_S * S + seq * S / POSTS_PER_S;
            let phase = if at_ns < STEADY_S * S { PostPhase::WarmUp } else { PostPhase::Steady };
            jittered(PostRow { phase, ..post(seq as u32, at_ns) }, &mut noise)
        })
        .collect();
    let mut csv = csv::Writer::from_writer(Vec::new());
    posts.iter().for_each(|row| csv.serialize(row).unwrap());
    let mut hgrm = Vec::new();
    let histogram = crate::quantile::decode(&result.latency_ns.delivery.hdr).unwrap();
    write_hgrm(&mut hgrm, &histogram, 0).unwrap();
    let files = vec![
        (RUN_FILE, serde_json::to_vec_pretty(&result).unwrap()),
        (HLOG_FILE, log.finish(0).unwrap()),
        (HGRM_FILE, hgrm),
        (POSTS_FILE, csv.into_inner().unwrap()),
    ];
    RunFolder { name: "runs/sample".to_owned(), result, posts, files }
}

/// Times to the nanosecond, as a run has them.
fn jittered(mut post: PostRow, noise: &mut Noise) -> PostRow {
    post.intended_ns += noise.below(40 * MS);
    post.sent_ns = Some(post.intended_ns + 50_000 + noise.below(200_000));
    post.complete_ns = Some(post.intended_ns + MS + noise.below(5 * MS));
    let mut latency_ns = 0;
    for time in [
        &mut post.first_latency_ns,
        &mut post.reach_10_latency_ns,
        &mut post.reach_25_latency_ns,
        &mut post.reach_50_latency_ns,
        &mut post.reach_75_latency_ns,
        &mut post.reach_90_latency_ns,
        &mut post.reach_99_latency_ns,
        &mut post.full_latency_ns,
    ] {
        latency_ns += MS + noise.below(2 * MS);
        *time = Some(latency_ns);
    }
    post.slope_ns_per_rank = Some(10_000.0 + noise.below(1_000_000_000) as f64 / 1e6);
    post
}

fn folder() -> RunFolder {
    folder_of(sample::run(), 30, 20_000)
}

/// What a reader without eyes for it gets: the texts, an element a line.
pub(crate) fn texts(page: &str) -> String {
    let body = &page[page.find("<main").unwrap()..page.rfind("<script>").unwrap()];
    let mut text = String::new();
    for piece in body.split('<').skip(1) {
        let (_, words) = piece.split_once('>').unwrap();
        if !words.trim().is_empty() {
            text.push_str(words.trim());
            text.push('\n');
        }
    }
    text
}

/// Without the rows of charts, which are the same thirty times.
pub(crate) fn without_rows(page: &str) -> String {
    let mut kept = page.to_owned();
    while let Some(start) = kept.find("<tr data-at=") {
        let end = start + kept[start..].find("</tr>").unwrap() + "</tr>".len();
        kept.replace_range(start..end, "");
    }
    kept
}

#[test]
fn what_a_report_says() {
    let page = run(&folder()).unwrap();
    insta::assert_snapshot!(texts(&without_rows(&page)));
}

#[test]
fn every_chart_has_marks_a_text_and_a_table() {
    assert_charts(&run(&folder()).unwrap(), 8);
}

/// So many charts, each of which can be seen, heard and read.
pub(crate) fn assert_charts(page: &str, least: usize) {
    let figures: Vec<&str> =
        page.split("<figure ").skip(1).map(|rest| rest.split("</figure>").next().unwrap()).collect();
    assert!(figures.len() >= least, "{} charts", figures.len());
    for figure in figures {
        let id = &figure[..60];
        let marks = figure
            .split("<path ")
            .skip(1)
            .filter(|path: &&str| !path.starts_with("class=\"grid") && !path.starts_with("class=\"band"));
        assert!(marks.clone().any(|path| path.contains(" d=\"M")), "no mark in {id}");
        assert!(!figure.contains("NaN") && !figure.contains("inf\""), "{id}");
        let rows = figure.matches("<tr data-at=").count();
        assert!(rows >= 2, "{rows} rows in {id}");
        let desc = figure.split("<desc").nth(1).unwrap();
        assert!(!desc.contains("></desc>"), "nothing said of {id}");
    }
}

pub(crate) fn assert_ids(page: &str) {
    let mut ids: Vec<&str> =
        page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id stands twice");
    for target in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(ids.contains(&target), "nothing is called {target}");
    }
}

#[test]
fn nothing_is_fetched() {
    assert_nothing_is_fetched(&run(&folder()).unwrap());
}

/// A page needs nothing from anywhere: no address but those of the run itself.
pub(crate) fn assert_nothing_is_fetched(page: &str) {
    for (attribute, rest) in [" src=", " href=", "url(", "@import"].iter().flat_map(|attribute| {
        page.split(attribute).skip(1).map(move |rest| (attribute, &rest[..rest.len().min(30)]))
    }) {
        assert!(
            rest.starts_with("\"#") || rest.starts_with("\"data:application/gzip;base64,"),
            "{attribute}{rest}"
        );
    }
    assert!(page.contains("default-src 'none'"));
}

/// Whatever a target or a user wrote is text, in every place that shows it.
#[test]
fn hostile_texts_are_inert() {
    const HOSTILE: &str = "</script><script>alert(1)</script><!--\"'><img src=x onerror=alert(1)>";
    let mut result = sample::run();
    let text = || HOSTILE.to_owned();
    result.verdict.reasons = vec![text()];
    result.scenario.url = Some(text());
    result.scenario.event = text();
    result.scenario.body = text();
    result.scenario.header_names = vec![text()];
    result.scenario.target_args = vec![text()];
    result.posts.failures.insert(text(), 3);
    result.deliveries.missing_by_cause.insert(text(), 3);
    result.connections.lost_by_cause.insert(text(), 1);
    result.host.cpu = text();
    result.run_id = text();
    result.started_at = text();
    result.phases[3].name = "steady".to_owned();
    result.phases[2].name = text();
    result.validity[0].name = text();
    result.validity[0].remedy = Some(text());
    result.evidence.threads[0].name = text();
    let mut folder = folder_of(result, 3, 100);
    for post in &mut folder.posts {
        post.failure = Some(text());
    }
    let page = run(&folder).unwrap();
    assert!(page.matches("&lt;img").count() >= 15, "{} times", page.matches("&lt;img").count());
    for live in ["<img", "<script>alert", "<!--", "onerror=alert(1)>"] {
        assert!(!page.contains(live), "{live}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
}

/// A target that stands still all the time does not bury the rest of the page.
#[test]
fn of_many_stalls_the_longest_are_told() {
    let mut folder = folder_of(sample::run(), 30, 100);
    let steady = folder.posts.iter_mut().filter(|post| post.phase == PostPhase::Steady);
    let stalled: usize = steady
        .enumerate()
        .filter(|(index, _)| index % 5 == 0)
        .map(|(index, post)| post.first_latency_ns = Some(110 * MS + index as u64 * MS / 10))
        .count();
    let page = run(&folder).unwrap();
    let (listed, marked) =
        (page.matches("<li>Stall at ").count(), page.matches("class=\"band stall").count());
    let folded = page.split("<details>").find(|part| part.contains(" shorter stalls</summary>")).unwrap();
    let in_fold = folded.split("</details>").next().unwrap();
    assert_eq!(in_fold.matches("<li>Stall at ").count(), listed - 5);
    assert_eq!((listed, marked % 100, stalled), (100, 0, 120), "{marked} marks");
    assert!(in_fold.contains("are not marked"), "{in_fold}");
}

/// `run.json` alone makes a page, too.
#[test]
fn a_run_without_its_other_files() {
    let result = sample::run();
    let files = vec![(RUN_FILE, serde_json::to_vec(&result).unwrap())];
    let page = run(&RunFolder { name: String::new(), result, posts: Vec::new(), files }).unwrap();
    assert!(page.contains("id=\"percentiles\"") && !page.contains("id=\"over-time\""));
}

/// Four runs whose deliveries take about so long.
fn set(name: &str, ms: u64) -> RunSet {
    let run = |index: u64| {
        let mut run = sample::run();
        let mut histogram = new_histogram();
        (0..2_000).for_each(|i| histogram.record(ms * MS + i * 500 + index * 10_000).unwrap());
        run.latency_ns.delivery = LatencySummary::new(&histogram, 0, 2_000.0);
        run.seed = index;
        run
    };
    RunSet { name: name.to_owned(), runs: (0..4).map(run).collect() }
}

#[test]
fn what_a_comparison_says() {
    let (base, candidate) = (set("runs/before", 10), set("<b>after</b>", 12));
    let page = comparison(&compare(&base, &candidate, &METRICS, false).unwrap());
    assert!(!page.contains("<b>after"));
    insta::assert_snapshot!(texts(&page));
}

#[test]
fn what_a_gate_says() {
    let mut result = gate_of(10, [1.12, 1.02, 0.97]);
    result.plan.candidate = "<i>x</i> --port {port}".to_owned();
    let reasons = vec!["V4 hiccups: max 61 ms (at most 50 ms)".to_owned()];
    result.repeats =
        vec![Repeat { pair: 3, variant: Variant::Candidate, run_id: "a14662cf".to_owned(), reasons }];
    let page = gate(&result);
    assert!(
        !page.contains("<i>x") && page.contains("<td class=\"text\">V4"),
        "what is long is broken into lines"
    );
    insta::assert_snapshot!(texts(&without_rows(&page)));
    // One of which nothing has been measured yet.
    assert!(gate(&gate_of(0, [1.0; 3])).contains("id=\"metrics\""));
}

#[test]
fn runs_are_laid_over_each_other() {
    let mut other = sample::run();
    other.run_id = "00000002".to_owned();
    other.scenario.subscribers = 2_000;
    let folders = [folder(), folder_of(other, 20, 20_000)];
    insta::assert_snapshot!(texts(&without_rows(&overlay(&folders).unwrap())));
    let many = vec![folder(); OVERLAID_MAX + 1];
    assert!(overlay(&many).unwrap_err().to_string().starts_with("9 runs are more than the 8"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a `run.json` says, there is a page of it, with nothing in it that is no number.
    #[test]
    fn any_run_has_a_page(result in arbitrary::run(arbitrary::ANY)) {
        let files = vec![(RUN_FILE, Vec::new())];
        let page = run(&RunFolder { name: String::new(), result, posts: Vec::new(), files }).unwrap();
        prop_assert!(page.ends_with("</html>"));
        assert_numbers(&page);
    }
}

/// Nothing is drawn at a place that is no number.
pub(crate) fn assert_numbers(page: &str) {
    for path in page.split(" d=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(!path.contains("NaN") && !path.contains("inf"), "{path}");
    }
}

#[test]
fn what_is_downloaded_is_the_file() {
    use base64::Engine as _;
    use std::io::Read as _;
    let folder = folder();
    let page = run(&folder).unwrap();
    for (name, content) in &folder.files {
        let link =
            page.split(&format!("data-name=\"{name}\" href=\"data:application/gzip;base64,")).nth(1).unwrap();
        let packed =
            base64::engine::general_purpose::STANDARD.decode(link.split('"').next().unwrap()).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == *content, "{name}");
    }
}
