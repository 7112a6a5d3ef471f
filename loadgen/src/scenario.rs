//! What is meant: a scenario with every default filled in and every value checked.

mod values;

use std::ops::Range;

use feedmark_core::schedule::{Arrivals, POSTS_MAX, Schedule, Stage};
use feedmark_core::session::SessionSpec;
use feedmark_core::socketio::Selector;
use feedmark_reports::metric::{Metric, Series};
use feedmark_reports::run_result::{self, ArrivalLaw, ScenarioRecord};
use feedmark_reports::threshold::{THRESHOLDS_MAX, Threshold};
use feedmark_reports::units::short_duration;
use url::Url;

use self::values::{
    absolute, at_least_one, parse_auth, parse_fault, parse_header, parse_metrics, parse_series, parse_url,
    place,
};
use crate::settings::{ArrivalsSetting, DriverSetting, Settings, TimestampsSetting};
use crate::target_watch::Place;
use crate::target_watch::metrics::{MetricsAt, Wish};
use crate::template::Template;
use crate::units::{Rate, Size, Span, Subscribers};

/// Body of a post for the reference server: a frame of about 550 bytes reaches each subscriber.
pub const DEFAULT_BODY: &str = r#"{"title":"{{marker}}","content":"{{text:200}}"}"#;

/// What subscribers connect through, of what was built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The engine's own sessions.
    Engine,
    /// Client objects of the `rust_socketio` crate.
    #[cfg(feature = "rust_socketio")]
    RustSocketio,
}

/// A run, completely described.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The target; `None` is the reference server, started by the run.
    pub url: Option<Url>,
    /// Arguments for that server.
    pub target_args: Vec<String>,
    /// What that server does wrong on command, with the scenario's seed.
    pub faults: Vec<String>,
    /// Where the target is on this host, if it is.
    pub target_place: Option<Place>,
    /// Where it tells its figures.
    pub target_metrics: Option<MetricsAt>,
    /// Which of them are watched; none are those with well-known names.
    pub series: Vec<Wish>,
    /// Subscribers.
    pub subscribers: u32,
    /// Posts per second.
    pub rate_per_s: f64,
    /// Steady phase.
    pub duration_ns: u64,
    /// Warm-up.
    pub warmup_ns: u64,
    /// A delivery after this long is late.
    pub deadline_ns: u64,
    /// Arrival law.
    pub arrivals: Arrivals,
    /// Seed of the schedule and of every random choice.
    pub seed: u64,
    /// Most posts in flight.
    pub in_flight_max: u16,
    /// Path and query of the POST.
    pub post_path: String,
    /// Extra headers.
    pub headers: Vec<(String, String)>,
    /// Body of a post, parsed.
    pub body: Template,
    /// Body of a post, as written.
    pub body_text: String,
    /// A POST without a reply after this long has failed.
    pub post_timeout: Span,
    /// Event that carries a post.
    pub event: String,
    /// Namespace.
    pub namespace: String,
    /// Socket.IO endpoint.
    pub socket_path: String,
    /// Auth payload of CONNECT.
    pub auth_json: Option<String>,
    /// Connections per second.
    pub connect_rate_per_s: Option<f64>,
    /// An attempt that takes longer has failed.
    pub connect_timeout_ns: u64,
    /// The schedule starts after this long even if not everyone is connected.
    pub connect_within_ns: Option<u64>,
    /// Greatest message accepted.
    pub message_bytes_max: usize,
    /// What subscribers connect through.
    pub driver: Driver,
    /// Reactor threads.
    pub threads: u32,
    /// Ask for kernel stamps, which the engine alone can have.
    pub kernel_stamps: bool,
    /// What the run has to keep to.
    pub thresholds: Vec<Threshold>,
}

/// Why settings do not make a scenario: which setting, its value, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ScenarioError {
    /// Name of the setting, as in a scenario file.
    pub setting: &'static str,
    /// The offending value and what to do.
    pub problem: String,
}

fn wrong(setting: &'static str, problem: impl Into<String>) -> ScenarioError {
    ScenarioError { setting, problem: problem.into() }
}

