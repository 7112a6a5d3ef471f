//! What shall happen, decided from (seed, fault, post, socket) and times that are arguments.
//!
//! Invariant: a choice does not depend on when or in which order it is asked for; only `max` is first come.
//! Must not know: clocks, sockets, threads.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use super::{
    dice::{Purpose, normal, uniform},
    fault::{Effect, Ending, Fault, Kind, Law, Refusal},
};

/// The faults in force, and how often each has happened.
pub(super) struct Plan {
    seed: u64,
    faults: Vec<Fault>,
    /// How often each fault was used, for its `max`.
    used: Vec<AtomicU64>,
    /// When the first post was taken: from then on times count.
    first_post_ns: OnceLock<u64>,
}

/// What shall happen to one post on one socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fate {
    pub(super) dropped: bool,
    pub(super) swapped: bool,
    pub(super) split: bool,
    /// Extra copies.
    pub(super) copies: u32,
    pub(super) delay_ns: u64,
    /// The frame waits for the next multiple of this.
    pub(super) flush_ns: Option<u64>,
    /// What happens.
    pub(super) kinds: Kinds,
}

/// A set of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u32);

impl Kinds {
    fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.0 & (1 << *kind as u32) != 0)
    }
}

/// The serial cost of one post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) per_post_ns: u64,
    pub(super) per_socket_ns: u64,
}

