//! Subscribers that are client objects of the `rust_socketio` crate, for cross-checks of the engine.
//!
//! One thread runs the clients of a shard on a runtime of its own, and the shard's bookkeeping between them. What only
//! the crate could tell stays unknown: kernel stamps, the steps of an attempt, local addresses. A client leaves without a
//! goodbye, and one that failed to connect may keep its socket until then: it cannot be closed from outside.

use std::error::Error;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use feedmark_core::marker::{Marker, MarkerFinder};
use feedmark_core::session::SessionError;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::EngineReport;
use super::connection::Ended;
use super::connector::Attempt;
use super::shard::Shard;
use crate::clock::RunClock;

/// Longest pause between two looks at what is due.
const LOOK_NS: u64 = 20_000_000;
/// How the crate begins to tell of a CONNECT_ERROR; the payload follows.
const CONNECT_ERROR: &str = "Received an ConnectError frame: ";

/// What all clients of a run have in common.
#[derive(Debug, Clone)]
pub struct ClientSpec {
    /// Address of the target and path of its Socket.IO endpoint; the crate takes `/` for `/socket.io/`.
    pub url: String,
    /// Headers of the upgrade request; of several with one name the last counts.
    pub headers: Vec<(String, String)>,
    /// Namespace.
    pub namespace: String,
    /// Event that carries a post.
    pub event: String,
    /// Payload of CONNECT.
    pub auth: Option<Value>,
}

impl ClientSpec {
    /// The crate keeps an event of this name for itself.
    pub fn keeps(event: &str) -> bool {
        matches!(Event::from(event), Event::Connect | Event::Close | Event::Error)
    }
}

/// The clients of one shard.
pub(super) struct Clients {
    runtime: Runtime,
    seat: Seat,
}

/// What every client has of its shard. The crate's callbacks have to be `Sync`; with one thread nobody waits for the lock.
#[derive(Clone)]
struct Seat {
    spec: Arc<ClientSpec>,
    connect_timeout: Duration,
    clock: RunClock,
    shard: Arc<Mutex<Shard>>,
    /// Something has changed that may let the next client connect.
    changed: Arc<Notify>,
}

/// Where a client stands, as its callbacks tell.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Connecting,
    Live,
    /// It said that something failed, which may be its end or not.
    Failed(String),
    Disconnected,
}

impl Clients {
    /// Also gives what wakes the thread.
    pub(super) fn new(
        spec: ClientSpec,
        subscribers: u32,
        connect_timeout_ns: u64,
        clock: RunClock,
        shard: Shard,
    ) -> io::Result<(Self, Arc<Notify>)> {
        let changed = Arc::new(Notify::new());
        let seat = Seat {
            spec: Arc::new(spec),
            connect_timeout: Duration::from_nanos(connect_timeout_ns),
            clock,
            shard: Arc::new(Mutex::new(shard)),
            changed: Arc::clone(&changed),
        };
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // All of them may be readable at once, and one look has to see them all.
            .max_io_events_per_tick(subscribers as usize + 1)
            .build()?;
        Ok((Self { runtime, seat }, changed))
    }

    /// Runs until told to finish.
    pub(super) fn run(self) -> EngineReport {
        let Self { runtime, seat } = self;
        runtime.block_on(conduct(&seat));
        // Ends every client.
        drop(runtime);
        let shard = Arc::into_inner(seat.shard).expect("no client outlives its runtime");
        shard.into_inner().expect(UNPOISONED).finish()
    }
}

