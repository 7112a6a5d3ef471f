//! What this host allows, and what a scenario needs of it.

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::scenario::{Driver, Scenario, ScenarioError};
use crate::source::LocalPorts;

/// Descriptors beside the sockets: epoll instances, pipes, files, the library's own.
const SPARE_DESCRIPTORS: u64 = 64;
/// Memory of a connected subscriber of the engine: its slot, session and counters.
const SUBSCRIBER_BYTES: u64 = 700;
/// Memory of a client of `rust_socketio`.
#[cfg(feature = "rust_socketio")]
const CLIENT_BYTES: u64 = 44_000;
/// Memory of the program and its histograms.
const BASE_BYTES: u64 = 14 << 20;

/// Limits of this process on this host.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open files, hard limit.
    pub descriptors_max: u64,
    /// CPUs that the process may use.
    pub cpus: u32,
    /// Memory that is free for use.
    pub memory_available_bytes: u64,
    /// Local ports of one source address.
    pub ports: u64,
}

/// What a scenario needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Open files.
    pub descriptors: u64,
    /// Memory: program, subscribers, and an arrival time of 8 bytes for every pair within the deadline.
    pub memory_bytes: u64,
}

impl Limits {
    /// Reads the limits and raises the soft limit on open files to the hard one.
    ///
    /// # Errors
    /// If the system does not tell its limits.
    pub fn read_and_raise() -> std::io::Result<Self> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        if soft < hard {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(Self {
            descriptors_max: hard,
            cpus: available_cpus(),
            memory_available_bytes: memory_available().unwrap_or(u64::MAX),
            ports: LocalPorts::read().map_or(28_232, LocalPorts::count),
        })
    }

    /// Checks what can be known before anything is started.
    ///
    /// # Errors
    /// Names the setting that asks for more than this host allows.
    pub fn check(&self, scenario: &Scenario) -> Result<Needs, ScenarioError> {
        let needs = Needs::of(scenario);
        if needs.descriptors > self.descriptors_max {
            let fits =
                self.descriptors_max.saturating_sub(needs.descriptors - u64::from(scenario.subscribers));
            return Err(ScenarioError {
                setting: "subscribers",
                problem: format!(
                    "`{}` need {} open files, and this process may have {}: raise the hard limit (ulimit -Hn), \
                     or use at most {fits} subscribers",
                    scenario.subscribers, needs.descriptors, self.descriptors_max
                ),
            });
        }
        if needs.memory_bytes > self.memory_available_bytes {
            return Err(ScenarioError {
                setting: "subscribers",
                problem: format!(
                    "the run needs about {} MB of memory and {} MB are free: use fewer subscribers, \
                     a lower rate or a shorter deadline",
                    needs.memory_bytes >> 20,
                    self.memory_available_bytes >> 20
                ),
            });
        }
        Ok(needs)
    }
}

impl Needs {
    fn of(scenario: &Scenario) -> Self {
        let subscribers = u64::from(scenario.subscribers);
        let posts_in_deadline = (scenario.rate_per_s * scenario.deadline_ns as f64 / 1e9).ceil() as u64 + 1;
        let posts = scenario.expected_posts() as u64;
        let subscriber_bytes = match scenario.driver {
            Driver::Engine => SUBSCRIBER_BYTES,
            #[cfg(feature = "rust_socketio")]
            Driver::RustSocketio => CLIENT_BYTES,
        };
        Self {
            descriptors: subscribers + u64::from(scenario.in_flight_max) + SPARE_DESCRIPTORS,
            memory_bytes: BASE_BYTES
                + subscribers * subscriber_bytes
                + subscribers * 8 * posts_in_deadline.min(posts + 1)
                + posts * 200,
        }
    }
}

/// Something that this host has run out of: whatever fails for it says nothing about a target.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortage {
    /// As `feedmark_reports::validity` knows it.
    pub name: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

const OF_PORTS: Shortage = Shortage {
    name: "out of local ports",
    remedy: "widen net.ipv4.ip_local_port_range or use fewer subscribers",
};
const OF_DESCRIPTORS: Shortage = Shortage {
    name: "out of file descriptors",
    remedy: "raise the limit (ulimit -n) or use fewer subscribers",
};
const OF_SOCKET_MEMORY: Shortage = Shortage {
    name: "out of memory for sockets",
    remedy: "raise net.ipv4.tcp_mem, free memory, or use fewer subscribers",
};

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.remedy)
    }
}

/// What this host has run out of, if that is what the error says.
pub(crate) fn shortage(error: &std::io::Error) -> Option<&'static Shortage> {
    match error.raw_os_error()? {
        // A source address without a free port refuses to be bound.
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => Some(&OF_PORTS),
        libc::ENOBUFS | libc::ENOMEM => Some(&OF_SOCKET_MEMORY),
        libc::EMFILE | libc::ENFILE => Some(&OF_DESCRIPTORS),
        _ => None,
    }
}

/// The cause of a failure is a shortage by its name.
pub(crate) fn is_shortage(cause: &str) -> bool {
    [OF_PORTS, OF_DESCRIPTORS, OF_SOCKET_MEMORY].iter().any(|shortage| shortage.name == cause)
}

/// The error, and what helps if it is a shortage.
pub(crate) fn describe_system(error: &std::io::Error) -> String {
    match shortage(error) {
        Some(shortage) => format!("{error}: {shortage}"),
        None => error.to_string(),
    }
}

/// CPUs that the process may use.
pub fn available_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32)
}

fn memory_available() -> Option<u64> {
    use procfs::Current as _;
    procfs::Meminfo::current().ok()?.mem_available
}
