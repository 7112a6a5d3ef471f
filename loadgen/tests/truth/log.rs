//! The truth log, as the tests read it; the harness never does.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;

use feedmark_core::marker::MarkerFinder;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// A line. Times are `CLOCK_MONOTONIC`, ns.
#[derive(Debug, Deserialize)]
#[serde(tag = "e", rename_all = "lowercase")]
enum Line {
    Post {
        p: u64,
        title: String,
    },
    Connected {
        s: u32,
        peer: SocketAddr,
        at: u64,
        done: u64,
    },
    Write {
        p: u64,
        s: u32,
        copy: u32,
        at: u64,
    },
    Drop {
        p: u64,
        s: u32,
        why: String,
    },
    Swap {
        p: u64,
        s: u32,
    },
    Closed {
        s: u32,
        at: u64,
        why: String,
    },
    Stall {
        at: u64,
        until: u64,
    },
    End {
        lost: u64,
    },
    #[serde(other)]
    Other,
}

/// One copy of a post that went out to a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub(crate) seq: u32,
    pub(crate) socket: u32,
    pub(crate) copy: u32,
    pub(crate) at_ns: u64,
}

/// A socket whose connection was confirmed: the answer was begun, and the kernel had all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connected {
    pub(crate) address: SocketAddr,
    pub(crate) at_ns: u64,
    pub(crate) done_ns: u64,
}

/// What the server really did to the posts of one run, warm-up included, probes left out.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) writes: Vec<Write>,
    /// Pairs (sequence, socket) that a fault dropped.
    pub(crate) dropped: Vec<(u32, u32)>,
    /// Pairs that were chosen to come after the next post.
    pub(crate) swapped: Vec<(u32, u32)>,
    /// Sockets whose connection was confirmed.
    pub(crate) connected: HashMap<u32, Connected>,
    /// Sockets that a fault killed, and when.
    pub(crate) killed: BTreeMap<u32, u64>,
    pub(crate) stalls: Vec<(u64, u64)>,
}

impl Truth {
    /// Reads the log of a server that served the run `run_id`, to its proper end.
    pub(crate) fn read(path: &Path, run_id: &str) -> Self {
        let run = u32::from_str_radix(run_id, 16).unwrap();
        let finder = MarkerFinder::default();
        let mut truth = Self::default();
        let mut seqs: HashMap<u64, u32> = HashMap::new();
        let mut ended = false;
        for line in BufReader::new(GzDecoder::new(File::open(path).unwrap())).lines() {
            let line = line.unwrap();
            let seq_of = |p: &u64| seqs.get(p).copied();
            match serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}")) {
                Line::Post { p, title } => {
                    let marker = finder.find(title.as_bytes()).unwrap();
                    if marker.run == run {
                        seqs.insert(p, marker.seq);
                    }
                }
                Line::Connected { s, peer, at, done } => {
                    let socket = Connected { address: peer, at_ns: at, done_ns: done };
                    truth.connected.insert(s, socket);
                }
                Line::Write { p, s, copy, at } => {
                    let write = |seq| Write { seq, socket: s, copy, at_ns: at };
                    truth.writes.extend(seq_of(&p).map(write));
                }
                Line::Drop { p, s, why } if why == "fault" => {
                    truth.dropped.extend(seq_of(&p).map(|seq| (seq, s)))
                }
                Line::Swap { p, s } => truth.swapped.extend(seq_of(&p).map(|seq| (seq, s))),
                Line::Closed { s, at, why } if why == "killed" => drop(truth.killed.insert(s, at)),
                Line::Stall { at, until } => truth.stalls.push((at, until)),
                Line::End { lost } => {
                    assert_eq!(lost, 0, "the truth log is not whole");
                    ended = true;
                }
                Line::Drop { .. } | Line::Closed { .. } | Line::Other => {}
            }
        }
        assert!(ended, "the truth log has no end");
        truth
    }

    /// First copies, by (sequence, socket).
    pub(crate) fn first_writes(&self) -> HashMap<(u32, u32), u64> {
        let mut first = HashMap::new();
        for write in &self.writes {
            let at_ns = first.entry((write.seq, write.socket)).or_insert(write.at_ns);
            *at_ns = (*at_ns).min(write.at_ns);
        }
        first
    }
}
