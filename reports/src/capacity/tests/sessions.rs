//! Which steps are measured, and how sessions end.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::super::search::Ending;
use super::simulated::Server;
use super::*;

const MINUTE_NS: u64 = 60_000_000_000;

/// Servers of all sizes, read rightly or wrongly.
fn server(seed: u64) -> Server {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut between = |low: f64, high: f64| low * (high / low).powf(random.random::<f64>());
    Server {
        fixed_s: between(50e-6, 20e-3),
        per_subscriber_s: between(1e-6, 40e-6),
        misread: between(0.3, 3.0),
        seed,
        ..Server::default()
    }
}

fn roles(capacity: &CapacityResult) -> Vec<(Role, Outcome)> {
    capacity.steps.iter().map(|step| (step.role, step.outcome)).collect()
}

/// METHOD section 6: a probe, a ramp from a quarter of what it predicts by 1.5 to the first failing step, halvings to 5 %,
/// five verifications.
#[test]
fn a_search_takes_the_methods_steps() {
    let server = Server { noise: 0.0, ..Server::default() };
    let capacity = server.session(&plan(), None, usize::MAX);
    let (pass, fail) = (Outcome::Pass, Outcome::Fail);
    let ramp = [pass, pass, pass, pass, fail].map(|outcome| (Role::Ramp, outcome));
    let bisect = [pass, fail, pass, fail].map(|outcome| (Role::Bisect, outcome));
    let verify = [(Role::Verify, pass); VERIFICATIONS];
    let (found, expected) =
        (roles(&capacity), [&[(Role::Probe, pass)], &ramp[..], &bisect[..], &verify].concat());
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert_eq!(
        found.iter().map(|(role, _)| *role).collect::<Vec<_>>(),
        expected.iter().map(|(role, _)| *role).collect::<Vec<_>>()
    );
    let rates: Vec<f64> = capacity.steps.iter().map(|step| step.rate_per_s).collect();
    let truth = server.rate_max(1_000, None);
    assert_eq!(rates[0], 3.0, "15 % of the scenario's rate");
    assert!((rates[1] / truth - 0.25).abs() < 0.03, "{rates:?} of {truth}");
    assert!(rates[1..6].windows(2).all(|pair| (pair[1] / pair[0] - 1.5).abs() < 0.01), "{rates:?}");
    let found = &capacity.searches[0];
    let (held, failing) = (found.bracket.held.unwrap(), found.bracket.failing.unwrap());
    assert!(held <= truth && truth < failing && failing / held <= 1.0 + BRACKET_MAX, "{found:?}");
    assert_eq!((found.verified, found.ending, capacity.finished), (Some(held), Some(Ending::Verified), true));
    assert!(
        capacity
            .steps
            .iter()
            .all(|step| step.role == Role::Probe || step.steady_ns as f64 * step.rate_per_s >= 1e12 - 1.0)
    );
}

/// T21 on simulated servers: verified within [-10 %, 0 %] of the truth.
#[test]
fn the_rate_that_is_found_is_the_truth() {
    let off: Vec<f64> = (0..100)
        .map(|seed| {
            let server = server(seed);
            let found = server.session(&plan(), None, usize::MAX).searches[0].verified.unwrap();
            found / server.rate_max(1_000, None) - 1.0
        })
        .collect();
    let right = off.iter().filter(|off| (-0.1..=0.0).contains(*off)).count();
    assert!(right >= 99, "{right}: {off:?}");
}

#[test]
fn the_subscribers_that_are_found_are_the_truth() {
    let mut off = Vec::new();
    for seed in 0..100 {
        let server = Server { fixed_s: 2e-3, ..server(seed) };
        let found = server.session(&of_subscribers(), None, usize::MAX).searches[0].verified.unwrap();
        off.push(found / server.subscribers_max(20.0) - 1.0);
    }
    // The noise is one of the rate, and a and s N are what it is made of: 4 % of it are a.
    let right = off.iter().filter(|off| (-0.1..=0.0).contains(*off)).count();
    assert!(right >= 99, "{right}: {off:?}");
}

/// What a low load does not show does not mislead the search.
#[test]
fn a_knee_is_found() {
    let server = Server { knee: Some((1_000, 8.0)), noise: 0.0, ..Server::default() };
    let found = server.session(&of_subscribers(), None, usize::MAX).searches[0].verified.unwrap();
    let truth = 1_000.0 + (server.subscribers_max(20.0) - 1_000.0) / 8.0;
    assert!((0.9..=1.0).contains(&(found / truth)), "{found} of {truth}");
}

