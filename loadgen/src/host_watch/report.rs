//! From samples to windows to a report: pure.

use std::collections::BTreeMap;

use super::system::CpuTicks;
use super::{Slice, ThreadUse, Throttling};

/// Shortest window that makes a ratio; shorter ones are joined.
const WINDOW_NS_MIN: u64 = 500_000_000;

/// What disturbed the generator between two moments.
#[derive(Debug, Clone, PartialEq)]
pub struct HostReport {
    /// Windows of about a second, without gaps; none if the time was shorter than half a second.
    pub windows: Vec<Window>,
    /// Threads by name, the busiest first.
    pub threads: Vec<ThreadReport>,
    /// Greatest share of the host's CPU time that the hypervisor gave to others.
    pub steal_max: Option<Peak>,
    /// Share of the host's CPU time that anything used, those to whom the hypervisor gave it included.
    pub busy_share: Option<f64>,
    /// How often, and for how long, a quota held the generator back.
    pub throttled: Option<Throttling>,
    /// Greatest share of time in which some task of the host waited for a CPU.
    pub pressure_max: Option<Peak>,
}

/// A greatest value and its window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// In [0, 1].
    pub share: f64,
    /// End of the window, run time.
    pub at_ns: u64,
}

/// The threads of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadReport {
    /// Name of the thread.
    pub name: String,
    /// CPU time in all windows, of all threads of that name.
    pub cpu_ns: u64,
    /// Greatest share of one core that one thread used.
    pub cpu_max: Peak,
    /// Time ready to run without a CPU, in all windows, of all threads of that name; `None` if the kernel does not tell.
    pub run_delay_ns: Option<u64>,
    /// Greatest share of a window that one thread waited for a CPU.
    pub run_delay_max: Option<Peak>,
}

/// What happened in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Start, run time.
    pub from_ns: u64,
    /// End, run time.
    pub to_ns: u64,
    /// Every thread that ran in it.
    pub threads: Vec<ThreadUse>,
    /// Share of the host's CPU time that the hypervisor gave to others.
    pub steal_share: Option<f64>,
    /// What quotas did.
    pub throttled: Option<Throttling>,
    /// Share of time in which some task of the host waited for a CPU.
    pub pressure_share: Option<f64>,
}

impl HostReport {
    /// The thread with the greatest share of one core in any window.
    pub fn busiest(&self) -> Option<&ThreadReport> {
        self.threads.first()
    }
}

impl Window {
    /// Share of the window: of all of it at most, although sampling takes a moment and the kernel counts by its ticks.
    fn share(&self, ns: u64) -> f64 {
        share(ns, self.to_ns - self.from_ns)
    }

    fn peak(&self, share: Option<f64>) -> Option<Peak> {
        share.map(|share| Peak { share, at_ns: self.to_ns })
    }
}

/// Windows between two moments of run time, each moved to the nearest sample, and what they come to.
pub(crate) fn report(slices: &[Slice], from_ns: u64, to_ns: u64) -> HostReport {
    let slices = between(slices, from_ns, to_ns);
    let ticks = slices.iter().filter_map(|slice| slice.ticks).reduce(CpuTicks::plus);
    let windows: Vec<Window> = join(slices).into_iter().map(window).collect();
    HostReport {
        busy_share: ticks.and_then(CpuTicks::busy_share),
        threads: threads(&windows),
        steal_max: greatest(windows.iter().filter_map(|window| window.peak(window.steal_share))),
        throttled: windows.iter().filter_map(|window| window.throttled).reduce(Throttling::plus),
        pressure_max: greatest(windows.iter().filter_map(|window| window.peak(window.pressure_share))),
        windows,
    }
}

fn between(slices: &[Slice], from_ns: u64, to_ns: u64) -> &[Slice] {
    let Some(first) = slices.first() else { return slices };
    let samples = || std::iter::once(first.from_ns).chain(slices.iter().map(|slice| slice.to_ns)).enumerate();
    let nearest =
        |at_ns: u64| samples().min_by_key(|(_, ns)| ns.abs_diff(at_ns)).map_or(0, |(index, _)| index);
    let start = nearest(from_ns);
    &slices[start..nearest(to_ns).max(start)]
}

/// Joins slices until each is long enough; what is left at the end goes to the last one.
fn join(slices: &[Slice]) -> Vec<Slice> {
    let long_enough = |slice: &Slice| slice.to_ns - slice.from_ns >= WINDOW_NS_MIN;
    let mut joined: Vec<Slice> = Vec::new();
    for slice in slices {
        match joined.last_mut() {
            Some(last) if !long_enough(last) => last.add(slice),
            _ => joined.push(slice.clone()),
        }
    }
    if let Some(rest) = joined.pop_if(|last| !long_enough(last))
        && let Some(last) = joined.last_mut()
    {
        last.add(&rest);
    }
    joined
}

