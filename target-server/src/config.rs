//! What a server is told before it starts.
//!
//! Plain values with their units in the names or types; no flags, no environment (that is `cli`).

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::faults::Fault;

/// Packets that may wait for one subscriber before further ones are refused.
const SOCKET_BUFFER_PACKETS: usize = 128;
/// Socket.IO's own default heartbeat.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Socket.IO's own default patience.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Socket.IO's own default limit, used for REST bodies too.
const MAX_PAYLOAD_BYTES: usize = 1_000_000;
/// As long as the course's app lets a login live.
const JWT_TTL: Duration = Duration::from_secs(60 * 60);

/// Seed of the faults when none is given.
const FAULT_SEED: u64 = 1;
/// Some gigabytes of compressed lines.
const TRUTH_LOG_LINES_MAX: u64 = 50_000_000;

/// Everything [`serve`](crate::serve) needs to know besides the listener.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where posts and users live.
    pub store: StoreKind,
    /// Accept posts without a token, as the built-in user "anonymous".
    pub open_posting: bool,
    /// Refuse Socket.IO connections whose auth payload has no valid `{token}`.
    pub socket_auth: bool,
    /// Packets that may wait for one subscriber before further ones are refused. At least 2: the library sends a ping
    /// at once, and over polling the answer to CONNECT waits behind it.
    pub socket_buffer_packets: usize,
    /// Time between two heartbeats. Above zero.
    pub ping_interval: Duration,
    /// How long a heartbeat may stay unanswered. Above zero.
    pub ping_timeout: Duration,
    /// Largest REST body and largest Socket.IO message taken from a client, in bytes. At least 1.
    pub max_payload_bytes: usize,
    /// Key of the token signatures; `None` draws a random one, so that tokens end with the server.
    pub jwt_secret: Option<Secret>,
    /// How long a login lives. At least a second.
    pub jwt_ttl: Duration,
    /// What goes wrong on command. Without faults, admin token and truth log the sockets are served as if there were
    /// no such thing.
    pub faults: Vec<Fault>,
    /// Decides which posts and sockets the faults choose.
    pub fault_seed: u64,
    /// Makes `/admin/faults` exist, for whoever shows it.
    pub admin_token: Option<Secret>,
    /// Where to write what really happened.
    pub truth_log: Option<PathBuf>,
    /// Lines of the truth log; further ones are counted only.
    pub truth_log_lines_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreKind::sqlite(PathBuf::from("feed.db"), Durability::default()),
            open_posting: false,
            socket_auth: false,
            socket_buffer_packets: SOCKET_BUFFER_PACKETS,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
            jwt_secret: None,
            jwt_ttl: JWT_TTL,
            faults: Vec::new(),
            fault_seed: FAULT_SEED,
            admin_token: None,
            truth_log: None,
            truth_log_lines_max: TRUTH_LOG_LINES_MAX,
        }
    }
}

impl Config {
    /// Refuses settings that the libraries below would panic on or that make no sense.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let at_least = |setting: &'static str, ok: bool, value: String, least: &'static str| {
            if ok { Ok(()) } else { Err(ConfigError { setting, value, least }) }
        };
        let time = |duration: Duration| humantime::format_duration(duration).to_string();
        let packets = self.socket_buffer_packets;
        at_least("socket buffer", packets >= 2, packets.to_string(), "2 packets")?;
        let bytes = self.max_payload_bytes;
        at_least("max payload", bytes >= 1, bytes.to_string(), "1 byte")?;
        if let StoreKind::Sqlite { commit_writes, .. } = self.store {
            at_least("commit writes", commit_writes >= 1, commit_writes.to_string(), "1 write")?;
        }
        let a_millisecond = Duration::from_millis(1);
        at_least("ping interval", self.ping_interval >= a_millisecond, time(self.ping_interval), "1ms")?;
        at_least("ping timeout", self.ping_timeout >= a_millisecond, time(self.ping_timeout), "1ms")?;
        at_least("jwt ttl", self.jwt_ttl >= Duration::from_secs(1), time(self.jwt_ttl), "1s")
    }
}

/// A setting out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}: give at least {least}")]
pub struct ConfigError {
    /// The setting, in words.
    pub setting: &'static str,
    /// What it was.
    pub value: String,
    /// The least that works, with its unit.
    pub least: &'static str,
}

/// Where posts and users live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// In this process only: gone when it ends.
    Memory,
    /// In an SQLite file.
    Sqlite {
        /// The database file; made when it is not there.
        path: PathBuf,
        /// What an acknowledged write survives.
        durability: Durability,
        /// Writes that may share one commit. At least 1, which is no group commit.
        commit_writes: u16,
    },
}

impl StoreKind {
    /// Writes that share a commit, if they wait for it at the same time.
    pub const COMMIT_WRITES: u16 = 256;

    /// An SQLite file with group commit.
    pub fn sqlite(path: PathBuf, durability: Durability) -> Self {
        Self::Sqlite { path, durability, commit_writes: Self::COMMIT_WRITES }
    }
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Durability {
    /// Power loss: every commit waits for the disk (`synchronous = FULL`).
    #[default]
    Full,
    /// `kill -9` and a crash of the server, not power loss: the disk is waited for at checkpoints only
    /// (`synchronous = NORMAL`).
    Normal,
    /// `kill -9` and a crash of the server; a power loss may damage the file (`synchronous = OFF`).
    Off,
}

/// A text that never shows in logs or help.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err("an empty secret protects nothing: give a long random text")
        } else {
            Ok(Self::new(text))
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
