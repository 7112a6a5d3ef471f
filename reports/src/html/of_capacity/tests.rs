//! Pages of sessions on simulated servers.

use super::*;
use crate::Quantile;
use crate::capacity::tests::simulated::Server;
use crate::capacity::tests::{of_both, of_cores, of_subscribers, plan};
use crate::capacity::{Outcome, Plan, Step, StepResources};
use crate::html::tests::{
    assert_charts, assert_ids, assert_nothing_is_fetched, assert_numbers, texts, without_rows,
};

const MINUTE_NS: u64 = 60_000_000_000;

/// What a real target uses besides CPU.
fn with_resources(mut capacity: CapacityResult) -> CapacityResult {
    for step in &mut capacity.steps {
        let (subscribers, rate) = (u64::from(step.subscribers), step.rate_per_s);
        let pushed = step.resources.cpus_used.unwrap_or(0.0) / 1.9;
        step.resources = StepResources {
            host_cpu_share: Some(0.3 + 0.6 * pushed),
            memory_bytes: Some(22_000_000 + subscribers * 15_000 + (rate * 1e4) as u64),
            descriptors: Some(24 + subscribers),
            descriptors_limit: Some(20_000),
            socket_memory_bytes: Some(subscribers * 4_096),
            storage_busy_share: Some(0.4 * pushed),
            network_bytes_per_s: Some(rate * f64::from(step.subscribers) * 180.0),
            network_limit_bytes_per_s: Some(1.25e9),
            ..step.resources.clone()
        };
        if step.readings.delivered_share.is_some_and(|share| share < 0.8) {
            step.readings.full_fanout_p99_ns = Quantile::BeyondDeadline;
        }
    }
    capacity.judge();
    capacity
}

fn session(server: &Server, plan: &Plan) -> CapacityResult {
    with_resources(server.session(plan, None, usize::MAX))
}

fn frontier() -> CapacityResult {
    let mut capacity = session(&Server::default(), &of_both());
    capacity.planned_loads = [
        "3000 subscribers, 40/s",
        "14000 subscribers, 14/s",
        "6000 subscribers, 60/s",
        "30000 subscribers, 1/s",
    ]
    .map(|load| load.parse().unwrap())
    .to_vec();
    capacity.judge();
    capacity
}

/// As many searches as there may be.
fn many() -> Plan {
    Plan { subscriber_counts: (1..=32).map(|count| count * 250).collect(), ..of_both() }
}

fn nothing_holds() -> CapacityResult {
    let mut capacity = Server::default().session(&plan(), None, 0);
    while let crate::capacity::Next::Measure(measure) = capacity.next() {
        capacity.steps.push(Step { outcome: Outcome::Fail, ..Server::default().measure(&measure) });
    }
    with_resources(capacity)
}

/// One of each kind.
fn sessions() -> Vec<(&'static str, CapacityResult)> {
    let server = Server::default();
    let limited = Server { generator_max: 100_000.0, ..Server::default() };
    let bent = Server { knee: Some((2_000, 6.0)), ..Server::default() };
    let disturbed = Server { disturbed: 0.2, ..Server::default() };
    vec![
        ("rate", session(&disturbed, &plan())),
        ("subscribers", session(&server, &of_subscribers())),
        ("frontier", frontier()),
        ("frontier-refused", session(&bent, &of_both())),
        ("cores", session(&server, &of_cores())),
        ("generator-limited", session(&limited, &plan())),
        ("nothing-holds", nothing_holds()),
        ("short-budget", with_resources(server.session(&plan(), Some(8 * MINUTE_NS), usize::MAX))),
        ("under-way", with_resources(server.session(&of_both(), Some(90 * MINUTE_NS), 20))),
        ("empty", server.session(&plan(), None, 0)),
        ("many", session(&server, &many())),
    ]
}

#[test]
fn every_session_has_a_page() {
    for (name, session) in sessions() {
        let page = capacity(&session);
        // For the browser, which opens them (scripts/browser).
        if let Some(folder) = std::env::var_os("FEEDMARK_CAPACITY_SESSIONS") {
            let folder = std::path::Path::new(&folder).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("capacity.json"), serde_json::to_vec(&session).unwrap()).unwrap();
        }
        assert_ids(&page);
        assert_nothing_is_fetched(&page);
        assert_numbers(&page);
        if session.steps.is_empty() {
            assert!(!page.contains("<figure"), "{name}: there is nothing to draw");
        } else {
            assert_charts(&page, 2);
        }
        assert!(page.len() < 3_000_000, "{name}: {} bytes", page.len());
    }
}

#[test]
fn what_a_search_of_the_rate_says() {
    let page = capacity(&session(&Server { disturbed: 0.2, ..Server::default() }, &plan()));
    insta::assert_snapshot!(texts(&without_rows(&page)));
}

#[test]
fn what_a_frontier_says() {
    let page = capacity(&frontier());
    // The other searches have the same charts as the first.
    let second = page.match_indices("<details class=\"part\"").nth(1).unwrap().0;
    let end = second + page[second..].find("</section>").unwrap();
    insta::assert_snapshot!(texts(&without_rows(&(page[..second].to_owned() + &page[end..]))));
}

/// The part of a figure with this id.
fn figure<'p>(page: &'p str, id: &str) -> &'p str {
    let start = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
    &page[start..start + page[start..].find("</figure>").unwrap()]
}