/// Connects, settles and obeys, like a reactor between its reads.
async fn conduct(seat: &Seat) {
    loop {
        let asked_ns = seat.clock.now_ns();
        // So that all that had arrived by then is read: to yield has the runtime ask the kernel who can read, and it takes
        // its tasks in turn, so the empty one comes after all of those.
        tokio::task::yield_now().await;
        tokio::spawn(ready(())).await.expect("nothing in it can fail");
        let wake_ns = {
            let mut shard = seat.shard();
            while let Some(attempt) = shard.connector.next(seat.clock.now_ns()) {
                tokio::spawn(subscribe(seat.clone(), attempt));
            }
            shard.settle(asked_ns, true);
            let finish = shard.obey();
            shard.publish();
            if finish.is_some() {
                return;
            }
            shard.connector.wake_ns().unwrap_or(u64::MAX)
        };
        let pause_ns = wake_ns.saturating_sub(seat.clock.now_ns()).min(LOOK_NS);
        // Woken or not, it looks.
        let _ = timeout(Duration::from_nanos(pause_ns), seat.changed.notified()).await;
    }
}

/// One attempt, and if it succeeds, the life of the client.
async fn subscribe(seat: Seat, attempt: Attempt) {
    let started_ns = seat.clock.now_ns();
    // The client's callbacks hold the other end: when it closes, the client is over, whatever it said or did not say.
    let (tell, mut state) = watch::channel(State::Connecting);
    let mut client = None;
    let connecting = async {
        client = Some(seat.builder(attempt.subscriber, tell).connect().await.map_err(describe)?);
        match state.wait_for(|state| *state != State::Connecting).await.map(|state| state.clone()) {
            Ok(State::Live) => Ok(()),
            Ok(state) => Err(explain(&state)),
            Err(_) => Err(Ended::EndOfStream),
        }
    };
    let connected = timeout(seat.connect_timeout, connecting).await.unwrap_or(Err(Ended::ClientTimeout));
    if let Err(ended) = connected {
        seat.shard().fail(attempt, &ended, seat.clock.now_ns());
        seat.changed.notify_one();
        if let Some(client) = client {
            // Who cannot be told is gone already.
            let _ = client.disconnect().await;
        }
        return;
    }
    seat.shard().live(attempt.subscriber, started_ns, seat.clock.now_ns(), None);
    seat.changed.notify_one();
    // It runs by itself; what is held of it here would keep its callbacks.
    drop(client);
    while state.changed().await.is_ok() && *state.borrow() != State::Disconnected {}
    let ended = explain(&state.borrow());
    seat.shard().lose(attempt.subscriber, &ended, seat.clock.now_ns());
}

impl Seat {
    fn shard(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().expect(UNPOISONED)
    }

    /// A client with every option set: no reconnection, WebSocket from the start.
    fn builder(&self, subscriber: u32, state: watch::Sender<State>) -> ClientBuilder {
        let spec = &self.spec;
        let to = |told: fn(&Payload) -> State| {
            let state = state.clone();
            move |payload: Payload, _: Client| {
                state.send_replace(told(&payload));
                done()
            }
        };
        let mut builder = ClientBuilder::new(spec.url.as_str())
            .transport_type(TransportType::Websocket)
            .reconnect(false)
            .reconnect_on_disconnect(false)
            .namespace(spec.namespace.as_str())
            .on(Event::Connect, to(|_| State::Live))
            .on(Event::Error, to(|payload| State::Failed(said(payload))))
            .on(Event::Close, to(|_| State::Disconnected));
        for (name, value) in &spec.headers {
            builder = builder.opening_header(name.as_str(), value.as_str());
        }
        if let Some(auth) = &spec.auth {
            builder = builder.auth(auth.clone());
        }
        let seat = self.clone();
        builder.on(spec.event.as_str(), move |payload, _| {
            // Nobody listens to a client that did not connect in time.
            if !state.is_closed() {
                seat.receive(subscriber, &payload);
            }
            done()
        })
    }

    /// An event, given to the callback just now.
    fn receive(&self, subscriber: u32, payload: &Payload) {
        let now_ns = self.clock.now_ns();
        let mut shard = self.shard();
        let Some(marker) = find(&shard.finder, payload) else { return };
        let read = shard.arrivals.read(None, now_ns, now_ns);
        if shard.arrive(subscriber, marker, &read).is_some() {
            shard.arrivals.last_in_read(&read);
        }
    }
}

