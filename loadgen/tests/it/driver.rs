//! `--driver`: what subscribers connect through changes what is measured, never what is counted.

#[cfg(not(feature = "rust_socketio"))]
#[test]
fn a_driver_that_was_not_built_in_is_refused_with_the_way_to_build_it() {
    let bed = crate::support::Bed::new();
    bed.write("feed.toml", "seed = 1\ndriver = 'rust_socketio'\n");
    for command in ["check", "run"] {
        let parts =
            ["driver", "`rust_socketio`", "cargo build --release --features rust_socketio", "OpenSSL"];
        bed.feedmark(&[command, "--driver", "rust_socketio"]).refuses(2, &parts);
        bed.feedmark(&[command, "feed.toml"]).refuses(2, &["feed.toml: line 2"]);
    }
}

#[cfg(feature = "rust_socketio")]
mod rust_socketio {
    use std::net::TcpListener;

    use feedmark_reports::RunResult;
    use feedmark_reports::run_result::{Deliveries, Driver, Timestamps};
    use serde::Deserialize;

    use crate::support::{Bed, DOOMED, SHORT, Server, eventually};

    /// What `posts.csv` says of the ledger of one post.
    #[derive(Debug, PartialEq, Deserialize)]
    struct PostRow {
        seq: u32,
        phase: String,
        owed: u32,
        delivered: u32,
        late: u32,
        missing: u32,
        duplicate: u32,
        reordered: u32,
        unexpected: u32,
        not_owed: u32,
    }

    /// A run through this driver: its result, and its ledger post by post.
    fn run(driver: &str, args: &[&str]) -> (RunResult, Vec<PostRow>) {
        let bed = Bed::new();
        // Posts a whole 50 ms apart, from one writer: the server numbers them as the schedule does.
        let load = ["--driver", driver, "--seed", "7", "--arrivals", "constant", "--in-flight", "1"];
        let finished = bed.run(&[&SHORT, &load, args]);
        assert!(matches!(finished.code, Some(0 | 97..=99)), "{}\n{}", finished.stdout, finished.stderr);
        let mut table = csv::Reader::from_path(bed.out().join("posts.csv")).unwrap();
        let posts = table.deserialize().map(Result::unwrap).collect();
        eventually("no process and no temporary file is left", || bed.is_clean().then_some(()));
        (bed.result(), posts)
    }

    /// One seed through both drivers gives one ledger, which is given back.
    fn one_ledger(args: &[&str]) -> Deliveries {
        let (engine, of_engine) = run("engine", args);
        let (client, of_client) = run("rust_socketio", args);
        assert_eq!((engine.scenario.driver, engine.timestamps), (Driver::Engine, Timestamps::Kernel));
        assert_eq!((client.scenario.driver, client.timestamps), (Driver::RustSocketio, Timestamps::User));
        for result in [&engine, &client] {
            assert_eq!((result.connections.established, result.connections.lost), (50, 0));
            assert_eq!((result.warmup.posts.acknowledged, result.posts.acknowledged), (20, 60));
        }
        assert_eq!(of_engine, of_client);
        assert_eq!(engine.warmup.deliveries, client.warmup.deliveries);
        assert_eq!(engine.evidence.probes, client.evidence.probes);
        let named = |result: &RunResult| {
            // Which subscriber got which number of the server's is up to the server.
            Deliveries { worst_subscribers: Vec::new(), ..result.deliveries.clone() }
        };
        assert_eq!(named(&engine), named(&client));
        client.deliveries
    }

    #[test]
    fn a_healthy_feed_gives_both_drivers_one_ledger() {
        let deliveries = one_ledger(&[]);
        assert_eq!((deliveries.owed, deliveries.delivered), (50 * 60, 50 * 60));
    }

    /// The faults are chosen by seed, post and socket, so both drivers meet the same ones.
    #[test]
    fn planted_faults_give_both_drivers_one_ledger() {
        let faults = ["kind=drop", "kind=duplicate", "kind=swap"]
            .map(|kind| format!("{kind},share=0.03,posts=25..70"));
        let args: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        let deliveries = one_ledger(&args);
        let Deliveries { missing, duplicate, reordered, .. } = deliveries;
        assert!(missing > 0 && duplicate > 0 && reordered > 0, "{deliveries:?}");
    }

    /// Everybody is cut off in the steady phase: the crate says little about it, and nothing is owed any more.
    #[test]
    fn connections_that_are_killed_are_lost() {
        for how in ["reset", "close"] {
            let (result, posts) = run("rust_socketio", &["--fault", &format!("kind=kill,at=2s,how={how}")]);
            assert_eq!((result.connections.established, result.connections.lost), (50, 50));
            assert_eq!(result.connections.lost_by_cause.values().sum::<u64>(), 50);
            assert_eq!(result.deliveries.residual, 0);
            let last = posts.last().unwrap();
            assert_eq!((last.owed, last.not_owed), (0, 50));
        }
    }

    #[test]
    fn who_is_not_let_in_is_told_why() {
        let bed = Bed::new();
        let driver = ["--driver", "rust_socketio"];
        let server = Server::reference(&bed, &["--open"]);
        let refused = |args: &[&str], parts: &[&str]| {
            let finished = bed.run(&[&DOOMED, &driver, args]);
            finished.refuses(1, &[&["no subscriber could connect"], parts].concat());
        };
        refused(&["--url", &server.url, "--socket-path", "/nowhere/"], &["rust_socketio says", "404"]);
        refused(
            &["--url", &server.url, "--namespace", "/nowhere"],
            &["the Socket.IO connect", "--namespace"],
        );
        // The kernel takes the connection, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        refused(&["--url", &url, "--connect-timeout", "1s"], &["not connected", "--connect-timeout"]);
        bed.feedmark(&["check", "--driver", "rust_socketio", "--event", "close"])
            .refuses(2, &["event", "`close`", "rust_socketio"]);
    }
}
