//! What a target says of itself at `/metrics`, once a second on a thread of its own: a target that does not answer holds
//! nothing up, and leaves a gap.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use feedmark_core::exposition::{self, Selector};
use feedmark_reports::target_use::{Bucket, Meaning, MetricSample, MetricSeries};
use url::Url;

use crate::clock::RunClock;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Longest text that is read.
const TEXT_BYTES_MAX: u64 = 8 << 20;
/// Most series that are watched.
pub const SERIES_MAX: usize = 32;
/// Buckets of a histogram beyond these are left out.
const BUCKETS_MAX: usize = 64;

/// Series that are known by their names: those that Prometheus' client libraries have in common, and the reference server's.
const WELL_KNOWN: [(&str, Meaning); 9] = [
    ("process_cpu_seconds_total", Meaning::Cpu),
    ("process_resident_memory_bytes", Meaning::Memory),
    ("process_open_fds", Meaning::Descriptors),
    ("process_max_fds", Meaning::DescriptorsLimit),
    ("process_network_receive_bytes_total", Meaning::Network),
    ("process_network_transmit_bytes_total", Meaning::Network),
    ("feed_broadcast_bytes_total", Meaning::Network),
    ("feed_store_commit_seconds", Meaning::CommitTime),
    ("feed_deliveries_refused_total{cause=\"buffer_full\"}", Meaning::Refusals),
];

/// Where a target tells its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAt {
    /// A path on the target itself.
    Target(String),
    /// Somewhere else.
    Url(Url),
}

impl MetricsAt {
    /// As a URL, of a target at `address`.
    fn url(&self, address: SocketAddr) -> String {
        match self {
            Self::Target(path) => format!("http://{address}{path}"),
            Self::Url(url) => url.to_string(),
        }
    }
}

/// A series that somebody wants to see: `NAME[{label="value",...}][=what it is]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    text: String,
    selector: Selector,
    meaning: Option<Meaning>,
}

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let said = Meaning::ALL.into_iter().find_map(|meaning| {
            let name = text.strip_suffix(meaning.name())?.strip_suffix('=')?;
            Some((name, meaning))
        });
        let name = said.map_or(text, |(name, _)| name);
        let selector = Selector::parse(name).map_err(|error| {
            let words = Meaning::ALL.map(Meaning::name).join(", ");
            format!("{error}; what it is may follow, as in NAME=memory: one of {words}")
        })?;
        let known = || WELL_KNOWN.iter().find(|(known, _)| *known == name).map(|(_, meaning)| *meaning);
        let meaning = said.map(|(_, meaning)| meaning).or_else(known);
        Ok(Self { text: name.to_owned(), selector, meaning })
    }
}

/// Why nothing can be watched there.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// No answer.
    #[error("cannot read {url} (--target-metrics): {error}")]
    Unreadable {
        /// The address.
        url: String,
        /// What went wrong.
        error: Box<ureq::Error>,
    },
    /// An answer, and nothing to watch in it.
    #[error(
        "{url} (--target-metrics) has none of the series that are known by name: choose some with --series NAME"
    )]
    NothingKnown {
        /// The address.
        url: String,
    },
    /// No thread.
    #[error("cannot watch {url} (--target-metrics): {error}")]
    System {
        /// The address.
        url: String,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Watches series until it is told to end.
pub(crate) struct MetricsWatch {
    thread: JoinHandle<Vec<Watched>>,
    stop: SyncSender<()>,
}

/// A series and what was seen of it.
#[derive(Debug)]
struct Watched {
    wish: Wish,
    is_counter: bool,
    samples: Vec<MetricSample>,
    histograms: Vec<Histogram>,
}

/// A histogram since the target started.
#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    at_ns: u64,
    observations: f64,
    /// By the text of the upper bound, which is the same every time.
    buckets: BTreeMap<String, Bucket>,
}

