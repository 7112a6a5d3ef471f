//! Who was owed what, pair by pair, by the server's truth log alone (T9, T27).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::bed::{Run, row};
use crate::log::Connected;

/// A subscriber is owed posts from this long after its connection was confirmed (METHOD section 1).
const CONFIRMED_BEFORE_NS: u64 = 1_000_000_000;
/// The harness learns that a socket was confirmed or killed so much later than the server knows it, at most: a reader
/// that is later than this makes the run INVALID (V3). Only pairs within this time of a border can be counted either way.
const LEARNT_WITHIN_NS: u64 = 100_000_000;

/// What a pair is, by the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pair {
    Owed,
    /// Its subscriber was confirmed too late.
    ConnectedLate,
    /// Its subscriber was killed before the deadline.
    ConnectionLost,
    /// Within [`LEARNT_WITHIN_NS`] of a border.
    Open,
}

fn pair(intended_ns: u64, deadline_ns: u64, socket: &Connected, killed_ns: Option<u64>) -> Pair {
    let confirmed_until_ns = intended_ns - CONFIRMED_BEFORE_NS;
    let settled_ns = intended_ns + deadline_ns;
    if socket.at_ns > confirmed_until_ns {
        Pair::ConnectedLate
    } else if socket.done_ns + LEARNT_WITHIN_NS > confirmed_until_ns {
        Pair::Open
    } else if killed_ns.is_none_or(|at_ns| at_ns > settled_ns) {
        Pair::Owed
    } else if killed_ns.is_some_and(|at_ns| at_ns + LEARNT_WITHIN_NS <= settled_ns) {
        Pair::ConnectionLost
    } else {
        Pair::Open
    }
}

/// Compares what the report says of every pair of the steady phase with the truth, and tells the row: what every post
/// was owed, which pairs are missing and which came, how often, and why the others were not owed. All of it is exact
/// but for the open pairs, which must be few.
pub(crate) fn assert_pair_by_pair(name: &str, run: &Run) {
    let (deliveries, truth) = (&run.result.deliveries, &run.truth);
    let mut missing: HashMap<u32, HashSet<SocketAddr>> = HashMap::new();
    for miss in &run.misses {
        assert_eq!((miss.outcome.as_str(), miss.cause.as_str()), ("missing", "unknown"), "{miss:?}");
        assert!(missing.entry(miss.seq).or_default().insert(miss.address), "listed twice: {miss:?}");
    }
    let written = truth.first_writes();
    let mut extra_copies: HashMap<(u32, u32), u64> = HashMap::new();
    for write in truth.writes.iter().filter(|write| write.copy > 0) {
        *extra_copies.entry((write.seq, write.socket)).or_default() += 1;
    }
    let mut pairs: BTreeMap<Pair, u64> = BTreeMap::new();
    let (mut duplicates, mut duplicates_open, mut never_written) = (0, 0, 0);
    for post in run.steady() {
        let (mut owed, mut open) = (0, 0);
        let missing = missing.remove(&post.seq).unwrap_or_default();
        for (&number, socket) in &truth.connected {
            let what = pair(
                run.intended_ns(post.seq),
                run.result.scenario.deadline_ns,
                socket,
                truth.killed.get(&number).copied(),
            );
            *pairs.entry(what).or_default() += 1;
            let came = written.contains_key(&(post.seq, number));
            let is_missing = missing.contains(&socket.address);
            let extra = extra_copies.get(&(post.seq, number)).copied().unwrap_or_default();
            match what {
                Pair::Owed => {
                    assert_eq!(is_missing, !came, "post {} for {socket:?}", post.seq);
                    owed += 1;
                    never_written += u64::from(!came);
                    duplicates += extra;
                }
                Pair::Open => {
                    assert!(!(is_missing && came), "post {} for {socket:?} was written", post.seq);
                    open += 1;
                    duplicates_open += extra;
                }
                Pair::ConnectedLate | Pair::ConnectionLost => {
                    assert!(!is_missing, "post {} for {socket:?} was not owed", post.seq);
                }
            }
        }
        assert!((owed..=owed + open).contains(&post.owed), "owed {owed} and {open} open: {post:?}");
        assert_eq!((post.owed, post.late), (post.delivered + missing.len() as u32, 0), "{post:?}");
    }
    assert!(missing.is_empty(), "missing though not of the steady phase: {missing:?}");
    let of = |what| pairs.get(&what).copied().unwrap_or_default();
    let (open, late, lost) = (of(Pair::Open), of(Pair::ConnectedLate), of(Pair::ConnectionLost));
    assert!(open * 10 <= late + lost, "{open} open pairs are too many to compare: {pairs:?}");
    let said = |cause: &str| deliveries.not_owed_by_cause.get(cause).copied().unwrap_or_default();
    for (what, said, exact, open) in [
        ("owed", deliveries.owed, of(Pair::Owed), open),
        ("connected late", said("connected_late"), late, open),
        ("connection lost", said("connection_lost"), lost, open),
        ("not owed", deliveries.not_owed, late + lost, open),
        ("duplicate", deliveries.duplicate, duplicates, duplicates_open),
    ] {
        assert!((exact..=exact + open).contains(&said), "{what}: {said}, in truth {exact} and {open} open");
    }
    assert_eq!(run.result.connections.lost, truth.killed.len() as u64);
    row(
        name,
        format!(
            "{} owed, {} missing, {} duplicate, {} pairs of late comers, {} of the killed, {} subscribers lost, {}",
            deliveries.owed,
            deliveries.missing,
            deliveries.duplicate,
            said("connected_late"),
            said("connection_lost"),
            run.result.connections.lost,
            run.word()
        ),
        format!(
            "{}, {never_written}, {duplicates}, {late}, {lost}, {}, pair by pair; {open} pairs at a border",
            of(Pair::Owed),
            truth.killed.len()
        ),
    );
}