impl Scenario {
    /// Fills in the defaults and checks every value. `cpus` is what the process may use.
    ///
    /// # Errors
    /// Names the first setting that cannot be.
    pub fn resolve(settings: Settings, cpus: u32) -> Result<Self, ScenarioError> {
        let rate_per_s = settings.rate.unwrap_or(Rate::new(20.0)).per_s();
        let duration_ns = settings.duration.unwrap_or(Span::seconds(30)).ns();
        let deadline = settings.deadline.unwrap_or(Span::seconds(10));
        if duration_ns == 0 {
            return Err(wrong("duration", "`0s` measures nothing: give at least a few seconds"));
        }
        if deadline.ns() == 0 {
            return Err(wrong("deadline", "`0s` makes every delivery late"));
        }
        let body_text = settings.body.unwrap_or_else(|| DEFAULT_BODY.to_owned());
        let body = Template::parse(&body_text).map_err(|problem| wrong("body", problem))?;
        let driver = available(settings.driver.unwrap_or(DriverSetting::Engine))?;
        let scenario = Self {
            url: settings.url.as_deref().map(parse_url).transpose()?,
            target_args: settings
                .target_args
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            faults: settings
                .fault
                .unwrap_or_default()
                .iter()
                .map(|text| parse_fault(text))
                .collect::<Result<_, _>>()?,
            target_place: place(settings.target_pid, settings.target_cgroup)?,
            target_metrics: settings.target_metrics.as_deref().map(parse_metrics).transpose()?,
            series: parse_series(settings.series.unwrap_or_default())?,
            subscribers: settings.subscribers.unwrap_or(Subscribers::new(1000)).get(),
            rate_per_s,
            duration_ns,
            warmup_ns: settings.warmup.unwrap_or(Span::seconds(5)).ns(),
            deadline_ns: deadline.ns(),
            arrivals: match settings.arrivals.unwrap_or(ArrivalsSetting::Poisson) {
                ArrivalsSetting::Poisson => Arrivals::Poisson,
                ArrivalsSetting::Constant => Arrivals::Constant,
            },
            seed: settings.seed.unwrap_or(1),
            in_flight_max: at_least_one("in_flight", settings.in_flight.unwrap_or(256))?,
            post_path: absolute("post_path", settings.post_path, "/feed/post")?,
            headers: settings
                .header
                .unwrap_or_default()
                .iter()
                .map(|line| parse_header(line))
                .collect::<Result<_, _>>()?,
            body,
            body_text,
            post_timeout: settings.post_timeout.unwrap_or(deadline),
            event: settings.event.unwrap_or_else(|| "posts".to_owned()),
            namespace: absolute("namespace", settings.namespace, "/")?,
            socket_path: absolute("socket_path", settings.socket_path, "/socket.io/")?,
            auth_json: settings.auth.map(|json| parse_auth(&json)).transpose()?,
            connect_rate_per_s: settings.connect_rate.map(Rate::per_s),
            connect_timeout_ns: settings.connect_timeout.unwrap_or(Span::seconds(10)).ns(),
            connect_within_ns: settings.connect_within.map(|span| span.ns()),
            message_bytes_max: settings.max_message.unwrap_or(Size::new(1 << 20)).bytes() as usize,
            driver,
            threads: u32::from(at_least_one(
                "threads",
                settings.threads.unwrap_or((cpus / 4).clamp(1, 16) as u16),
            )?),
            kernel_stamps: driver == Driver::Engine && settings.timestamps != Some(TimestampsSetting::User),
            thresholds: settings.thresholds.unwrap_or_default().iter().map(|setting| setting.0).collect(),
        };
        check_thresholds(&scenario)?;
        if scenario.target_metrics.is_none() && !scenario.series.is_empty() && scenario.url.is_some() {
            return Err(wrong(
                "series",
                "they are read from target_metrics: give that, too, such as /metrics",
            ));
        }
        if scenario.url.is_some() && !scenario.target_args.is_empty() {
            return Err(wrong(
                "target_args",
                "they are for the reference server, but a url is given: drop one",
            ));
        }
        if scenario.url.is_some() && !scenario.faults.is_empty() {
            return Err(wrong("fault", "faults are for the reference server, but a url is given: drop one"));
        }
        #[cfg(feature = "rust_socketio")]
        if driver == Driver::RustSocketio && crate::engine::ClientSpec::keeps(&scenario.event) {
            return Err(wrong(
                "event",
                format!(
                    "`{}` means something else to rust_socketio: use another event, or the driver `engine`",
                    scenario.event
                ),
            ));
        }
        if scenario.expected_posts() > POSTS_MAX as f64 {
            let posts = scenario.expected_posts();
            return Err(wrong(
                "duration",
                format!(
                    "rate x (warm-up + duration) is {posts:.0} posts, more than {POSTS_MAX}: shorten the run"
                ),
            ));
        }
        Ok(scenario)
    }