impl Plan {
    pub(super) fn new(seed: u64, faults: Vec<Fault>) -> Self {
        let used = faults.iter().map(|_| AtomicU64::new(0)).collect();
        Self { seed, faults, used, first_post_ns: OnceLock::new() }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The first call starts the times of the plan; whether this was it.
    pub(super) fn start(&self, now_ns: u64) -> bool {
        self.first_post_ns.set(now_ns).is_ok()
    }

    fn since_first(&self, now_ns: u64) -> Option<u64> {
        Some(now_ns.saturating_sub(*self.first_post_ns.get()?))
    }

    fn absolute(&self, since_first_ns: u64) -> Option<u64> {
        Some(self.first_post_ns.get()?.saturating_add(since_first_ns))
    }

    /// What happens to this post, taken at `taken_ns`, on this socket. `swappable` is false behind a frame that waits
    /// for this one.
    pub(super) fn fate(&self, post: u64, taken_ns: u64, socket: u64, swappable: bool) -> Fate {
        let mut fate = Fate::default();
        for (index, fault) in self.faults.iter().enumerate() {
            if matches!(fault.effect, Effect::Drop)
                && self.chooses(index, Some((post, taken_ns)), Some(socket))
            {
                fate.dropped = true;
                fate.kinds.add(fault.effect.kind());
                return fate;
            }
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let chosen = || self.chooses(index, Some((post, taken_ns)), Some(socket));
            match fault.effect {
                Effect::Delay(law) if chosen() => {
                    let delay_ns = self.delay(law, index, post, socket);
                    fate.delay_ns = fate.delay_ns.saturating_add(delay_ns);
                }
                Effect::Duplicate { copies } if chosen() => fate.copies += copies,
                Effect::Swap if swappable && !fate.swapped && chosen() => fate.swapped = true,
                Effect::Flush { every_ns } if chosen() => fate.flush_ns = Some(every_ns),
                Effect::Split if chosen() => fate.split = true,
                _ => continue,
            }
            fate.kinds.add(fault.effect.kind());
        }
        fate
    }

    /// The serial cost of this post: the sums of all paces that choose it.
    pub(super) fn pace(&self, post: u64, taken_ns: u64) -> Option<Pace> {
        let mut paces = self.faults.iter().enumerate().filter_map(|(index, fault)| match fault.effect {
            Effect::Pace { per_post_ns, per_socket_ns }
                if self.chooses(index, Some((post, taken_ns)), None) =>
            {
                Some(Pace { per_post_ns, per_socket_ns })
            }
            _ => None,
        });
        let first = paces.next()?;
        Some(paces.fold(first, |sum, pace| Pace {
            per_post_ns: sum.per_post_ns.saturating_add(pace.per_post_ns),
            per_socket_ns: sum.per_socket_ns.saturating_add(pace.per_socket_ns),
        }))
    }

    /// How this post is refused, if it is.
    pub(super) fn refusal(&self, post: u64, taken_ns: u64) -> Option<Refusal> {
        self.faults.iter().enumerate().find_map(|(index, fault)| match fault.effect {
            Effect::Refuse(refusal) if self.chooses(index, Some((post, taken_ns)), None) => Some(refusal),
            _ => None,
        })
    }

    /// The time to which the reply to this post waits, ready at `now_ns`, if it waits.
    pub(super) fn reply_until(&self, post: u64, now_ns: u64) -> Option<u64> {
        let until = |(index, fault): (usize, &Fault)| match fault.effect {
            Effect::StallReplies { by_ns } if self.chooses(index, Some((post, now_ns)), None) => {
                match by_ns {
                    Some(by_ns) => Some(now_ns.saturating_add(by_ns)),
                    None => self.absolute(fault.select.window?.end_around(self.since_first(now_ns)?)?),
                }
            }
            _ => None,
        };
        self.faults.iter().enumerate().filter_map(until).max()
    }

    /// How long the handshake of this socket waits, asked for at `now_ns`.
    pub(super) fn handshake_ns(&self, socket: u64, now_ns: u64) -> u64 {
        let wait = |(index, fault): (usize, &Fault)| match fault.effect {
            Effect::SlowHandshake { by_ns }
                if self.in_window(index, now_ns) && self.chooses(index, None, Some(socket)) =>
            {
                Some(by_ns)
            }
            _ => None,
        };
        self.faults.iter().enumerate().filter_map(wait).sum()
    }

    /// How long a commit that begins at `now_ns` takes longer.
    pub(super) fn commit_ns(&self, now_ns: u64) -> u64 {
        let wait = |(index, fault): (usize, &Fault)| match fault.effect {
            Effect::SlowCommit { by_ns }
                if self.in_window(index, now_ns) && self.chooses(index, None, None) =>
            {
                Some(by_ns)
            }
            _ => None,
        };
        self.faults.iter().enumerate().filter_map(wait).sum()
    }

    /// The end of the stall around `now_ns`.
    pub(super) fn stalled_until(&self, now_ns: u64) -> Option<u64> {
        let until = |fault: &Fault| match fault.effect {
            Effect::Stall(window) => self.absolute(window.end_around(self.since_first(now_ns)?)?),
            _ => None,
        };
        self.faults.iter().filter_map(until).max()
    }

    /// When stalls begin, on the clock.
    pub(super) fn stalls(&self) -> impl Iterator<Item = u64> {
        self.faults.iter().filter_map(|fault| match fault.effect {
            Effect::Stall(window) => self.absolute(window.at_ns),
            _ => None,
        })
    }

    /// When connections are killed, on the clock: (time, fault).
    pub(super) fn kills(&self) -> impl Iterator<Item = (u64, usize)> {
        self.faults.iter().enumerate().filter_map(|(index, fault)| match fault.effect {
            Effect::Kill { at_ns, .. } => Some((self.absolute(at_ns)?, index)),
            _ => None,
        })
    }

    /// How the kill of number `fault` ends this socket, if it does.
    pub(super) fn kill(&self, fault: usize, socket: u64) -> Option<Ending> {
        match self.faults.get(fault)?.effect {
            Effect::Kill { ending, .. } if self.chooses(fault, None, Some(socket)) => Some(ending),
            _ => None,
        }
    }

    fn in_window(&self, fault: usize, time_ns: u64) -> bool {
        let Some(window) = self.faults[fault].select.window else { return true };
        self.since_first(time_ns).is_some_and(|since_first| window.end_around(since_first).is_some())
    }

    /// Whether the fault happens to this post (with its time) or socket or pair; a yes counts towards `max`.
    fn chooses(&self, fault: usize, post: Option<(u64, u64)>, socket: Option<u64>) -> bool {
        let select = &self.faults[fault].select;
        // A post or socket that does not matter counts as one that cannot be.
        let (number, of) = (post.map_or(u64::MAX, |(number, _)| number), socket.unwrap_or(u64::MAX));
        let chance = |purpose, post| uniform(self.seed, fault, purpose, post, of);
        post.is_none_or(|(_, time_ns)| self.in_window(fault, time_ns))
            && select.posts.as_ref().is_none_or(|posts| posts.contains(&number))
            && select.sockets.is_none_or(|share| chance(Purpose::Socket, u64::MAX) < share)
            && select.share.is_none_or(|share| chance(Purpose::Choice, number) < share)
            && self.may_again(fault)
    }

    fn may_again(&self, fault: usize) -> bool {
        let Some(max) = self.faults[fault].select.max else { return true };
        let one_more = |used: u64| (used < max).then_some(used + 1);
        self.used[fault].fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn delay(&self, law: Law, fault: usize, post: u64, socket: u64) -> u64 {
        let chance = |purpose| uniform(self.seed, fault, purpose, post, socket);
        match law {
            Law::Fixed { by_ns } => by_ns,
            Law::Uniform { from_ns, to_ns } => {
                from_ns + ((to_ns - from_ns) as f64 * chance(Purpose::Size)) as u64
            }
            Law::LogNormal { median_ns, sigma } => {
                let z = normal(chance(Purpose::Size), chance(Purpose::Angle));
                (median_ns as f64 * (sigma * z).exp()) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn plan(seed: u64, faults: &[&str]) -> Plan {
        let plan = Plan::new(seed, faults.iter().map(|text| text.parse().unwrap()).collect());
        plan.start(1000 * MS);
        plan
    }

    fn fate(plan: &Plan, post: u64, socket: u64) -> Fate {
        plan.fate(post, 1000 * MS, socket, true)
    }

    /// So far can a binomial count be from its mean: five standard deviations and one.
    fn slack(trials: f64, share: f64) -> f64 {
        5.0 * (trials * share * (1.0 - share)).sqrt() + 1.0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// The same seed chooses the same pairs, whatever the order of the asking.
        #[test]
        fn choices_are_deterministic(seed: u64, share in 0.0..1.0_f64) {
            let fault = format!("kind=drop,share={share}");
            let (one, other) = (plan(seed, &[&fault]), plan(seed, &[&fault]));
            let pairs = (0..20).flat_map(|post| (0..20).map(move |socket| (post, socket)));
            let forward: Vec<_> = pairs.clone().map(|(p, s)| fate(&one, p, s)).collect();
            let mut backward: Vec<_> = pairs.rev().map(|(p, s)| fate(&other, p, s)).collect();
            backward.reverse();
            prop_assert_eq!(forward, backward);
        }

        /// The share of the chosen pairs is within what chance allows; so is each post's and each socket's.
        #[test]
        fn shares_are_kept(seed: u64, share in 0.0..1.0_f64) {
            let plan = plan(seed, &[&format!("kind=drop,share={share}")]);
            let dropped = |post, socket| f64::from(u8::from(fate(&plan, post, socket).dropped));
            let all: f64 = (0..100).flat_map(|p| (0..100).map(move |s| (p, s))).map(|(p, s)| dropped(p, s)).sum();
            prop_assert!((all - 10_000.0 * share).abs() <= slack(10_000.0, share), "{all} of 10000 at {share}");
            let of_post: f64 = (0..10_000).map(|socket| dropped(7, socket)).sum();
            prop_assert!((of_post - 10_000.0 * share).abs() <= slack(10_000.0, share), "{of_post}");
            let of_socket: f64 = (0..10_000).map(|post| dropped(post, 7)).sum();
            prop_assert!((of_socket - 10_000.0 * share).abs() <= slack(10_000.0, share), "{of_socket}");
        }

        /// No more than `max`, and all of them when there are enough to choose from.
        #[test]
        fn max_is_respected(seed: u64, max in 1..50_u64) {
            let plan = plan(seed, &[&format!("kind=drop,share=0.5,max={max}")]);
            let dropped = (0..1000).filter(|post| fate(&plan, *post, 3).dropped).count() as u64;
            prop_assert_eq!(dropped, max);
        }

        /// `sockets` chooses whole sockets.
        #[test]
        fn a_socket_is_chosen_with_all_its_posts(seed: u64) {
            let plan = plan(seed, &["kind=split,sockets=0.3"]);
            for socket in 0..200 {
                let split = fate(&plan, 0, socket).split;
                prop_assert!((1..20).all(|post| fate(&plan, post, socket).split == split));
            }
        }

        /// Every law stays in its bounds, and faults do not repeat one another's choices.
        #[test]
        fn delays_are_within_their_law(seed: u64, post: u64, socket: u64) {
            let uniform = plan(seed, &["kind=delay,law=uniform,from=2ms,to=3ms"]);
            prop_assert!((2 * MS..=3 * MS).contains(&fate(&uniform, post, socket).delay_ns));
            let fixed = plan(seed, &["kind=delay,law=fixed,by=2ms", "kind=delay,law=fixed,by=3ms"]);
            prop_assert_eq!(fate(&fixed, post, socket).delay_ns, 5 * MS);
        }
    }

    #[test]
    fn a_lognormal_has_its_median_and_its_width() {
        let plan = plan(1, &["kind=delay,law=lognormal,median=20ms,sigma=0.5"]);
        let mut delays: Vec<u64> = (0..100_000).map(|post| fate(&plan, post, 0).delay_ns).collect();
        delays.sort_unstable();
        let quantile = |q: f64| delays[(q * delays.len() as f64) as usize] as f64 / MS as f64;
        // z = 0, 1.2816, 2.3263 of the standard normal.
        for (q, z) in [(0.5, 0.0_f64), (0.9, 1.2816), (0.99, 2.3263), (0.1, -1.2816)] {
            let wanted = 20.0 * (0.5 * z).exp();
            assert!((quantile(q) / wanted - 1.0).abs() < 0.02, "{q}: {} ms, not {wanted}", quantile(q));
        }
    }

    #[test]
    fn posts_and_windows_bound_a_fault() {
        let of_posts = plan(1, &["kind=drop,posts=5..7"]);
        let dropped: Vec<u64> = (0..20).filter(|post| fate(&of_posts, *post, 0).dropped).collect();
        assert_eq!(dropped, [5, 6]);
        let in_window = plan(1, &["kind=drop,at=1s,for=500ms"]);
        for (since_first_ms, dropped) in [(0, false), (999, false), (1000, true), (1499, true), (1500, false)]
        {
            let taken_ns = (1000 + since_first_ms) * MS;
            assert_eq!(in_window.fate(0, taken_ns, 0, true).dropped, dropped, "{since_first_ms} ms");
        }
    }

    #[test]
    fn a_drop_ends_all_else_and_a_swapped_successor_is_not_swapped() {
        let dropped = plan(1, &["kind=duplicate", "kind=drop"]);
        assert_eq!(
            fate(&dropped, 0, 0),
            Fate { dropped: true, kinds: Kinds(1 << Kind::Drop as u32), ..Fate::default() }
        );
        let swapped = plan(1, &["kind=swap,max=2"]);
        assert!(swapped.fate(0, 1000 * MS, 0, true).swapped);
        assert!(!swapped.fate(1, 1000 * MS, 0, false).swapped);
        assert!(
            swapped.fate(2, 1000 * MS, 0, true).swapped,
            "the one that could not be swapped did not count"
        );
        assert!(!swapped.fate(3, 1000 * MS, 0, true).swapped);
    }

    #[test]
    fn times_count_from_the_first_post() {
        let faults = ["kind=stall,at=1s,for=300ms", "kind=kill,at=2s"].map(|text| text.parse().unwrap());
        let plan = Plan::new(1, faults.into());
        assert_eq!((plan.stalled_until(5), plan.stalls().count(), plan.kills().count()), (None, 0, 0));
        assert!(plan.start(7));
        assert!(!plan.start(9), "only once");
        let at = 7 + 1000 * MS;
        assert_eq!(plan.stalls().collect::<Vec<_>>(), [at]);
        assert_eq!(plan.kills().collect::<Vec<_>>(), [(7 + 2000 * MS, 1)]);
        let end = at + 300 * MS;
        for (now, until) in [(at - 1, None), (at, Some(end)), (end - 1, Some(end)), (end, None)] {
            assert_eq!(plan.stalled_until(now), until);
        }
    }

    #[test]
    fn replies_wait_to_the_end_of_the_window_or_for_a_time() {
        let window = plan(1, &["kind=stall-replies,at=1s,for=2s"]);
        assert_eq!(window.reply_until(0, 1500 * MS), None);
        assert_eq!(window.reply_until(0, 2500 * MS), Some(4000 * MS));
        assert_eq!(window.reply_until(0, 4000 * MS), None);
        let by = plan(1, &["kind=stall-replies,by=2s,posts=3..4"]);
        assert_eq!(by.reply_until(2, 1500 * MS), None);
        assert_eq!(by.reply_until(3, 1500 * MS), Some(3500 * MS));
    }

    #[test]
    fn paces_and_handshakes_add_up() {
        let plan = plan(1, &["kind=pace,per_post=1ms", "kind=pace,per_socket=20us,posts=0..1"]);
        assert_eq!(plan.pace(0, 1000 * MS), Some(Pace { per_post_ns: MS, per_socket_ns: 20_000 }));
        assert_eq!(plan.pace(1, 1000 * MS), Some(Pace { per_post_ns: MS, per_socket_ns: 0 }));
        assert_eq!(self::plan(1, &[]).pace(1, 0), None);
        let slow = self::plan(1, &["kind=slow-handshake,by=1ms", "kind=slow-handshake,by=2ms,max=1"]);
        assert_eq!((slow.handshake_ns(0, 0), slow.handshake_ns(1, 0)), (3 * MS, MS));
    }
}
