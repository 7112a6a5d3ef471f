//! Misbehaving on command, and saying exactly what was done.
//!
//! ```text
//! flags, PUT /admin/faults -> Fault (grammar) -> Plan: what shall happen, a pure function of seed, post and socket
//!
//! publisher -- takes a post: number, refusal --------------------------------> truth log
//! TCP <- Stream <- HTTP server: stands still in a stall, replies wait    --> truth log
//! TCP <- wire   <- Stream <- WebSocket: whole frames, each when it is due --> truth log
//! ```
//!
//! Sockets are numbered from 0 in the order of their upgrades; posts from 0 in the order in which the publisher takes
//! them, which is the order in which they are emitted. Refused posts and posts that could not be stored have
//! numbers too. What subscribers get over long polling are HTTP answers: only a stall concerns them.
//!
//! Invariant: a server without faults, truth log and admin token has none of this between itself and its connections.
//! Must not know: who measures, markers.

mod connection;
mod dice;
mod fault;
mod grammar;
mod inbox;
mod keys;
mod pacer;
mod plan;
mod posts;
mod socket;
mod splitter;
mod stream;
mod truth;
mod wire;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{Method, StatusCode};
use tokio::{net::TcpStream, time::sleep};
use tower::ServiceExt;

use crate::{
    clock,
    config::Config,
    metrics::{FaultCounters, Metrics},
    routes::POST_PATH,
    server::ServeError,
};
use inbox::{Inbox, Say};
use plan::Plan;
use posts::{Posts, Taken};
use socket::{Reply, Socket};
use stream::Stream;
use truth::{Event, Log, Truth};

pub use fault::Fault;
pub(crate) use fault::{Kind, Refusal};
pub use keys::BadFault;

/// What may wait for one socket, besides the two largest messages.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was made of a new post.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    Taken { number: u64 },
    Refused { number: u64, how: Refusal },
}

/// The poster's connection is reset instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset on command")]
pub(crate) struct Reset;

/// See the module.
pub(crate) struct Faults {
    plan: RwLock<Arc<Plan>>,
    posts: Arc<Posts>,
    next_post: AtomicU64,
    next_socket: AtomicU64,
    inbox: Arc<Inbox>,
    wire: Mutex<Option<JoinHandle<()>>>,
    truth: Truth,
    log: Mutex<Log>,
    counters: FaultCounters,
    waiting_bytes_max: usize,
}

impl Faults {
    /// Starts what is needed; nothing when nothing is asked for.
    pub(crate) fn open(config: &Config, metrics: &Metrics) -> Result<Option<Arc<Self>>, ServeError> {
        if config.faults.is_empty() && config.admin_token.is_none() && config.truth_log.is_none() {
            return Ok(None);
        }
        let log = match &config.truth_log {
            None => Log::none(),
            Some(path) => Log::create(path, config.truth_log_lines_max)
                .map_err(|source| ServeError::TruthLog { path: path.clone(), source })?,
        };
        let (truth, counters) = (log.truth(), metrics.faults.clone());
        let plan = Arc::new(Plan::new(config.fault_seed, config.faults.clone()));
        report_plan(&plan, &truth);
        let posts = Arc::new(Posts::default());
        let inbox = Arc::new(Inbox::new().map_err(ServeError::Faults)?);
        let wire = wire::Start {
            inbox: Arc::clone(&inbox),
            posts: Arc::clone(&posts),
            truth: truth.clone(),
            counters: counters.clone(),
            plan: Arc::clone(&plan),
        };
        let wire = wire.spawn().map_err(ServeError::Faults)?;
        Ok(Some(Arc::new(Self {
            plan: RwLock::new(plan),
            posts,
            next_post: AtomicU64::new(0),
            next_socket: AtomicU64::new(0),
            inbox,
            wire: Mutex::new(Some(wire)),
            truth,
            log: Mutex::new(log),
            counters,
            waiting_bytes_max: WAITING_BYTES_MAX.saturating_add(config.max_payload_bytes.saturating_mul(2)),
        })))
    }

    /// Ends the wire, then the log. All connections should have ended.
    pub(crate) async fn end(self: Arc<Self>) {
        self.inbox.stop();
        let ended = tokio::task::spawn_blocking(move || {
            let wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner).take();
            if wire.is_some_and(|wire| wire.join().is_err()) {
                tracing::error!("the wire failed: its last words are on standard error");
            }
            self.log.lock().unwrap_or_else(PoisonError::into_inner).end();
        });
        if let Err(why) = ended.await {
            tracing::error!(%why, "the truth log may have no end");
        }
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The faults in force.
    pub(crate) fn shown(&self) -> Vec<Fault> {
        self.plan().faults().to_vec()
    }

