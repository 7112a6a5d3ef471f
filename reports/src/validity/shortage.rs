//! Did the generator's own host run out of something? Told by the causes under which failed posts and subscribers are
//! counted.

use crate::RunResult;

const PORTS: &str = "local ports: sysctl -w net.ipv4.ip_local_port_range='1024 65535', or fewer subscribers; where the \
                     target is on this host, its loopback address has more source addresses";
const DESCRIPTORS: &str = "file descriptors: ulimit -n in the shell that starts feedmark (up to ulimit -Hn; fs.file-max for \
                           the whole host), or fewer subscribers";
const MEMORY: &str = "memory for sockets: sysctl net.ipv4.tcp_mem, more free memory, or fewer subscribers";

/// How causes begin, and what is short then with what helps.
const SHORTAGES: [(&str, &str); 3] = [
    ("out of local ports", PORTS),
    ("out of file descriptors", DESCRIPTORS),
    ("out of memory for sockets", MEMORY),
];

/// Posts of the steady phase and subscribers that failed because this host was short of something, and of what it was
/// for most of them.
pub(super) fn failed_for_want(run: &RunResult) -> (u64, &'static str) {
    let connections = &run.connections;
    let causes = [&run.posts.failures, &connections.failed_by_cause, &connections.lost_by_cause];
    let failed = |beginning: &str| -> u64 {
        let all = causes.iter().flat_map(|causes| causes.iter());
        all.filter(|(cause, _)| cause.starts_with(beginning)).map(|(_, n)| *n).fold(0, u64::saturating_add)
    };
    let by_shortage = SHORTAGES.map(|(beginning, what)| (failed(beginning), what));
    let all = by_shortage.iter().map(|(n, _)| *n).fold(0, u64::saturating_add);
    let (_, most) = by_shortage.into_iter().max_by_key(|(n, _)| *n).unwrap_or_default();
    (all, most)
}
