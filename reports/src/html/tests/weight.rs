//! How much a page weighs, with its files.

use super::*;
use crate::run_result::ProcessSample;

/// Resources as a run of so many seconds has them.
fn sampled_every_second(result: &mut RunResult, seconds: u64) {
    let mut noise = Noise(2);
    let sides = [Some(&mut result.resources.generator), result.resources.target.as_mut()];
    for side in sides.into_iter().flatten() {
        let mut cpu_s = 0.0;
        side.samples = (0..seconds + STEADY_S)
            .map(|second| {
                cpu_s += noise.below(1_000_000) as f64 / 1e6;
                let memory_bytes = 60_000_000 + noise.below(5_000_000);
                ProcessSample { at_ns: second * S + noise.below(MS), cpu_s, memory_bytes }
            })
            .collect();
    }
}

/// What a page shows leaves room for its files, and not the other way round.
#[test]
fn a_heavy_page_embeds_less() {
    let folder = folder();
    let view = View::new(&folder).unwrap();
    let links = |room| downloads::section(&view, room).body.into_string();
    assert_eq!(links(usize::MAX).matches("href=\"data:").count(), folder.files.len());
    let room = downloads::room_beside(&" ".repeat(1_880_000));
    assert_eq!(room, 20_000);
    assert!(links(room).len() < room + 2_000, "{} bytes", links(room).len());
    assert_eq!(links(downloads::room_beside(&" ".repeat(2_000_000))).matches("href=").count(), 0);
}

/// Ten minutes, 10,000 subscribers: 12,000 posts, 120 million deliveries.
#[test]
fn a_long_run_is_a_small_page() {
    let mut result = sample::run();
    result.scenario.duration_ns = 600 * S;
    result.phases[3].end_ns = 607 * S;
    result.phases[4].start_ns = 607 * S;
    result.phases[4].end_ns = 617 * S;
    sampled_every_second(&mut result, 600);
    let mut folder = folder_of(result, 600, 200_000);
    let steady = folder.posts.iter_mut().filter(|post| post.phase == PostPhase::Steady);
    steady.step_by(40).for_each(|post| post.first_latency_ns = Some(160 * MS));
    let page = run(&folder).unwrap();
    assert!(page.matches("class=\"band stall").count() >= 300, "the charts are full of marks");
    assert!(page.matches("class=\"band mark").count() >= 100, "of pauses, too");
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    for name in ["run.json", "run.hgrm", "posts.csv", "s.hlog"] {
        assert!(page.contains(&format!("{name}\" href=\"data:")), "{name} is not in it");
    }
    // For the browser, which says how long it takes to open (scripts/browser).
    if let Some(file) = std::env::var_os("FEEDMARK_LARGE_REPORT") {
        std::fs::write(file, page).unwrap();
    }
}
