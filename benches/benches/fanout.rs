//! One post until everyone has it, end to end: the reference server in this process, posts in SQLite as by default.

use std::future::Future;

use criterion::{Criterion, Throughput};
use feedmark::bench::Fanout;
use feedmark::settings::Settings;
use feedmark::units::Subscribers;
use target_server::{Config, Durability, ServeError, StoreKind, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    let store = tempfile::tempdir().expect("a folder for the posts");
    let (stop, stopped) = oneshot::channel::<()>();
    let config = Config {
        store: StoreKind::sqlite(store.path().join("feed.db"), Durability::default()),
        open_posting: true,
        ..Config::default()
    };
    let (url, serving) = runtime.block_on(listen(config, stopped)).expect("a free port");
    let server = runtime.spawn(serving);
    fanout(&mut criterion, &url);
    drop(stop);
    runtime.block_on(server).expect("the server does not panic").expect("the server could serve");
    criterion.final_summary();
}

/// The server's address, and the server itself, which goes on until the sender of `stopped` is gone.
async fn listen(
    config: Config,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<(String, impl Future<Output = Result<(), ServeError>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let serving = serve(listener, config, async move { drop(stopped.await) });
    Ok((url, serving))
}

fn fanout(criterion: &mut Criterion, url: &str) {
    let mut group = criterion.benchmark_group("fanout");
    for subscribers in [10, 100, 1_000] {
        let settings = || Settings {
            url: Some(url.to_owned()),
            subscribers: Some(Subscribers::new(subscribers)),
            ..Settings::default()
        };
        // Connected when the harness first wants it: never, if this one is filtered out.
        let mut connected: Option<Fanout> = None;
        group.throughput(Throughput::Elements(u64::from(subscribers)));
        group.bench_function(subscribers.to_string(), |bencher| {
            let fanout =
                connected.get_or_insert_with(|| Fanout::connect(settings()).expect("the server is up"));
            bencher.iter_custom(|posts| {
                (0..posts).map(|_| fanout.post()).sum::<Result<_, _>>().expect("everyone gets every post")
            });
        });
    }
    group.finish();
}