impl MetricsWatch {
    /// Looks once and goes on looking; without wishes at what is known by name. Says which wishes are not there (yet).
    ///
    /// # Errors
    /// If it does not answer, or has nothing to watch.
    pub(crate) fn start(
        at: &MetricsAt,
        target: SocketAddr,
        wishes: &[Wish],
        clock: RunClock,
    ) -> Result<(Self, Vec<String>), MetricsError> {
        let url = at.url(target);
        let agent = agent();
        let unreadable = |error| MetricsError::Unreadable { url: url.clone(), error: Box::new(error) };
        let text = read(&agent, &url).map_err(unreadable)?;
        let mut watched: Vec<Watched> = match wishes {
            [] => known().map(Watched::of).collect(),
            some => some.iter().cloned().map(Watched::of).collect(),
        };
        look(&mut watched, &text, clock.now_ns());
        if wishes.is_empty() {
            watched.retain(|series| !series.samples.is_empty());
            if watched.is_empty() {
                return Err(MetricsError::NothingKnown { url });
            }
        }
        let missing = watched.iter().filter(|series| series.samples.is_empty());
        let missing = missing.map(|series| series.wish.text.clone()).collect();
        let (stop, stopped) = sync_channel(1);
        let asked = url.clone();
        let thread = std::thread::Builder::new()
            .name("target-metrics".into())
            .spawn(move || {
                while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    // Its time is that of the question: the answer of a target that is busy is late.
                    let at_ns = clock.now_ns();
                    if let Ok(text) = read(&agent, &asked) {
                        look(&mut watched, &text, at_ns);
                    }
                }
                watched
            })
            .map_err(|error| MetricsError::System { url, error })?;
        Ok((Self { thread, stop }, missing))
    }

    /// Ends the watch: what was seen, histograms from one moment to another.
    pub(crate) fn finish(self, from_ns: u64, to_ns: u64) -> Vec<MetricSeries> {
        drop(self.stop);
        // A thread that panicked has nothing to tell.
        let watched = self.thread.join().unwrap_or_default();
        watched.into_iter().filter_map(|series| series.report(from_ns, to_ns)).collect()
    }
}