    /// Other faults from now on, whose times count from the next post.
    pub(crate) fn replace(&self, faults: Vec<Fault>) {
        let mut plan = self.plan.write().unwrap_or_else(PoisonError::into_inner);
        *plan = Arc::new(Plan::new(plan.seed(), faults));
        report_plan(&plan, &self.truth);
        self.inbox.say([Say::Plan(Arc::clone(&plan))]);
    }

    /// Numbers a new post, before it is stored. Posts come one at a time, from the publisher.
    pub(crate) fn take(&self, id: &str, title: &str) -> Verdict {
        // Held until the post is told: it belongs to the plan that was told before it.
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner);
        let (number, at) = (self.next_post.fetch_add(1, Ordering::Relaxed), clock::monotonic_ns());
        self.truth.report(|| Event::Post { p: number, id: id.to_owned(), title: title.to_owned(), at });
        if plan.start(at) {
            self.inbox.say([Say::Plan(Arc::clone(&plan))]);
        }
        if let Some(how) = plan.refusal(number, at) {
            self.counters.count(Kind::Refuse);
            self.truth.report(|| Event::Refuse { p: number, how, at: clock::monotonic_ns() });
            return Verdict::Refused { number, how };
        }
        self.posts.add(Arc::new(Taken { number, id: id.to_owned(), at_ns: at, plan: Arc::clone(&plan) }));
        Verdict::Taken { number }
    }

    /// What the HTTP server gets instead of the connection, and a handle to the same.
    pub(crate) fn wrap(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> (Stream, Arc<Socket>) {
        let socket = Arc::new(Socket::new(stream, peer, self.truth.clone()));
        (Stream::new(Arc::clone(&socket), Arc::clone(self)), socket)
    }

    /// How long the commit that begins now takes longer.
    pub(crate) fn slow_commit(&self) -> Duration {
        let wait_ns = self.plan().commit_ns(clock::monotonic_ns());
        if wait_ns > 0 {
            self.counters.count(Kind::SlowCommit);
        }
        Duration::from_nanos(wait_ns)
    }

    fn stalled_until(&self, now_ns: u64) -> Option<u64> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).stalled_until(now_ns)
    }

    /// Returns at once, or at the end of the stall.
    pub(crate) async fn stall(&self) {
        let mut now_ns = clock::monotonic_ns();
        while let Some(until_ns) = self.stalled_until(now_ns) {
            sleep(Duration::from_nanos(until_ns - now_ns)).await;
            now_ns = clock::monotonic_ns();
        }
    }

    /// Answers a request as the router does, and makes the answer wait or fail where a fault says so.
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        router: Router,
        socket: &Socket,
    ) -> Result<Response, Reset> {
        let is_post = request.method() == Method::POST && request.uri().path() == POST_PATH;
        let Ok(response) = router.oneshot(request).await;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let number = self.next_socket.fetch_add(1, Ordering::Relaxed);
            let wait_ns = self.plan().handshake_ns(number, clock::monotonic_ns());
            if wait_ns > 0 {
                self.counters.count(Kind::SlowHandshake);
                sleep(Duration::from_nanos(wait_ns)).await;
            }
            socket.upgrade(number);
        } else if is_post {
            let verdict = response.extensions().get().copied();
            self.reply(verdict, response.status(), socket).await?;
        }
        Ok(response)
    }

    async fn reply(
        &self,
        verdict: Option<Verdict>,
        status: StatusCode,
        socket: &Socket,
    ) -> Result<(), Reset> {
        let post = match verdict {
            Some(Verdict::Refused { how: Refusal::Reset, .. }) => {
                socket.reset_on_close();
                return Err(Reset);
            }
            Some(Verdict::Taken { number } | Verdict::Refused { number, .. }) => Some(number),
            None => None,
        };
        let now_ns = clock::monotonic_ns();
        if let Some(until_ns) = post.and_then(|post| self.plan().reply_until(post, now_ns)) {
            self.counters.count(Kind::StallReplies);
            sleep(Duration::from_nanos(until_ns - now_ns)).await;
        }
        socket.expect_reply(Reply { post, status: status.as_u16() });
        Ok(())
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

fn report_plan(plan: &Plan, truth: &Truth) {
    truth.report(|| Event::Faults {
        at: clock::monotonic_ns(),
        seed: plan.seed(),
        faults: plan.faults().to_vec(),
    });
}