    /// Arguments of the reference server, faults included.
    pub fn target_arguments(&self) -> Vec<String> {
        let faults = self.faults.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]);
        let seed = (!self.faults.is_empty()).then(|| ["--fault-seed".to_owned(), self.seed.to_string()]);
        seed.into_iter().flatten().chain(faults).chain(self.target_args.iter().cloned()).collect()
    }

    /// The steady phase, since the start of the schedule.
    pub fn steady_ns(&self) -> Range<u64> {
        self.warmup_ns..self.warmup_ns + self.duration_ns
    }

    /// Posts that rate, warm-up and duration make on average.
    pub fn expected_posts(&self) -> f64 {
        self.rate_per_s * (self.warmup_ns + self.duration_ns) as f64 / 1e9
    }

    /// Intended times of all posts since the start of the schedule, and how many of them warm up.
    pub fn schedule(&self) -> (Vec<u64>, u32) {
        let stage = Stage::steady(self.rate_per_s, self.warmup_ns + self.duration_ns);
        let offsets_ns: Vec<u64> = Schedule::new(self.seed, self.arrivals, vec![stage]).collect();
        let warmup_posts = offsets_ns.partition_point(|&offset_ns| offset_ns < self.warmup_ns);
        (offsets_ns, warmup_posts as u32)
    }

    /// What every subscriber's session needs, for a target behind `host`.
    pub fn session_spec(&self, host: &str) -> SessionSpec {
        let selector = Selector::new(&self.namespace, &self.event);
        let auth = self.auth_json.as_deref();
        SessionSpec::new(host, &self.socket_path, &self.headers, selector, auth, self.message_bytes_max)
    }

    /// What every subscriber's client needs, for a target at `address`, behind `host`.
    #[cfg(feature = "rust_socketio")]
    pub fn client_spec(&self, address: std::net::SocketAddr, host: &str) -> crate::engine::ClientSpec {
        crate::engine::ClientSpec {
            url: format!("http://{address}{}", self.socket_path),
            // The address is the target's, resolved once; its name goes into the header.
            headers: [("host".to_owned(), host.to_owned())].into_iter().chain(self.headers.clone()).collect(),
            namespace: self.namespace.clone(),
            event: self.event.clone(),
            auth: self
                .auth_json
                .as_deref()
                .map(|json| serde_json::from_str(json).expect("`parse_auth` has read it as JSON")),
        }
    }

    /// What `run.json` says of the scenario; values of headers and auth stay out of it.
    pub fn record(&self) -> ScenarioRecord {
        ScenarioRecord {
            url: self.url.as_ref().map(Url::to_string),
            subscribers: self.subscribers,
            rate_per_s: self.rate_per_s,
            duration_ns: self.duration_ns,
            warmup_ns: self.warmup_ns,
            deadline_ns: self.deadline_ns,
            arrivals: match self.arrivals {
                Arrivals::Poisson => ArrivalLaw::Poisson,
                Arrivals::Constant => ArrivalLaw::Constant,
            },
            in_flight_max: u32::from(self.in_flight_max),
            post_path: self.post_path.clone(),
            body: self.body_text.clone(),
            header_names: self.headers.iter().map(|(name, _)| name.clone()).collect(),
            event: self.event.clone(),
            namespace: self.namespace.clone(),
            socket_path: self.socket_path.clone(),
            driver: match self.driver {
                Driver::Engine => run_result::Driver::Engine,
                #[cfg(feature = "rust_socketio")]
                Driver::RustSocketio => run_result::Driver::RustSocketio,
            },
            auth: self.auth_json.is_some(),
            connect_rate_per_s: self.connect_rate_per_s,
            threads: self.threads,
            post_timeout_ns: self.post_timeout.ns(),
            connect_timeout_ns: self.connect_timeout_ns,
            connect_within_ns: self.connect_within_ns,
            message_bytes_max: self.message_bytes_max as u64,
            kernel_stamps: self.kernel_stamps,
            target_args: self.target_args.clone(),
            faults: self.faults.clone(),
            thresholds: self.thresholds.clone(),
        }
    }
}

