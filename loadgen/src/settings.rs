//! What was typed: flags, environment and scenario file, in one shape.
//!
//! Every setting has one name everywhere: `--post-path`, `FEEDMARK_POST_PATH`, `post_path = "..."`. (Only the flag
//! `--threshold` gives one of the `thresholds`.)
//! A flag beats the environment, which beats the file, which beats the default; defaults are filled
//! in by [`crate::scenario::Scenario::resolve`].

mod threshold;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Size, Span, Subscribers};
pub use threshold::ThresholdSetting;

/// Greatest scenario file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How intended times follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalsSetting {
    /// Independent posters: exponential gaps.
    Poisson,
    /// A metronome.
    Constant,
}

/// Which clock stamps arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampsSetting {
    /// The kernel's receive stamp where it exists.
    Kernel,
    /// The run clock, read after the read.
    User,
}

/// What subscribers connect through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum DriverSetting {
    /// feedmark's own engine.
    Engine,
    /// A client object of the crate `rust_socketio` for every subscriber.
    RustSocketio,
}

macro_rules! settings {
    ($($(#[$attribute:meta])* $field:ident: $type:ty,)*) => {
        /// Everything that a scenario file can say, each optional; serialized as TOML, it is one.
        #[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $($(#[$attribute])* pub $field: Option<$type>,)*
        }

        impl Settings {
            /// These settings, and where one is not set, that of `other`.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)* }
            }

            /// The setting of this name is set.
            pub fn is_set(&self, name: &str) -> bool {
                match name {
                    $(stringify!($field) => self.$field.is_some(),)*
                    _ => false,
                }
            }
        }
    };
}

