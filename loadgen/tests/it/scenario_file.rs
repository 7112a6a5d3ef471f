//! Scenario files: everything can be said in one, flags and environment beat it, and what is wrong in
//! it is named by file, line, field, value and what is allowed.

use std::fs;

use feedmark_reports::run_result::{ArrivalLaw, Timestamps};

use crate::support::{Bed, FEEDMARK, Server, finish};

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_the_default() {
    let bed = Bed::new();
    bed.write("feed.toml", "subscribers = 11\nseed = 11\nrate = '11/s'\n");
    let mut command = bed.command(FEEDMARK);
    command.args(["check", "feed.toml", "--subscribers", "33"]);
    command.env("FEEDMARK_SUBSCRIBERS", "22").env("FEEDMARK_SEED", "22");
    let plan = finish(command).stdout;
    for part in ["33 subscribers x 11/s", "seed 22", "/feed/post"] {
        assert!(plan.contains(part), "no `{part}` in {plan}");
    }
}

#[test]
fn a_file_can_say_everything() {
    let bed = Bed::new();
    let server = Server::reference(&bed, &["--open"]);
    let text = format!(
        r#"
        url = "{}"
        target_pid = {}
        subscribers = 20
        rate = "600/min"
        duration = "1s 500ms"
        warmup = "500ms"
        deadline = "2s"
        arrivals = "constant"
        seed = 9
        in_flight = 50
        post_path = "/feed/post"
        header = ["X-Test: 1", "X-Other: 2"]
        body = '{{"title":"{{{{marker}}}}","content":"{{{{seq}}}} {{{{now}}}} {{{{text:20}}}}"}}'
        post_timeout = "2s"
        event = "posts"
        namespace = "/"
        socket_path = "/socket.io/"
        auth = '{{"token":"t"}}'
        connect_rate = "100/s"
        connect_timeout = "5s"
        max_message = "64KiB"
        driver = "engine"
        threads = 2
        timestamps = "user"
        "#,
        server.url,
        server.pid(),
    );
    bed.write("feed.toml", &text);
    bed.run(&[&["feed.toml"]]).is_healthy();
    let result = bed.result();
    let scenario = &result.scenario;
    assert_eq!((scenario.subscribers, scenario.rate_per_s, scenario.threads), (20, 10.0, 2));
    assert_eq!((scenario.duration_ns, scenario.warmup_ns), (1_500_000_000, 500_000_000));
    assert_eq!((scenario.deadline_ns, scenario.in_flight_max), (2_000_000_000, 50));
    assert_eq!((scenario.arrivals, result.timestamps), (ArrivalLaw::Constant, Timestamps::User));
    assert_eq!((result.seed, scenario.connect_rate_per_s), (9, Some(100.0)));
    assert_eq!(scenario.header_names, ["X-Test", "X-Other"]);
    assert!(scenario.auth && result.resources.target.is_some());
    assert_eq!((result.posts.scheduled, result.posts.acknowledged), (15, 15));
    // 20 subscribers at 100/s take 190 ms, of which a late start may be made up for.
    assert!(result.connections.duration_ns >= 100_000_000, "{}", result.connections.duration_ns);
    let file = fs::read_to_string(bed.out().join("run.json")).unwrap();
    assert!(!file.contains("\"t\\\""), "the auth payload is nobody's business");
}

#[test]
fn what_is_wrong_is_named_with_file_line_field_value_and_what_is_allowed() {
    let bed = Bed::new();
    for (line, parts) in [
        ("subscriber = 5", &["subscriber", "unknown field", "`subscribers`"][..]),
        ("rate = '20'", &["rate", "`20` is not a rate", "20/s"]),
        ("rate = 20", &["rate", "20", "`20` is not a rate"]),
        ("duration = '30'", &["duration", "`30` is not a duration", "30s"]),
        ("duration = '0s'", &["duration", "`0s`", "at least"]),
        ("deadline = '90d'", &["deadline", "`90d`", "at most 7 days"]),
        ("subscribers = 0", &["subscribers", "`0`", "1 to 1000000"]),
        ("subscribers = -3", &["subscribers", "`-3`", "1 to 1000000"]),
        ("seed = -1", &["seed", "-1"]),
        ("in_flight = 0", &["in_flight", "`0`", "at least 1"]),
        ("in_flight = 70000", &["in_flight", "70000"]),
        ("threads = 0", &["threads", "`0`", "at least 1"]),
        ("arrivals = 'bursty'", &["arrivals", "`bursty`", "poisson", "constant"]),
        ("driver = 'pigeon'", &["driver", "`pigeon`", "engine", "rust_socketio"]),
        ("timestamps = 'gps'", &["timestamps", "`gps`", "kernel", "user"]),
        ("max_message = '1 parsec'", &["max_message", "`1 parsec`", "64KiB"]),
        ("post_path = 'feed'", &["post_path", "`feed`", "starts with `/`"]),
        ("namespace = 'feed'", &["namespace", "`feed`", "starts with `/`"]),
        ("url = 'ftp://h'", &["url", "`ftp://h`", "http://"]),
        ("body = '{{makrer}}'", &["body", "{{makrer}}", "{{marker}}"]),
        ("header = 'Name: value'", &["header", "sequence"]),
        ("header = ['no colon']", &["header", "Name: value"]),
        ("auth = 'token'", &["auth", "JSON object"]),
        ("seed = 1\nseed = 2", &["seed", "duplicate"]),
        ("seed", &["="]),
    ] {
        bed.write("feed.toml", &format!("# a comment\n\n{line}\n"));
        for command in ["check", "run"] {
            let finished = bed.feedmark(&[command, "feed.toml"]);
            finished.refuses(2, &["feed.toml"]);
            finished.refuses(2, parts);
            let number = 2 + line.lines().count();
            let place = format!("line {number}");
            assert!(finished.stderr.contains(&place), "{line}: no `{place}` in {}", finished.stderr);
        }
    }
}

#[test]
fn a_wrong_flag_is_not_blamed_on_the_file() {
    let bed = Bed::new();
    bed.write("feed.toml", "post_path = '/right'\n");
    let finished = bed.feedmark(&["check", "feed.toml", "--post-path", "wrong"]);
    finished.refuses(2, &["post_path", "`wrong`"]);
    assert!(!finished.stderr.contains("feed.toml"), "{}", finished.stderr);
}

#[test]
fn what_is_no_scenario_is_refused() {
    let bed = Bed::new();
    bed.feedmark(&["check", "none.toml"]).refuses(2, &["none.toml", "No such file"]);
    bed.feedmark(&["check", "."]).refuses(2, &["cannot read the scenario ."]);
    fs::write(bed.path().join("binary"), [0xff, 0xfe, 0]).unwrap();
    bed.feedmark(&["check", "binary"]).refuses(2, &["binary", "UTF-8"]);
    fs::write(bed.path().join("large"), vec![b'#'; 2 << 20]).unwrap();
    bed.feedmark(&["check", "large"]).refuses(2, &["large", "is it the right file?"]);
    // Endless, and of no length: what is read is bounded all the same.
    bed.feedmark(&["check", "/dev/zero"]).refuses(2, &["/dev/zero", "is it the right file?"]);
}