/// A target that is worse from the second time on: each verification that fails lowers the candidate.
#[test]
fn verification_falls_back_to_what_holds_every_time() {
    let server = Server { noise: 0.0, ..Server::default() };
    let mut capacity = CapacityResult::planned(plan(), None, Vec::new(), "0.1.0");
    let truth = server.rate_max(1_000, None);
    while let Next::Measure(measure) = capacity.next() {
        let mut step = server.measure(&measure);
        if step.role == Role::Verify && step.rate_per_s > 0.9 * truth {
            step.outcome = Outcome::Fail;
        }
        capacity.steps.push(step);
    }
    capacity.judge();
    let verified = capacity.searches[0].verified.unwrap();
    assert!(verified <= 0.9 * truth && verified >= 0.9 * truth / 1.05 - 0.1, "{verified} of {truth}");
    let bracket = capacity.searches[0].bracket;
    assert!(bracket.failing.unwrap() / verified <= 1.0 + BRACKET_MAX, "{bracket:?}");
}

#[test]
fn what_the_generator_cannot_drive_is_no_capacity() {
    let server = Server { generator_max: 60_000.0, ..Server::default() };
    let capacity = server.session(&plan(), None, usize::MAX);
    let found = &capacity.searches[0];
    let Some(Ending::GeneratorLimited(at)) = found.ending else { panic!("{:?}", found.ending) };
    assert!(at * 1_000.0 > 60_000.0 && found.verified.is_none() && found.limit.is_none());
    assert_eq!(
        capacity.steps.iter().filter(|step| step.outcome == Outcome::Invalid).count(),
        REPEATS_MAX + 1
    );
    assert_eq!(capacity.verdict.status, Status::Invalid);
    assert!(capacity.verdict.reasons[0].contains("generator-limited at"), "{:?}", capacity.verdict);
}

/// A host that was disturbed for some minutes does not cost the search what the generator had shown that it can do.
#[test]
fn a_load_that_the_generator_mastered_is_tried_for_longer() {
    let server = Server::default();
    let mut capacity = server.session(&plan(), None, 9);
    let Next::Measure(measure) = capacity.next() else { panic!("it has just begun") };
    assert!(
        capacity.steps.iter().any(|step| step.outcome.is_valid() && step.rate_per_s > measure.rate_per_s)
    );
    for repeats in 0..=REPEATS_MASTERED_MAX {
        capacity.judge();
        assert_eq!(capacity.searches[0].ending, None, "{repeats}");
        capacity.steps.push(Step { outcome: Outcome::Invalid, ..server.measure(&measure) });
    }
    capacity.judge();
    assert_eq!(capacity.searches[0].ending, Some(Ending::Unsettled(measure.rate_per_s)));
    capacity.steps.pop();
    assert_eq!(server.resumed(capacity, usize::MAX).searches[0].ending, Some(Ending::Verified));
}

#[test]
fn a_run_that_never_settles_ends_a_search_too() {
    let mut capacity = Server::default().session(&plan(), None, 4);
    let Next::Measure(measure) = capacity.next() else { panic!("it has just begun") };
    for _ in 0..=REPEATS_MAX {
        capacity.steps.push(Step { outcome: Outcome::Unsettled, ..Server::default().measure(&measure) });
    }
    capacity.judge();
    assert_eq!(capacity.searches[0].ending, Some(Ending::Unsettled(measure.rate_per_s)));
    assert_eq!((capacity.finished, capacity.verdict.status), (true, Status::Unresolved));
}

#[test]
fn a_target_that_holds_nothing_fails() {
    let mut capacity = CapacityResult::planned(plan(), None, Vec::new(), "0.1.0");
    while let Next::Measure(measure) = capacity.next() {
        capacity.steps.push(Step { outcome: Outcome::Fail, ..Server::default().measure(&measure) });
    }
    capacity.judge();
    assert!(matches!(capacity.searches[0].ending, Some(Ending::NothingHolds(_))), "{:?}", capacity.searches);
    assert_eq!(capacity.verdict.status, Status::Fail);
}

#[test]
fn the_greatest_load_to_try_is_verified_like_any_other() {
    let capacity = Server::default().session(&Plan { load_max: 50.0, ..plan() }, None, usize::MAX);
    let found = &capacity.searches[0];
    assert_eq!(
        (found.verified, found.bracket.failing, found.ending),
        (Some(50.0), None, Some(Ending::Verified))
    );
    assert!(found.sentence.contains("greatest load that was to be tried"), "{}", found.sentence);
}