settings! {
    /// Target, such as http://127.0.0.1:3000; without it the reference server is started and driven
    #[arg(long, env = "FEEDMARK_URL", value_name = "URL", help_heading = "Target")]
    url: String,
    /// Arguments for the reference server that the run starts (see `feedmark target --help`)
    #[arg(long, env = "FEEDMARK_TARGET_ARGS", value_name = "ARGS", allow_hyphen_values = true, help_heading = "Target")]
    target_args: String,
    /// What the reference server does wrong on command, such as kind=drop,share=0.01; repeatable (docs/faults.md)
    #[arg(long, env = "FEEDMARK_FAULT", value_name = "FAULT", value_delimiter = ';', help_heading = "Target")]
    fault: Vec<String>,
    /// Process that is watched as the target, with all that it started: CPU, memory, descriptors, its control group
    #[arg(long, env = "FEEDMARK_TARGET_PID", value_name = "PID", help_heading = "Target")]
    target_pid: i32,
    /// Control group that is watched as the target, such as /system.slice/feed.service (see /proc/PID/cgroup)
    #[arg(long, env = "FEEDMARK_TARGET_CGROUP", value_name = "PATH", help_heading = "Target")]
    target_cgroup: String,
    /// Where the target tells its figures in Prometheus' text form: a path on the target, such as /metrics, or a URL
    #[arg(long, env = "FEEDMARK_TARGET_METRICS", value_name = "URL", help_heading = "Target")]
    target_metrics: String,
    /// One of these figures, such as process_open_fds or 'jobs{queue="out"}', and what it is if its name does not say so:
    /// jobs_rss=memory (commit-time is that of one committer); repeatable [default: those with well-known names] (docs/capacity.md)
    #[arg(long, env = "FEEDMARK_SERIES", value_name = "NAME", value_delimiter = ';', help_heading = "Target")]
    series: Vec<String>,

    /// Subscribers connected at the same time [default: 1000]
    #[arg(short = 'c', long, env = "FEEDMARK_SUBSCRIBERS", value_name = "N", help_heading = "Load")]
    subscribers: Subscribers,
    /// Posts per second, such as 20/s or 90/min [default: 20/s]
    #[arg(short, long, env = "FEEDMARK_RATE", value_name = "RATE", help_heading = "Load")]
    rate: Rate,
    /// Length of the steady phase, which is measured [default: 30s]
    #[arg(short, long, env = "FEEDMARK_DURATION", value_name = "TIME", help_heading = "Load")]
    duration: Span,
    /// Length of the warm-up before it [default: 5s]
    #[arg(long, env = "FEEDMARK_WARMUP", value_name = "TIME", help_heading = "Load")]
    warmup: Span,
    /// A delivery after this long is late [default: 10s]
    #[arg(long, env = "FEEDMARK_DEADLINE", value_name = "TIME", help_heading = "Load")]
    deadline: Span,
    /// Arrival law of the posts [default: poisson]
    #[arg(long, env = "FEEDMARK_ARRIVALS", value_name = "LAW", help_heading = "Load")]
    arrivals: ArrivalsSetting,
    /// Seed of the schedule and of every random choice [default: 1]
    #[arg(long, env = "FEEDMARK_SEED", value_name = "N", help_heading = "Load")]
    seed: u64,
    /// Most posts in flight; at this cap the schedule waits, and the wait counts [default: 256]
    #[arg(long, env = "FEEDMARK_IN_FLIGHT", value_name = "N", help_heading = "Load")]
    in_flight: u16,

    /// Path of the POST [default: /feed/post]
    #[arg(long, env = "FEEDMARK_POST_PATH", value_name = "PATH", help_heading = "Posts")]
    post_path: String,
    /// Header of the POST and of the upgrade, `Name: value`; repeatable
    #[arg(short = 'H', long, env = "FEEDMARK_HEADER", value_name = "HEADER", value_delimiter = '\n', hide_env_values = true, help_heading = "Posts")]
    header: Vec<String>,
    /// Body of the POST with {{marker}}, {{seq}}, {{now}} (ms) and {{text:N}} (N random bytes)
    #[arg(long, env = "FEEDMARK_BODY", value_name = "TEMPLATE", help_heading = "Posts")]
    body: String,
    /// A POST without a reply after this long has failed [default: the deadline]
    #[arg(long, env = "FEEDMARK_POST_TIMEOUT", value_name = "TIME", help_heading = "Posts")]
    post_timeout: Span,

    /// Socket.IO event that carries a post [default: posts]
    #[arg(long, env = "FEEDMARK_EVENT", value_name = "NAME", help_heading = "Subscribers")]
    event: String,
    /// Socket.IO namespace [default: /]
    #[arg(long, env = "FEEDMARK_NAMESPACE", value_name = "NAME", help_heading = "Subscribers")]
    namespace: String,
    /// Path of the Socket.IO endpoint [default: /socket.io/]
    #[arg(long, env = "FEEDMARK_SOCKET_PATH", value_name = "PATH", help_heading = "Subscribers")]
    socket_path: String,
    /// Auth payload of the Socket.IO connect, in JSON, such as '{"token":"..."}'
    #[arg(long, env = "FEEDMARK_AUTH", value_name = "JSON", hide_env_values = true, help_heading = "Subscribers")]
    auth: String,
    /// Connections opened per second, such as 500/s [default: as fast as the target accepts]
    #[arg(long, env = "FEEDMARK_CONNECT_RATE", value_name = "RATE", help_heading = "Subscribers")]
    connect_rate: Rate,
    /// An attempt to connect that takes longer has failed [default: 10s]
    #[arg(long, env = "FEEDMARK_CONNECT_TIMEOUT", value_name = "TIME", help_heading = "Subscribers")]
    connect_timeout: Span,
    /// Post from then on at the latest, though some subscribers are still connecting [default: wait for all]
    #[arg(long, env = "FEEDMARK_CONNECT_WITHIN", value_name = "TIME", help_heading = "Subscribers")]
    connect_within: Span,
    /// Greatest WebSocket message that the engine accepts [default: 1MiB]
    #[arg(long, env = "FEEDMARK_MAX_MESSAGE", value_name = "SIZE", help_heading = "Subscribers")]
    max_message: Size,
    /// What subscribers connect through; all but the engine are for cross-checks [default: engine]
    #[arg(long, env = "FEEDMARK_DRIVER", value_name = "DRIVER", help_heading = "Subscribers")]
    driver: DriverSetting,
    /// Reactor threads [default: one for every four CPUs]
    #[arg(long, env = "FEEDMARK_THREADS", value_name = "N", help_heading = "Subscribers")]
    threads: u16,
    /// Which clock stamps arrivals; only the engine has the kernel's stamps [default: kernel where it can]
    #[arg(long, env = "FEEDMARK_TIMESTAMPS", value_name = "CLOCK", help_heading = "Subscribers")]
    timestamps: TimestampsSetting,

    /// What the run has to keep to, such as "delivery p99 < 250ms" or "missing == 0 abort"; repeatable (docs/gates.md)
    #[arg(long = "threshold", env = "FEEDMARK_THRESHOLDS", value_name = "EXPR", value_delimiter = ';', help_heading = "Verdict")]
    thresholds: Vec<ThresholdSetting>,
}