impl Slice {
    /// Becomes both, this and the next one. A ratio needs both parts; a throttling that was seen is not forgotten.
    fn add(&mut self, next: &Self) {
        self.to_ns = next.to_ns;
        for theirs in &next.threads {
            match self.threads.iter_mut().find(|mine| mine.id == theirs.id) {
                Some(mine) => {
                    mine.cpu_ns += theirs.cpu_ns;
                    mine.run_delay_ns = sum(mine.run_delay_ns, theirs.run_delay_ns);
                }
                None => self.threads.push(theirs.clone()),
            }
        }
        self.throttled = self.throttled.into_iter().chain(next.throttled).reduce(Throttling::plus);
        self.pressure_ns = self.pressure_ns.zip(next.pressure_ns).map(|(mine, theirs)| mine + theirs);
        self.ticks = self.ticks.zip(next.ticks).map(|(mine, theirs)| mine.plus(theirs));
    }
}

fn window(slice: Slice) -> Window {
    let Slice { from_ns, to_ns, threads, ticks, throttled, pressure_ns } = slice;
    Window {
        from_ns,
        to_ns,
        threads,
        // A host whose CPU time stands still does not keep it.
        steal_share: ticks.filter(|ticks| ticks.total > 0).map(|ticks| share(ticks.steal, ticks.total)),
        throttled,
        pressure_share: pressure_ns.map(|ns| share(ns, to_ns - from_ns)),
    }
}

fn threads(windows: &[Window]) -> Vec<ThreadReport> {
    let mut by_name: BTreeMap<&str, ThreadReport> = BTreeMap::new();
    for window in windows {
        for thread in &window.threads {
            let cpu = Peak { share: window.share(thread.cpu_ns), at_ns: window.to_ns };
            let waited = window.peak(thread.run_delay_ns.map(|ns| window.share(ns)));
            let all = by_name.entry(&thread.name).or_insert_with(|| ThreadReport {
                name: thread.name.to_string(),
                cpu_ns: 0,
                cpu_max: cpu,
                run_delay_ns: None,
                run_delay_max: None,
            });
            all.cpu_ns += thread.cpu_ns;
            all.cpu_max = greater(all.cpu_max, cpu);
            all.run_delay_ns = sum(all.run_delay_ns, thread.run_delay_ns);
            all.run_delay_max = greatest(all.run_delay_max.into_iter().chain(waited));
        }
    }
    let mut threads: Vec<ThreadReport> = by_name.into_values().collect();
    threads.sort_by(|a, b| b.cpu_max.share.total_cmp(&a.cpu_max.share));
    threads
}

fn greatest(peaks: impl Iterator<Item = Peak>) -> Option<Peak> {
    peaks.reduce(greater)
}

/// The earlier one of equals.
fn greater(one: Peak, other: Peak) -> Peak {
    if other.share > one.share { other } else { one }
}

/// What is known of both.
fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).reduce(|one, other| one + other)
}

