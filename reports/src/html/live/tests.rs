//! What the page shows at every stage of a run, and that texts of others are only texts.

use super::*;
use crate::Status;
use crate::live::tests::running;
use crate::live::{Conclusion, Note};

const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\" onload=\"\r\n\u{1b}[31m";

/// Five seconds of it.
fn with_history() -> LiveSnapshot {
    let mut run = running();
    run.history = (1..=5)
        .map(|second: u64| Point {
            end_ns: second * 1_000_000_000,
            length_ns: 1_000_000_000,
            posts_per_s: 20.0,
            deliveries_per_s: 1_000.0,
            p50_ns: (second != 3).then_some(5_000_000),
            p99_ns: (second != 3).then_some(9_000_000 * second),
            max_ns: (second != 3).then_some(60_000_000),
            send_lag_ns: Some(190_000),
            hiccup_ns: Some(1_250_000),
            generator_cores: Some(0.4),
            ..Point::default()
        })
        .collect();
    run.latest = run.history.last().copied();
    run
}

#[test]
fn every_part_can_be_replaced_by_its_id() {
    for run in [LiveSnapshot::new(), running(), with_history()] {
        let body = body(&run);
        let ids: Vec<&str> = body.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
    }
}

#[test]
fn charts_come_with_the_first_second() {
    assert!(!body(&running()).contains("<figure"));
    let body = body(&with_history());
    for id in ["latency", "deliveries", "posts", "lateness", "cpu", "memory"] {
        assert!(body.contains(&format!("<figure class=\"chart\" id=\"{id}\"")), "{id}");
    }
    assert!(body.contains("Now: max 60.0 ms, p99 45.0 ms, p50 5.00 ms."), "{body}");
    assert!(body.contains(", target not known."), "{body}");
    // The second in which nothing arrived breaks the lines.
    let latency = body.split("<figure").nth(1).unwrap_or_default();
    let line = latency.split("<path class=\"line s0\" d=\"").nth(1).and_then(|rest| rest.split('"').next());
    assert_eq!(line.unwrap_or_default().matches('M').count(), 2, "{line:?}");
}

#[test]
fn the_verdict_takes_the_place_of_the_phase() {
    let mut run = with_history();
    assert!(body(&run).contains("<span class=\"word\">steady</span>"));
    run.stopping = true;
    assert!(body(&run).contains("<span class=\"word\">stopping</span>"));
    run.conclusion = Some(Conclusion {
        status: Status::Fail,
        sentences: vec!["7 deliveries are missing".to_owned()],
        folder: "runs/1".to_owned(),
        has_report: false,
    });
    assert!(!body(&run).contains("report.html"), "nothing leads to what is not there");
    if let Some(conclusion) = &mut run.conclusion {
        conclusion.has_report = true;
    }
    let body = body(&run);
    assert!(body.contains("<span class=\"word\">FAIL</span>") && body.contains("7 deliveries are missing"));
    assert!(body.contains("href=\"report.html\"") && !body.contains("<progress"));
    assert!(body.contains("of what arrived") && !body.contains("last second"));
}

#[test]
fn texts_of_others_are_texts() {
    let mut run = with_history();
    if let Some(words) = &mut run.run {
        (words.target, words.scenario) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    run.phase.line = HOSTILE.to_owned();
    run.notes = vec![Note { at_ns: 1, text: HOSTILE.to_owned() }];
    let text = body(&run);
    assert!(!text.contains("<script") && !text.contains("<img") && !text.contains("\" onload"), "{text}");
    assert!(!text.contains(['\r', '\u{1b}']));
    assert_eq!(text.matches("&lt;script&gt;").count(), 4);
    // And nothing that is not this page's own runs, or is asked for.
    let page = page(&text);
    assert!(page.contains("default-src 'none'") && page.contains("connect-src 'self'"), "{page}");
    assert!(!page.contains("unsafe"));
}