/// Why a scenario file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, not readable, not text.
    #[error("cannot read the scenario {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Too large to be a scenario.
    #[error("the scenario {} is larger than {FILE_BYTES_MAX} bytes: is it the right file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not a scenario; the message has line, column, field and what is allowed.
    #[error("{}: {error}`feedmark init` writes a commented scenario", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
}

impl Settings {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        toml::from_str(&read_text(path)?)
            .map_err(|error| FileError::Parse { path: path.to_owned(), error: Box::new(error) })
    }
}

/// The line, from 1, on which a scenario file sets `name`.
pub fn line_of(path: &Path, name: &str) -> Option<usize> {
    let text = read_text(path).ok()?;
    let table = toml::de::DeTable::parse(&text).ok()?;
    let key = table.get_ref().keys().find(|key| key.get_ref() == name)?;
    Some(text.get(..key.span().start)?.matches('\n').count() + 1)
}

/// The bound holds for what has no length, too: a pipe, a device.
fn read_text(path: &Path) -> Result<String, FileError> {
    let read_error = |error| FileError::Read { path: path.to_owned(), error };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(read_error)?;
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(read_error)?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_error(text: &str) -> String {
        toml::from_str::<Settings>(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_says_what_the_flags_say() {
        let text =
            "url = 'http://h:1'\nsubscribers = 5\nrate = '2/s'\nheader = ['A: b']\narrivals = 'constant'";
        let settings: Settings = toml::from_str(text).unwrap();
        assert_eq!(settings.subscribers, Some(Subscribers::new(5)));
        assert_eq!(settings.rate.unwrap().per_s(), 2.0);
        assert_eq!(settings.header.unwrap(), ["A: b"]);
        assert_eq!(settings.arrivals, Some(ArrivalsSetting::Constant));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = "subscribers = 5\nrate = \"0.1/s\"\nduration = \"1m 30s 5ms\"\narrivals = \"constant\"\n\
                    in_flight = 3\nheader = [\"A: b\", \"C: \\\"d\\\"\"]\nbody = \"{{marker}}\\n\"\n\
                    max_message = \"1048576B\"\ndriver = \"rust_socketio\"\ntimestamps = \"user\"\n";
        let settings: Settings = toml::from_str(text).unwrap();
        let again: Settings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{settings:?}"));
        assert_eq!(toml::to_string(&Settings::default()).unwrap(), "");
    }

    #[test]
    fn flags_beat_the_file() {
        let flags = Settings { seed: Some(1), ..Settings::default() };
        let file = Settings { seed: Some(2), event: Some("e".into()), ..Settings::default() };
        let both = flags.or(file);
        assert_eq!((both.seed, both.event.as_deref()), (Some(1), Some("e")));
    }

    #[test]
    fn errors_name_line_field_value_and_what_is_allowed() {
        let unknown = parse_error("seed = 1\nsubscriber = 5");
        assert!(unknown.contains("line 2") && unknown.contains("unknown field `subscriber`"), "{unknown}");
        assert!(unknown.contains("`subscribers`"), "{unknown}");
        let unit = parse_error("rate = '20'");
        assert!(unit.contains("line 1") && unit.contains("`20` is not a rate"), "{unit}");
        let bare = parse_error("duration = 30");
        assert!(bare.contains("line 1") && bare.contains("`30` is not a duration: write"), "{bare}");
        let value = parse_error("subscribers = 0");
        assert!(value.contains("`0`") && value.contains("are allowed"), "{value}");
        let law = parse_error("arrivals = 'bursty'");
        assert!(law.contains("`bursty`") && law.contains("poisson"), "{law}");
    }
}
