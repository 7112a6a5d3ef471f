//! `feedmark check`: the plan, and its arithmetic.

use crate::support::Bed;

/// The value of a line of the plan.
fn line<'a>(plan: &'a str, name: &str) -> &'a str {
    let found = plan.lines().find_map(|line| line.trim_start().strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {plan}")).trim()
}

#[test]
fn the_plan_multiplies_what_was_asked_for() {
    let bed = Bed::new();
    let checked = bed.feedmark(&[
        "check",
        "-c",
        "250",
        "-r",
        "40/s",
        "-d",
        "1m",
        "--warmup",
        "10s",
        "--deadline",
        "5s",
        "--arrivals",
        "constant",
        "--connect-rate",
        "50/s",
        "--seed",
        "7",
        "--in-flight",
        "100",
        "--threads",
        "2",
    ]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let plan = checked.stdout;
    assert!(plan.starts_with("valid\n"), "{plan}");
    for (name, expected) in [
        ("target", "the reference server, started by the run"),
        ("posts to", "/feed/post"),
        ("subscribers", "250, connected 50/s, about 5 s"),
        ("listening for", "event `posts` in namespace `/`"),
        ("phases", "warm-up 10 s, steady 60 s, drain 5 s: 75 s and the time to connect"),
        ("posts ", "40/s, constant arrivals, seed 7: 2,400 in the steady phase"),
        ("deliveries", "250 subscribers x 40/s = 10,000/s, 600,000 in the steady phase"),
        ("threads", "2 for subscribers"),
    ] {
        let found = plan
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(name))
            .any(|value| value.trim().replace("1 min", "60 s").starts_with(expected));
        assert!(found, "no `{name} {expected}` in\n{plan}");
    }
    // 250 sockets, 100 writers, and some for the program itself.
    let descriptors: u64 = line(&plan, "descriptors").split(' ').next().unwrap().parse().unwrap();
    assert!((351..500).contains(&descriptors), "{descriptors}");
    assert!(line(&plan, "local ports").starts_with("250 of "), "{plan}");
}

#[test]
fn the_plan_starts_nothing_and_leaves_nothing() {
    let bed = Bed::new();
    bed.feedmark(&["check", "--url", "http://127.0.0.1:1"]).ended_with(0);
    assert_eq!(std::fs::read_dir(bed.path()).unwrap().count(), 1);
}

#[test]
fn more_than_the_host_allows_is_refused_with_what_would_fit() {
    let bed = Bed::new();
    let mut command = bed.command("sh");
    command.args(["-c", "ulimit -n 400 && exec \"$0\" check -c 200", crate::support::FEEDMARK]);
    crate::support::finish(command)
        .refuses(2, &["subscribers", "`200` need 520", "may have 400", "at most 80"]);
    bed.feedmark(&["check", "-c", "1000000", "-r", "100/s", "--deadline", "1h", "-d", "1h"])
        .refuses(2, &["subscribers"]);
}