/// A wide bracket that is verified says more than a narrow one that is not, and what was left out is said.
#[test]
fn a_short_budget_leaves_out_halvings_first() {
    let capacity = Server::default().session(&plan(), Some(9 * MINUTE_NS), usize::MAX);
    let found = &capacity.searches[0];
    assert_eq!(found.ending, Some(Ending::Verified));
    assert!(found.left_out.iter().any(|what| what.contains("the bracket is")), "{:?}", found.left_out);
    let spent = Server::default().session(&plan(), Some(5 * MINUTE_NS), usize::MAX);
    assert_eq!(
        (spent.searches[0].ending, spent.verdict.status),
        (Some(Ending::BudgetSpent), Status::Unresolved)
    );
    assert!(spent.searches[0].left_out.iter().any(|what| what.contains("budget was spent")));
}

/// At 0.5 posts/s the method's 1000 posts are 33 minutes.
#[test]
fn a_short_budget_shortens_steps_to_what_the_thresholds_need() {
    let server = Server { fixed_s: 1.2, ..Server::default() };
    let capacity = server.session(&plan(), Some(120 * MINUTE_NS), usize::MAX);
    let short: Vec<&Step> = capacity.steps.iter().filter(|step| step.is_short).collect();
    assert!(!short.is_empty());
    for step in short {
        // p99 needs 299 posts without a miss, and a Poisson count scatters.
        let posts = step.steady_ns as f64 / 1e9 * step.rate_per_s;
        assert!((357.9..359.0).contains(&posts), "{posts}");
    }
    assert!(capacity.searches[0].left_out.iter().any(|what| what.contains("shorter than the method")));
}

#[test]
fn searches_share_a_budget() {
    let plan = of_both();
    let capacity = Server::default().session(&plan, Some(90 * MINUTE_NS), usize::MAX);
    assert!(
        capacity.searches.iter().all(|search| search.ending == Some(Ending::Verified)),
        "{:?}",
        capacity.searches
    );
    // What the last one leaves goes to those that had too little: nothing stays open while there is time for a step.
    let was_short = (15..60).step_by(3).filter(|minutes| {
        let capacity = Server::default().session(&plan, Some(minutes * MINUTE_NS), usize::MAX);
        let longest_ns = capacity.steps.iter().map(|step| step.took_ns).max().unwrap();
        let is_open = capacity.searches.iter().any(|search| search.ending == Some(Ending::BudgetSpent));
        assert!(!is_open || capacity.budget_left_ns().unwrap() < 2 * longest_ns, "{minutes} minutes");
        is_open
    });
    assert!(was_short.count() > 3);
    // One that is disturbed for ever does not eat what is the others'.
    let disturbed = Server { disturbed: 0.4, ..Server::default() };
    let capacity = disturbed.session(&plan, Some(60 * MINUTE_NS), usize::MAX);
    assert!((0..5).all(|search| capacity.steps.iter().any(|step| step.search == search)));
}

/// One that is known is worth more than two that are not.
#[test]
fn a_verification_that_has_begun_is_ended_before_another_search_begins() {
    let mut ended = 0;
    for minutes in 20..60 {
        let capacity = Server::default().session(&of_both(), Some(minutes * MINUTE_NS), usize::MAX);
        for (index, search) in capacity.searches.iter().enumerate() {
            let is_own = |step: &&Step| step.search as usize == index;
            let last = capacity.steps.iter().rfind(is_own);
            let is_last = last == capacity.steps.last();
            let has_begun =
                last.is_some_and(|step| step.role == Role::Verify && step.outcome == Outcome::Pass);
            assert!(!has_begun || is_last || search.verified.is_some(), "{minutes} minutes: {search:?}");
            ended += usize::from(has_begun && !is_last);
        }
    }
    assert!(ended > 40, "{ended}");
}

#[test]
fn progress_narrows_and_ends() {
    let server = Server { noise: 0.0, ..Server::default() };
    let whole = server.session(&plan(), None, usize::MAX);
    let mut least_left = u64::MAX;
    for steps in 0..whole.steps.len() {
        let capacity = server.session(&plan(), None, steps);
        let progress = capacity.progress.expect("it is not finished");
        assert_eq!((progress.steps_done as usize, capacity.finished), (steps, false));
        assert!(progress.steps_left > 0 && progress.time_left_ns > 0);
        // A step that is under way runs down, and takes nothing from those after it.
        let left = |took_ns| progress.after(took_ns).time_left_ns;
        assert_eq!([left(0), left(5_000_000_000)], [0, 5_000_000_000].map(|ns| progress.time_left_ns - ns));
        assert_eq!(
            left(u64::MAX),
            progress.time_left_ns / u64::from(progress.steps_left) * u64::from(progress.steps_left - 1)
        );
        // Once something failed, what is left is known.
        if progress.failing.is_some() {
            assert!(progress.time_left_ns <= least_left.saturating_add(MINUTE_NS), "{progress:?}");
            least_left = progress.time_left_ns;
        }
    }
    assert!(whole.finished && whole.progress.is_none());
}