/// Refuses what no run of the scenario could judge.
fn check_thresholds(scenario: &Scenario) -> Result<(), ScenarioError> {
    let refused = |problem| Err(wrong("thresholds", problem));
    if scenario.thresholds.len() > THRESHOLDS_MAX {
        let given = scenario.thresholds.len();
        return refused(format!("{given} are too many: at most {THRESHOLDS_MAX}"));
    }
    for threshold in &scenario.thresholds {
        let series = match threshold.metric {
            Metric::Latency(series, _) => Some(series),
            _ => None,
        };
        let of_deliveries = series.is_some_and(Series::is_of_deliveries);
        if of_deliveries && threshold.limit.ns() > scenario.deadline_ns {
            let deadline = short_duration(scenario.deadline_ns);
            return refused(format!(
                "`{threshold}` allows more than the deadline of {deadline}, after which a delivery counts as infinite: \
                 raise the deadline, or lower the limit"
            ));
        }
        if threshold.window.is_some_and(|window| window.ns() > scenario.duration_ns) {
            let duration = short_duration(scenario.duration_ns);
            return refused(format!(
                "`{threshold}`: a steady phase of {duration} has no whole window: shorten the window, or lengthen the run"
            ));
        }
    }
    Ok(())
}

/// The driver, if it was built in.
fn available(setting: DriverSetting) -> Result<Driver, ScenarioError> {
    match setting {
        DriverSetting::Engine => Ok(Driver::Engine),
        #[cfg(feature = "rust_socketio")]
        DriverSetting::RustSocketio => Ok(Driver::RustSocketio),
        #[cfg(not(feature = "rust_socketio"))]
        DriverSetting::RustSocketio => Err(wrong(
            "driver",
            "`rust_socketio` is not in this build: build with `cargo build --release --features rust_socketio` (it needs \
             OpenSSL), or use `engine`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use feedmark_reports::scenario_text;

    use super::*;

    fn resolve(change: impl FnOnce(&mut Settings)) -> Result<Scenario, ScenarioError> {
        let mut settings = Settings::default();
        change(&mut settings);
        Scenario::resolve(settings, 2)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let scenario = resolve(|_| ()).unwrap();
        assert_eq!((scenario.subscribers, scenario.rate_per_s, scenario.threads), (1000, 20.0, 1));
        assert_eq!((scenario.duration_ns, scenario.warmup_ns), (30_000_000_000, 5_000_000_000));
        assert_eq!(scenario.arrivals, Arrivals::Poisson);
        let (offsets_ns, warmup_posts) = scenario.schedule();
        assert!(offsets_ns[warmup_posts as usize] >= scenario.warmup_ns);
        assert!(offsets_ns[warmup_posts as usize - 1] < scenario.warmup_ns);
    }

    #[test]
    fn wrong_values_name_their_setting() {
        type Change = fn(&mut Settings);
        let cases: [(Change, &str, &str); 16] = [
            (|s| (s.target_pid, s.target_cgroup) = (Some(1), Some("/a".into())), "target_cgroup", "drop one"),
            (|s| s.target_cgroup = Some("a".into()), "target_cgroup", "`a`"),
            (|s| s.target_metrics = Some("metrics".into()), "target_metrics", "/metrics"),
            (|s| s.target_metrics = Some("http://me:secret@h/".into()), "target_metrics", "password"),
            (|s| s.series = Some(vec!["a=b".into()]), "series", "`a=b`"),
            (|s| s.url = Some("localhost:3000".into()), "url", "http://"),
            (|s| s.url = Some("http://user:secret@h:1".into()), "url", "header"),
            (|s| s.url = Some("https://h".into()), "url", "TLS"),
            (|s| s.url = Some("http://h/api".into()), "url", "path"),
            (|s| s.post_path = Some("feed".into()), "post_path", "`feed`"),
            (|s| s.header = Some(vec!["nonsense".into()]), "header", "colon"),
            (|s| s.header = Some(vec!["Upgrade: h2c".into()]), "header", "protocol"),
            (|s| s.auth = Some("secret".into()), "auth", "JSON"),
            (|s| s.in_flight = Some(0), "in_flight", "`0`"),
            (|s| s.body = Some("{}".into()), "body", "marker"),
            (|s| s.duration = Some("7d".parse().unwrap()), "duration", "shorten"),
        ];
        for (change, setting, part) in cases {
            let error = resolve(change).unwrap_err();
            assert_eq!(error.setting, setting);
            assert!(error.problem.contains(part) && !error.problem.contains("secret"), "{error}");
        }
    }

    proptest::proptest! {
        /// Whatever a scenario file holds, there is an answer, never a panic.
        #[test]
        fn any_file_is_answered(
            lines in proptest::collection::vec((0..29usize, "[ -~]{0,20}|[0-9]{1,20}(/s|s|MiB)?|\\PC{0,8}"), 0..6),
            noise in "\\PC{0,40}",
        ) {
            const NAMES: [&str; 29] = [
                "url", "target_args", "target_pid", "target_cgroup", "target_metrics", "series", "subscribers", "rate", "duration", "warmup", "deadline",
                "arrivals", "seed", "in_flight", "post_path", "header", "body", "post_timeout", "event", "namespace",
                "socket_path", "auth", "connect_rate", "connect_timeout", "max_message", "driver", "threads",
                "timestamps", "thresholds",
            ];
            let quoted: String = lines.iter().map(|(i, value)| format!("{} = {value:?}\n", NAMES[*i])).collect();
            let bare: String = lines.iter().map(|(i, value)| format!("{} = {value}\n", NAMES[*i])).collect();
            for text in [quoted, bare, noise] {
                if let Ok(settings) = toml::from_str::<Settings>(&text) {
                    let _ = Scenario::resolve(settings, 2);
                }
            }
        }
    }

    /// What a report prints, to run it again, asks for the recorded scenario.
    #[test]
    fn what_is_written_of_a_record_resolves_to_it() {
        let typed = "target_args = '--store memory'\nfault = ['kind=drop,share=0.01']\nrate = '0.3/s'\nwarmup = '1s500ms'\n\
                     seed = 9\nbody = \"it's {{marker}}\\n\\\"\"\nconnect_rate = '500/s'\nconnect_within = '2m'\nthreads = 3\n\
                     timestamps = 'user'\nthresholds = ['delivery p90 < 250ms over 10s', 'missing == 0 abort']";
        for text in [typed, "url = 'http://127.0.0.1:3000'"] {
            let scenario = Scenario::resolve(toml::from_str(text).unwrap(), 2).unwrap();
            let written = scenario_text::file(&scenario.record(), scenario.seed);
            let again = Scenario::resolve(toml::from_str(&written).unwrap(), 8).unwrap();
            assert_eq!((again.record(), again.seed), (scenario.record(), scenario.seed), "{written}");
        }
    }

    #[test]
    fn the_record_keeps_secrets_out() {
        let scenario = resolve(|s| {
            s.header = Some(vec!["Authorization: Bearer secret".into()]);
            s.auth = Some(r#"{"token":"secret"}"#.into());
        })
        .unwrap();
        let record = serde_json::to_string(&scenario.record()).unwrap();
        assert!(!record.contains("secret") && record.contains("Authorization"), "{record}");
    }
}