fn known() -> impl Iterator<Item = Wish> {
    WELL_KNOWN.iter().filter_map(|(name, _)| name.parse().ok())
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER_WITHIN))
        // The target is what is asked, and nobody between.
        .proxy(None)
        .user_agent(concat!("feedmark/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

fn read(agent: &ureq::Agent, url: &str) -> Result<String, ureq::Error> {
    let mut reply = agent.get(url).header("accept", "text/plain; version=0.0.4").call()?;
    reply.body_mut().with_config().limit(TEXT_BYTES_MAX).lossy_utf8(true).read_to_string()
}

/// Adds a sample to each series that the text has.
fn look(watched: &mut [Watched], text: &str, at_ns: u64) {
    let samples: Vec<_> = exposition::samples(text).collect();
    let counters: Vec<&str> = exposition::counters(text).collect();
    for series in watched {
        let selector = &series.wish.selector;
        let picked =
            |suffix: &'static str| samples.iter().filter(move |sample| selector.picks(sample, suffix));
        // Of several the sum; of none nothing.
        let sum = |suffix| {
            let sum = picked(suffix).map(|sample| sample.value).reduce(|a, b| a + b);
            // JSON has no other numbers.
            sum.filter(|sum| sum.is_finite())
        };
        if let Some(value) = sum("") {
            series.is_counter = counters.contains(&selector.name()) || selector.name().ends_with("_total");
            series.samples.push(MetricSample { at_ns, value });
            continue;
        }
        let (Some(value), Some(observations)) = (sum("_sum"), sum("_count")) else { continue };
        series.is_counter = true;
        series.samples.push(MetricSample { at_ns, value });
        let mut buckets = BTreeMap::<String, Bucket>::new();
        for sample in picked("_bucket") {
            let Some((at_most, bound)) = sample.labels.get("le").and_then(|le| Some((*le, le.parse().ok()?)))
            else {
                continue;
            };
            if f64::is_finite(bound) && (buckets.len() < BUCKETS_MAX || buckets.contains_key(at_most)) {
                let bucket =
                    buckets.entry(at_most.to_owned()).or_insert(Bucket { at_most: bound, count: 0.0 });
                bucket.count += sample.value;
            }
        }
        series.histograms.push(Histogram { at_ns, observations, buckets });
    }
}

impl Watched {
    fn of(wish: Wish) -> Self {
        Self { wish, is_counter: false, samples: Vec::new(), histograms: Vec::new() }
    }

    /// `None` if it was never seen.
    fn report(self, from_ns: u64, to_ns: u64) -> Option<MetricSeries> {
        let nearest =
            |at_ns: u64| self.histograms.iter().min_by_key(|histogram| histogram.at_ns.abs_diff(at_ns));
        let (mut observations, mut buckets) = (None, Vec::new());
        if let (Some(from), Some(to)) = (nearest(from_ns), nearest(to_ns)) {
            observations = Some(to.observations - from.observations);
            buckets =
                to.buckets.iter().map(|(at_most, bucket)| grown(bucket, from.buckets.get(at_most))).collect();
            buckets.sort_by(|a: &Bucket, b: &Bucket| a.at_most.total_cmp(&b.at_most));
        }
        (!self.samples.is_empty()).then_some(MetricSeries {
            selector: self.wish.text,
            meaning: self.wish.meaning,
            is_counter: self.is_counter,
            samples: self.samples,
            buckets,
            observations,
        })
    }
}

fn grown(to: &Bucket, from: Option<&Bucket>) -> Bucket {
    Bucket { count: to.count - from.map_or(0.0, |bucket| bucket.count), ..*to }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn watched(wishes: &[&str]) -> Vec<Watched> {
        wishes.iter().map(|wish| Watched::of(wish.parse().unwrap())).collect()
    }

    #[test]
    fn a_wish_is_a_series_and_what_it_is() {
        let wish = |text: &str| text.parse::<Wish>().map(|wish| (wish.text, wish.meaning));
        assert_eq!(wish("queue_depth"), Ok(("queue_depth".to_owned(), None)));
        assert_eq!(wish("rss=memory"), Ok(("rss".to_owned(), Some(Meaning::Memory))));
        assert_eq!(wish("fds=descriptors-limit").unwrap().1, Some(Meaning::DescriptorsLimit));
        let labelled = r#"refused{why="full=memory"}=refusals"#;
        assert_eq!(wish(labelled), Ok((r#"refused{why="full=memory"}"#.to_owned(), Some(Meaning::Refusals))));
        assert_eq!(wish("link=network-limit").unwrap().1, Some(Meaning::NetworkLimit));
        assert_eq!(wish("process_open_fds").unwrap().1, Some(Meaning::Descriptors));
        for wrong in ["", "rss=heap", "a b", "x{y=memory"] {
            let said = wish(wrong).unwrap_err();
            assert!(said.contains("write its name") && said.contains("cpu-limit, memory,"), "{said}");
        }
        assert_eq!(known().count(), WELL_KNOWN.len());
    }

    #[test]
    fn series_are_added_up_and_gaps_stay_gaps() {
        let mut series = watched(&["jobs", "done_total", "seen", "never"]);
        look(&mut series, "# TYPE seen counter\njobs{q=\"a\"} 2\njobs{q=\"b\"} 3\ndone_total 7\nseen 1\n", S);
        look(&mut series, "jobs{q=\"a\"} 4\n", 2 * S);
        look(&mut series, "<html>busy</html>", 3 * S);
        let reported: Vec<MetricSeries> =
            series.into_iter().filter_map(|series| series.report(0, 3 * S)).collect();
        let of = |i: usize| -> Vec<(u64, f64)> {
            reported[i].samples.iter().map(|sample| (sample.at_ns, sample.value)).collect()
        };
        assert_eq!((of(0), of(1)), (vec![(S, 5.0), (2 * S, 4.0)], vec![(S, 7.0)]));
        let counters: Vec<bool> = reported.iter().map(|series| series.is_counter).collect();
        assert_eq!(counters, [false, true, true]);
    }

    #[test]
    fn a_histogram_is_that_of_the_steady_phase() {
        let text = |fast: u32, all: u32, sum: f64| {
            format!(
                "commit_bucket{{le=\"0.01\"}} {fast}\ncommit_bucket{{le=\"+Inf\"}} {all}\ncommit_bucket{{le=\"0.1\"}} {all}\n\
                 commit_sum {sum}\ncommit_count {all}\n"
            )
        };
        let mut series = watched(&["commit=commit-time"]);
        for (at_ns, text) in [(0, text(50, 50, 0.1)), (S, text(100, 100, 0.2)), (3 * S, text(198, 200, 0.6))]
        {
            look(&mut series, &text, at_ns);
        }
        let commit = series.pop().unwrap().report(S + 1, 3 * S).unwrap();
        assert_eq!((commit.observations, commit.meaning), (Some(100.0), Some(Meaning::CommitTime)));
        let bucket = |at_most, count| Bucket { at_most, count };
        assert_eq!(commit.buckets, [bucket(0.01, 98.0), bucket(0.1, 100.0)]);
        assert_eq!((commit.quantile(0.98), commit.quantile(0.99)), (Some(0.01), Some(0.1)));
    }
}