const UNPOISONED: &str = "nobody panics with the shard in hand";

/// What a callback gives back.
fn done() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(ready(()))
}

/// The marker of a post, whose JSON the crate has taken apart.
fn find(finder: &MarkerFinder, payload: &Payload) -> Option<Marker> {
    match payload {
        Payload::Binary(bytes) => finder.find(bytes),
        Payload::Text(values) => values.iter().find_map(|value| find_in(finder, value)),
        // Only what is sent can still be a string.
        _ => None,
    }
}

fn find_in(finder: &MarkerFinder, value: &Value) -> Option<Marker> {
    match value {
        Value::String(text) => finder.find(text.as_bytes()),
        Value::Array(values) => values.iter().find_map(|value| find_in(finder, value)),
        Value::Object(fields) => fields
            .iter()
            .find_map(|(name, value)| finder.find(name.as_bytes()).or_else(|| find_in(finder, value))),
        _ => None,
    }
}

/// The text of an error that the crate tells of.
fn said(payload: &Payload) -> String {
    let Payload::Text(values) = payload else { return String::new() };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.first().map(text).unwrap_or_default()
}

/// Why a client in this state is over.
fn explain(state: &State) -> Ended {
    match state {
        State::Failed(text) => match text.strip_prefix(CONNECT_ERROR) {
            Some(refusal) => SessionError::ConnectRefused(refusal.to_owned()).into(),
            None => Ended::Client(text.clone()),
        },
        State::Disconnected => SessionError::Disconnected.into(),
        State::Connecting | State::Live => Ended::EndOfStream,
    }
}

/// The innermost cause says what happened; those around it say only where.
fn describe(error: rust_socketio::Error) -> Ended {
    let mut root: &(dyn Error + 'static) = &error;
    while let Some(source) = root.source() {
        root = source;
    }
    let code = root.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    code.map_or_else(|| Ended::Client(root.to_string()), |code| io::Error::from_raw_os_error(code).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_marker_is_found_wherever_the_target_put_it() {
        let finder = MarkerFinder::default();
        let marker = Marker { run: 1, writer: 2, seq: 3 };
        let text = marker.to_string();
        let mut name = serde_json::Map::new();
        name.insert(text.clone(), Value::Null);
        for values in [
            vec![json!(text)],
            vec![json!(1), json!({"post": {"n": 7, "title": format!("<{text}>")}})],
            vec![json!([null, [true, text]])],
            vec![Value::Object(name)],
        ] {
            assert_eq!(find(&finder, &Payload::Text(values.clone())), Some(marker), "{values:?}");
        }
        assert_eq!(find(&finder, &Payload::from(text.clone().into_bytes())), Some(marker));
        assert_eq!(find(&finder, &Payload::Text(vec![json!({"title": "none", "n": 1.5})])), None);
    }

    #[test]
    fn what_the_crate_tells_is_explained_as_the_engine_does() {
        let cause = |state: State| explain(&state).cause();
        assert_eq!(cause(State::Live), "connection closed");
        assert_eq!(cause(State::Disconnected), "disconnected by the target");
        assert_eq!(cause(State::Failed("EngineIO Error".into())), "rust_socketio: EngineIO Error");
        let refused = State::Failed(format!("{CONNECT_ERROR}{{\"message\":\"no token\"}}"));
        assert_eq!(cause(refused.clone()), "connect refused by the target");
        assert!(explain(&refused).to_string().contains("no token"));
    }

    #[test]
    fn a_system_error_is_found_inside_the_crates_own() {
        let error = io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
        assert_eq!(describe(error.into()).cause(), "connection refused");
    }

    #[test]
    fn events_that_the_crate_keeps_are_known() {
        let kept = ["open", "close", "error", "Error", "posts", "message", "connect"].map(ClientSpec::keeps);
        assert_eq!(kept, [true, true, true, true, false, false, false]);
    }
}