/// In [0, 1].
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn thread(id: u64, name: &str, cpu_ms: u64) -> ThreadUse {
        ThreadUse { id, name: name.into(), cpu_ns: cpu_ms * MS, run_delay_ns: Some(cpu_ms * MS / 2) }
    }

    fn slice(from_ms: u64, to_ms: u64, threads: &[ThreadUse]) -> Slice {
        Slice {
            from_ns: from_ms * MS,
            to_ns: to_ms * MS,
            threads: threads.to_vec(),
            ticks: Some(CpuTicks { steal: 1, unused: 150, total: 200 }),
            throttled: Some(Throttling { times: 1, held_ns: 5 }),
            pressure_ns: Some((to_ms - from_ms) * MS / 4),
        }
    }

    #[test]
    fn the_busiest_thread_its_share_and_its_moment() {
        let slices = [
            slice(0, 1000, &[thread(0, "reactor-0", 100), thread(1, "main", 10)]),
            slice(1000, 2000, &[thread(0, "reactor-0", 900), thread(1, "main", 10)]),
            slice(2000, 3000, &[thread(0, "reactor-0", 300), thread(1, "main", 400)]),
        ];
        let found = report(&slices, 0, 3000 * MS);
        let busiest = found.busiest().unwrap();
        assert_eq!(busiest.name, "reactor-0");
        assert_eq!(busiest.cpu_max, Peak { share: 0.9, at_ns: 2000 * MS });
        assert_eq!(busiest.run_delay_max, Some(Peak { share: 0.45, at_ns: 2000 * MS }));
        assert_eq!((busiest.cpu_ns, busiest.run_delay_ns), (1300 * MS, Some(650 * MS)));
        assert_eq!(found.steal_max, Some(Peak { share: 0.005, at_ns: 1000 * MS }));
        assert_eq!(found.throttled, Some(Throttling { times: 3, held_ns: 15 }));
        assert_eq!(found.pressure_max, Some(Peak { share: 0.25, at_ns: 1000 * MS }));
        assert_eq!(found.busy_share, Some(0.25));
    }

    #[test]
    fn only_the_time_asked_for_counts_from_the_nearest_samples() {
        let slices = [
            slice(0, 1000, &[thread(0, "connecting", 1000)]),
            slice(1000, 1700, &[thread(0, "warm", 600)]),
            slice(1700, 2700, &[thread(0, "steady", 500)]),
            slice(2700, 3000, &[thread(0, "steady", 100)]),
            slice(3000, 4000, &[thread(0, "drained", 0)]),
        ];
        let found = report(&slices, 1701 * MS, 2999 * MS);
        assert_eq!(found.windows.len(), 1);
        assert_eq!((found.windows[0].from_ns, found.windows[0].to_ns), (1700 * MS, 3000 * MS));
        assert_eq!(found.threads.len(), 1);
        assert_eq!(found.threads[0].cpu_ns, 600 * MS);
    }

    #[test]
    fn a_tiny_window_makes_no_ratio() {
        let slices = [
            slice(0, 100, &[thread(0, "t", 100)]),
            slice(100, 1000, &[thread(0, "t", 80)]),
            slice(1000, 2000, &[thread(0, "t", 100)]),
            slice(2000, 2001, &[thread(0, "t", 1)]),
        ];
        let found = report(&slices, 0, 2001 * MS);
        let lengths: Vec<u64> =
            found.windows.iter().map(|window| (window.to_ns - window.from_ns) / MS).collect();
        assert_eq!(lengths, [1000, 1001]);
        assert_eq!(found.threads[0].cpu_max, Peak { share: 0.18, at_ns: 1000 * MS });
        assert_eq!(report(&slices[..1], 0, 100 * MS).windows, []);
        assert_eq!(report(&[], 0, 100 * MS).busiest(), None);
        assert_eq!(report(&slices, 2000 * MS, 0).windows, []);
    }

    #[test]
    fn what_is_not_available_is_not_zero() {
        let bare = Slice { to_ns: 1000 * MS, ..Slice::default() };
        let found = report(std::slice::from_ref(&bare), 0, 1000 * MS);
        assert_eq!((found.steal_max, found.throttled, found.pressure_max), (None, None, None));
        let still = Slice { ticks: Some(CpuTicks::default()), ..bare };
        let found = report(&[still], 0, 1000 * MS);
        assert_eq!((found.steal_max, found.busy_share), (None, None));
    }

    #[test]
    fn two_threads_of_one_name_are_not_one_busy_thread() {
        let slices = [slice(0, 1000, &[thread(0, "hiccups", 300), thread(1, "hiccups", 400)])];
        let found = report(&slices, 0, 1000 * MS);
        assert_eq!(found.threads[0].cpu_max.share, 0.4);
        assert_eq!(found.threads[0].cpu_ns, 700 * MS);
    }

    proptest! {
        /// However the samples fall, the windows follow each other without a gap, none is too short, and no CPU time
        /// is lost or invented.
        #[test]
        fn windows_cover_the_time(lengths_ms in prop::collection::vec((0..1500u64, 0..1000u64), 1..30)) {
            let mut at_ms = 0;
            let slices: Vec<Slice> = lengths_ms.iter().map(|(length_ms, cpu_ms)| {
                let from_ms = at_ms;
                at_ms += length_ms;
                slice(from_ms, at_ms, &[thread(0, "t", *cpu_ms)])
            }).collect();
            let found = report(&slices, 0, at_ms * MS);
            if at_ms * MS < WINDOW_NS_MIN {
                prop_assert!(found.windows.is_empty());
            } else {
                prop_assert!(found.windows.windows(2).all(|pair| pair[0].to_ns == pair[1].from_ns));
                prop_assert!(found.windows.iter().all(|window| window.to_ns - window.from_ns >= WINDOW_NS_MIN));
                prop_assert!(found.threads[0].cpu_max.share <= 1.0);
                let covered: u64 = found.windows.iter().map(|window| window.to_ns - window.from_ns).sum();
                prop_assert_eq!(covered, at_ms * MS);
            }
        }
    }
}
