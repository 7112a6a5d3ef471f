//! The picture at each size, as text.

use feedmark_reports::quantile::new_histogram;
use feedmark_reports::validity::{SeenSoFar, so_far};
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::draw;
use super::palette::Palette;
use crate::live::history::Point;
use crate::live::snapshot::{
    ConnectionsNow, DeliverySoFar, LedgerSoFar, LiveSnapshot, PhaseNow, PostsNow, ProcessNow, RunWords,
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

fn picture(now: &LiveSnapshot, (width, height): (u16, u16), asked: u8) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, now, asked, &Palette::plain())).unwrap();
    terminal.backend().to_string()
}

fn connecting() -> LiveSnapshot {
    let mut now = LiveSnapshot::new();
    now.run = Some(RunWords {
        run_id: "0000002a".into(),
        target: "http://127.0.0.1:3000".into(),
        scenario: "1,000 subscribers, 20 posts/s poisson for 30s".into(),
        subscribers: 1_000,
        rate_per_s: 20.0,
        warmup_ns: 5 * S,
        duration_ns: 30 * S,
        deadline_ns: 10 * S,
    });
    now.note(1, "target: http://127.0.0.1:3000");
    let line = "430 of 1,000 subscribers, 0 failed".into();
    now.phase = PhaseNow { name: "connect", done: 0.43, left_ns: None, line };
    now.connections = ConnectionsNow { established: 430, connected: 430, failed: 0, lost: 0 };
    now
}

/// 23 s into the schedule: a stall in second 11, nothing arrived in it, and much of it in second 12.
fn steady() -> LiveSnapshot {
    let mut now = connecting();
    now.note(2, "connected: 1,000 subscribers in 126 ms");
    let line = "12 s left, 1,000 connected, 458 posts sent, 20,000 deliveries/s, 0 missing so far".into();
    now.phase = PhaseNow { name: "steady", done: 0.6, left_ns: Some(11_800 * MS), line };
    now.connections = ConnectionsNow { established: 1_000, connected: 1_000, failed: 0, lost: 0 };
    now.posts = PostsNow { scheduled: 694, sent: 458, acknowledged: 456, failed: 0 };
    now.deliveries = 456_000;
    let second = |number: u64| {
        let slow = if number == 12 { 40 } else { 1 };
        let of = |ms: u64| (number != 11).then_some(slow * (ms + number % 3) * MS);
        Point {
            end_ns: number * S,
            length_ns: S,
            posts_per_s: 19.0 + (number % 4) as f64 / 2.0,
            deliveries_per_s: if number == 11 { 0.0 } else { 19_000.0 + number as f64 },
            p50_ns: of(6),
            p99_ns: of(14),
            max_ns: of(20),
            ..Point::default()
        }
    };
    now.history = (1..=23).map(second).collect();
    now.latest = now.history.last().copied();
    now.delivery = Some(DeliverySoFar {
        count: 356_000,
        p50_ns: 6_800_000,
        p90_ns: 12 * MS,
        p99_ns: 640 * MS,
        p999_ns: 800 * MS,
        max_ns: 880 * MS,
    });
    now.ledger = LedgerSoFar { owed: 160_000, delivered: 160_000, under_way: 2_000, ..Default::default() };
    now.checks = so_far(&seen_healthy());
    now.generator = Some(ProcessNow { cpu_s: 5.5, cpu_cores: 0.42, memory_bytes: 17_000_000 });
    now.target = Some(ProcessNow { cpu_s: 8.0, cpu_cores: 0.98, memory_bytes: 37_800_000 });
    now
}

fn seen_healthy() -> SeenSoFar<'static> {
    // Leaked, because the sample outlives everything: a few hundred kB in a test.
    let some = Box::leak(Box::new(new_histogram()));
    some.record_n(MS, 1_000).unwrap();
    SeenSoFar {
        delivery: some,
        send_lag: some,
        receive_delay: Some(some),
        hiccup_ns: Some(MS),
        hiccup_group: "the readers",
        busiest_thread: Some(("reactor-0", 0.4)),
        steal_share_max: Some(0.0),
        throttled_ns: None,
        clock_jump_ns: Some(0),
        probes: 1,
        probe_unreached: Some(0),
    }
}

/// The same with all that can go wrong, and told to stop.
fn in_trouble() -> LiveSnapshot {
    let mut now = steady();
    now.connections.connected = 990;
    now.connections.lost = 10;
    now.posts.failed = 3;
    now.ledger.missing = 12;
    now.ledger.late = 4;
    now.ledger.delivered -= 16;
    now.ledger.duplicate = 1;
    now.checks = so_far(&SeenSoFar { hiccup_ns: Some(70 * MS), receive_delay: None, ..seen_healthy() });
    now.stopping = true;
    now.phase.name = "drain";
    // What a hostile target wrote.
    now.note(
        3,
        "stopping: \u{1b}[2Jwhat is out has 10 s to arrive;\u{7} Ctrl-C again to end now, and so on and on",
    );
    now
}

#[test]
fn a_connect_phase() {
    assert_snapshot!(picture(&connecting(), (80, 24), 0));
}

#[test]
fn a_steady_phase_at_80_x_24() {
    assert_snapshot!(picture(&steady(), (80, 24), 0));
}

#[test]
fn a_steady_phase_at_120_x_40() {
    assert_snapshot!(picture(&steady(), (120, 40), 0));
}

#[test]
fn a_steady_phase_at_40_x_12() {
    assert_snapshot!(picture(&steady(), (40, 12), 0));
}

#[test]
fn a_run_in_trouble_at_80_x_24() {
    assert_snapshot!(picture(&in_trouble(), (80, 24), 1));
}

#[test]
fn a_run_in_trouble_at_40_x_12() {
    assert_snapshot!(picture(&in_trouble(), (40, 12), 2));
}

/// Whatever the window: nothing panics, and no control character gets through.
#[test]
fn any_window_does() {
    for now in [LiveSnapshot::new(), connecting(), steady(), in_trouble()] {
        for width in [1, 2, 39, 40, 59, 60, 75, 76, 77, 78, 109, 112, 300] {
            for height in [1, 2, 11, 12, 13, 23, 24, 25, 60] {
                let drawn = picture(&now, (width, height), 0);
                let is_control = |c: char| c.is_control() && c != '\n';
                assert!(!drawn.contains(is_control), "{width} x {height}");
            }
        }
    }
}