fn of_kind(kind: u8) -> Plan {
    match kind {
        0 => plan(),
        1 => of_subscribers(),
        2 => of_both(),
        _ => of_cores(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A session that is stopped after any step, and read back from its file, comes to the same answer.
    #[test]
    fn a_resumed_session_is_the_same(seed in 0..1_000u64, kind in 0..4u8, part in 0.0..1.0f64, minutes in prop::option::of(5..200u64)) {
        let server = Server { disturbed: 0.1, ..server(seed) };
        let budget_ns = minutes.map(|minutes| minutes * MINUTE_NS);
        let whole = server.session(&of_kind(kind), budget_ns, usize::MAX);
        let steps = (part * whole.steps.len() as f64) as usize;
        let stopped = serde_json::to_string(&server.session(&of_kind(kind), budget_ns, steps)).unwrap();
        let resumed = server.resumed(serde_json::from_str(&stopped).unwrap(), usize::MAX);
        prop_assert_eq!(resumed, whole);
    }

    /// What a step takes beyond what was expected of it is all that a budget is overdrawn by.
    #[test]
    fn a_budget_is_kept(seed in 0..1_000u64, kind in 0..4u8, minutes in 0..200u64) {
        let server = Server { disturbed: 0.1, ..server(seed) };
        let capacity = server.session(&of_kind(kind), Some(minutes * MINUTE_NS), usize::MAX);
        let took_ns: u64 = capacity.steps.iter().map(|step| step.took_ns).sum();
        prop_assert!(took_ns <= minutes * MINUTE_NS + 4_000_000_000, "{} of {}", took_ns, minutes * MINUTE_NS);
    }

    /// However unlike the searches are, no step begins when the budget is spent.
    #[test]
    fn a_spent_budget_is_spent(
        seed in 0..1_000u64,
        minutes in 20..90u64,
        starting_s in prop::collection::vec(1.0..60.0f64, 5),
    ) {
        let server = Server { disturbed: 0.1, starting_s, ..server(seed) };
        let capacity = server.session(&of_both(), Some(minutes * MINUTE_NS), usize::MAX);
        let before_last: u64 = capacity.steps.split_last().map_or(0, |(_, rest)| rest.iter().map(|step| step.took_ns).sum());
        prop_assert!(before_last < minutes * MINUTE_NS, "{} of {}", before_last, minutes * MINUTE_NS);
    }

    /// A capacity that was verified stays, or grows, when a session goes on with a greater budget, unless a load at or below it
    /// fails.
    #[test]
    fn a_greater_budget_keeps_what_was_verified(seed in 0..1_000u64, minutes in 7..60u64, more in 1..12u64, disturbed in 0.0..0.2f64) {
        let server = Server { disturbed, noise: 0.05, ..server(seed) };
        let before = server.session(&of_both(), Some(minutes * MINUTE_NS), usize::MAX);
        let mut going_on = before.clone();
        going_on.budget_ns = Some((minutes + more) * MINUTE_NS);
        going_on.judge();
        let after = server.resumed(going_on, usize::MAX);
        for (before, after) in before.searches.iter().zip(&after.searches) {
            let Some(verified) = before.verified else { continue };
            if after.bracket.failing.is_none_or(|failing| failing > verified) {
                prop_assert!(after.verified >= Some(verified), "{:?} {:?}", before, after);
                prop_assert_eq!((after.bracket.held, after.ending), (after.verified, Some(Ending::Verified)));
            }
        }
    }

    /// A capacity held in every verification, nothing at or below it failed in a run that counts, and no INVALID step is
    /// part of it.
    #[test]
    fn a_capacity_is_what_held(seed in 0..1_000u64, kind in 0..4u8, disturbed in 0.0..0.5f64, generator_max in 1e3..1e6f64) {
        let server = Server { disturbed, generator_max, noise: 0.05, ..server(seed) };
        let capacity = server.session(&of_kind(kind), None, usize::MAX);
        for (index, found) in capacity.searches.iter().enumerate() {
            let own: Vec<&Step> = capacity.steps.iter().filter(|step| step.search as usize == index && Server::counts(step)).collect();
            if let Some(verified) = found.verified {
                let at = |step: &&&Step| step.load(&found.fixed) == verified && step.role == Role::Verify;
                prop_assert_eq!(own.iter().filter(at).count(), VERIFICATIONS);
                prop_assert!(own.iter().filter(at).all(|step| step.outcome == Outcome::Pass));
                prop_assert!(own.iter().all(|step| step.outcome == Outcome::Pass || step.load(&found.fixed) > verified));
                let (subscribers, rate) = found.fixed.with(verified);
                prop_assert!(f64::from(subscribers) * rate <= generator_max);
            } else {
                prop_assert!(found.ending != Some(Ending::Verified));
            }
        }
    }
}