#[test]
fn the_knee_has_its_thresholds_its_bracket_and_what_did_not_count() {
    let session = session(&Server { disturbed: 0.2, ..Server::default() }, &plan());
    let page = capacity(&session);
    let knee = figure(&page, "knee-1");
    assert!(knee.contains("full_fanout p99 &lt; 400ms"), "the threshold stands at its line");
    assert!(knee.contains("band failing") && knee.contains("band bracket"));
    let marks = |class: &str| {
        let path = knee.split(&format!("class=\"{class}\" d=\"")).nth(1).unwrap();
        path.split('"').next().unwrap().matches('M').count()
    };
    let count = |is: fn(&Step) -> bool| session.steps.iter().filter(|step| is(step)).count();
    assert_eq!(marks("dots squares s2"), count(|step| step.outcome == Outcome::Fail));
    assert_eq!(marks("dots s5"), 4 * count(|step| step.outcome == Outcome::Invalid));
    assert_eq!(marks("dots s0"), count(|step| step.outcome.is_valid()));
}

#[test]
fn a_frontier_shows_each_planned_load_and_leads_to_its_answer() {
    let session = frontier();
    let page = capacity(&session);
    let chart = figure(&page, "frontier-fit");
    for number in 1..=session.headroom.len() {
        assert!(chart.contains(&format!("href=\"#planned-{number}\"")), "{number}");
    }
    assert!(chart.contains("not measured"), "what lies beyond the largest is marked");
    let bent = Server { knee: Some((2_000, 6.0)), ..Server::default() };
    let refused = capacity(&self::session(&bent, &of_both()));
    assert!(
        !figure(&refused, "frontier-fit").contains("class=\"area"),
        "a fit that was refused is not drawn"
    );
}

/// One dot for each step and kind of memory that is known, whatever its rate; without any, no chart.
#[test]
fn memory_is_drawn_by_subscribers_where_it_is_known() {
    let mut session = frontier();
    let page = capacity(&session);
    let chart = figure(&page, "memory-by-subscribers");
    let marks = |class: &str| chart.split(&format!("class=\"{class}\" d=\"")).nth(1).unwrap();
    let count = |class: &str| marks(class).split('"').next().unwrap().matches('M').count();
    assert_eq!((count("dots s2"), count("dots s4")), (session.steps.len(), session.steps.len()));
    let places: Vec<&str> = marks("line s4").split('"').next().unwrap().split(['M', 'L']).skip(1).collect();
    assert_eq!(places.len(), session.plan.subscriber_counts.len(), "{places:?}");
    session.steps.iter_mut().for_each(|step| {
        step.resources.memory_bytes = None;
        step.resources.socket_memory_bytes = None;
    });
    assert!(!capacity(&session).contains("memory-by-subscribers"));
    // Where subscribers are searched for, the memory of the search is drawn by them.
    let searched = capacity(&self::session(&Server::default(), &of_subscribers()));
    assert!(searched.contains("id=\"memory-1\"") && !searched.contains("memory-by-subscribers"));
}

#[test]
fn the_bracket_narrows() {
    let page = capacity(&session(&Server { noise: 0.0, ..Server::default() }, &plan()));
    let course = figure(&page, "bracket");
    let held = course.split("class=\"line s4\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    // Upwards on the page is down in numbers.
    let heights: Vec<f64> =
        held.split('V').skip(1).map(|rest| rest.split('H').next().unwrap().parse().unwrap()).collect();
    assert!(heights.len() > 5 && heights.is_sorted_by(|one, other| one >= other), "{held}");
}

/// Whatever a target or a user wrote is text, in every place that shows it.
#[test]
fn hostile_texts_are_inert() {
    const HOSTILE: &str = "</script><script>alert(1)</script><!--\"'><img src=x onerror=alert(1)>";
    let mut session = session(&Server::default(), &plan());
    session.plan.target = HOSTILE.to_owned();
    session.plan.scenario.event = HOSTILE.to_owned();
    session.host = Some(crate::sample::run().host);
    if let Some(host) = &mut session.host {
        host.cpu = HOSTILE.to_owned();
    }
    session.feedmark_version = HOSTILE.to_owned();
    for step in &mut session.steps {
        step.resources = StepResources::default();
        step.reasons = vec![HOSTILE.to_owned()];
    }
    session.judge();
    session.findings = vec![HOSTILE.to_owned()];
    session.searches[0].left_out = vec![HOSTILE.to_owned()];
    let page = capacity(&session);
    assert!(page.matches("&lt;img").count() >= 10, "{} times", page.matches("&lt;img").count());
    for live in ["<img", "<script>alert", "<!--", "onerror=alert(1)>"] {
        assert!(!page.contains(live), "{live}");
    }
    assert_eq!(page.matches("<script").count(), 1);
}

#[test]
fn what_is_downloaded_is_the_session() {
    use base64::Engine as _;
    use std::io::Read as _;
    let session = session(&Server::default(), &plan());
    let page = capacity(&session);
    let unpacked = |name: &str| {
        let link =
            page.split(&format!("data-name=\"{name}\" href=\"data:application/gzip;base64,")).nth(1).unwrap();
        let packed =
            base64::engine::general_purpose::STANDARD.decode(link.split('"').next().unwrap()).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(serde_json::from_str::<CapacityResult>(&unpacked("capacity.json")).unwrap(), session);
    assert_eq!(unpacked("steps.csv"), csv(&session));
}
