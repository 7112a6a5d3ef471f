//! One post at a time, and how long until everyone has it: a feed under a benchmark harness.
//!
//! A run ([`crate::run`]) keeps a schedule and asks what people see at a load. This asks what one post costs
//! an otherwise idle feed, which is what a harness can compare from commit to commit: the next post waits for
//! the last delivery of the one before, so it is closed loop on purpose, and says nothing about capacity.
//!
//! The subscribers, the writer and the ledger are those of a run, and the arrivals are stamped as there.
//!
//! ```no_run
//! use criterion::Criterion;
//! use feedmark::bench::Fanout;
//! use feedmark::settings::Settings;
//! use feedmark::units::Subscribers;
//!
//! fn fanout(criterion: &mut Criterion) {
//!     let settings = Settings {
//!         url: Some("http://127.0.0.1:3000".to_owned()),
//!         subscribers: Some(Subscribers::new(100)),
//!         ..Settings::default()
//!     };
//!     let mut fanout = Fanout::connect(settings).expect("the feed is up");
//!     criterion.bench_function("fanout", |bencher| {
//!         bencher.iter_custom(|posts| {
//!             (0..posts).map(|_| fanout.post()).sum::<Result<_, _>>().expect("everyone got it")
//!         })
//!     });
//! }
//! ```

use std::sync::Arc;
use std::time::Duration;

use feedmark_core::ledger::{Pass, SettledPost};

use crate::clock::RunClock;
use crate::engine::{Engine, EngineConfig};
use crate::limits::Limits;
use crate::live::Live;
use crate::probe::remedy;
use crate::run::{self, RunError};
use crate::scenario::{Scenario, ScenarioError};
use crate::settings::Settings;
use crate::target::Target;
use crate::writers::LoneWriter;

/// How often it is looked whether the engine still goes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is no time to give.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// As a run fails that cannot begin: wrong settings, no target, nobody connected.
    #[error(transparent)]
    Start(#[from] RunError),
    /// Some subscribers could not connect.
    #[error("{failed} of {subscribers} subscribers could not connect to {target}: {failure}")]
    NotConnected {
        /// How many.
        failed: u64,
        /// Of how many.
        subscribers: u32,
        /// The target.
        target: String,
        /// What happened to the first of them, with its remedy.
        failure: String,
    },
    /// The post was not accepted.
    #[error("the post to {target}{path} failed: {failure}")]
    Refused {
        /// The target.
        target: String,
        /// Path of the POST.
        path: String,
        /// What happened, with its remedy.
        failure: String,
    },
    /// Subscribers are not connected any more.
    #[error("{lost} of {subscribers} subscribers lost their connection to {target}: see its log")]
    Lost {
        /// How many.
        lost: u32,
        /// Of how many.
        subscribers: u32,
        /// The target.
        target: String,
    },
    /// Somebody did not get the post.
    #[error(
        "{missing} of {subscribers} subscribers of {target} did not receive the post as event `{event}` in namespace \
         `{namespace}` within {deadline_s} s: check these two settings, and that the target broadcasts the posted text"
    )]
    Missing {
        /// How many.
        missing: u32,
        /// Of how many.
        subscribers: u32,
        /// The target.
        target: String,
        /// Event waited for.
        event: String,
        /// Namespace waited in.
        namespace: String,
        /// Time waited.
        deadline_s: f64,
    },
}

/// Subscribers that are connected to a feed, and a writer. Dropped, it closes their connections.
pub struct Fanout {
    scenario: Scenario,
    target: Target,
    clock: RunClock,
    /// `None` in the drop alone.
    engine: Option<Engine>,
    writer: LoneWriter,
    /// The `run` of the latest marker: every post has one of its own.
    run: u32,
}

impl Fanout {
    /// Connects the subscribers of `settings` to its url and posts once, to see that a post reaches them all. Takes a
    /// second longer than to connect: who has been connected for less is not owed a post.
    ///
    /// Of the settings, those that describe a schedule (rate, duration, warm-up, arrivals) have no meaning here, and
    /// those for the reference server neither: the server is one that runs.
    ///
    /// # Errors
    /// When somebody could not connect, and when the post failed as in [`Fanout::post`].
    ///
    /// # Panics
    /// Inside an asynchronous runtime, which must not be blocked.
    pub fn connect(settings: Settings) -> Result<Self, FanoutError> {
        let mut fanout = Self::start(settings)?;
        let subscribers = fanout.scenario.subscribers;
        let failed = u64::from(subscribers).saturating_sub(fanout.engine().totals().established);
        if failed > 0 {
            let report = fanout.engine.take().map(|engine| engine.finish(true).connections);
            let failure = report.and_then(|report| report.first_failure).unwrap_or_default();
            let target = fanout.target.name.clone();
            return Err(FanoutError::NotConnected { failed, subscribers, target, failure });
        }
        fanout.post()?;
        Ok(fanout)
    }

    /// As a run starts, up to where the subscribers have connected or given up.
    fn start(settings: Settings) -> Result<Self, RunError> {
        let limits = Limits::read_and_raise()?;
        let scenario = Scenario::resolve(settings, limits.cpus)?;
        limits.check(&scenario)?;
        let Some(url) = &scenario.url else {
            let problem = "none is given: start the server to be measured, and give its address".to_owned();
            return Err(ScenarioError { setting: "url", problem }.into());
        };
        let target = Target::at(url, Duration::from_nanos(scenario.connect_timeout_ns))?;
        let clock = RunClock::start();
        let run = rand::random();
        let writer = LoneWriter::new(run::writers_config(&scenario, &target, run), clock)?;
        let config = EngineConfig { settle_early: true, ..run::engine_config(&scenario, &target) };
        let engine = Engine::start(&config, clock)?;
        let engine = run::connect(&scenario, engine, &mut Live::unseen(clock), &target.name)?;
        Ok(Self { scenario, target, clock, engine: Some(engine), writer, run })
    }

    /// Posts once, and waits for the reply and until every subscriber has the post. Gives the time from the moment at
    /// which the post is handed to the writer, its intended time, to the last delivery, by the kernel's receive stamps
    /// where the scenario asks for them and the kernel gives them.
    ///
    /// # Errors
    /// When the post is not acknowledged, or somebody does not have it at the deadline: such a post has no full fan-out.
    /// Who has lost the connection stays lost; a post that was missed can be followed by one that is not.
    pub fn post(&mut self) -> Result<Duration, FanoutError> {
        self.run = self.run.wrapping_add(1);
        // The ledger has to be there first. Its times count from then, and are shifted to the intended time below.
        let pass = Pass {
            run: self.run,
            base_ns: self.clock.now_ns(),
            offsets_ns: Arc::new([0]),
            deadline_ns: self.scenario.deadline_ns,
        };
        self.engine().begin(&pass, 0);
        let record = self.writer.post(self.run);
        if let Some(failure) = record.failure {
            return Err(FanoutError::Refused {
                target: self.target.name.clone(),
                path: self.scenario.post_path.clone(),
                failure: format!("{failure}{}", remedy(&failure)),
            });
        }
        let (mut owed, mut delivered, mut last_ns) = (0, 0, 0);
        for _ in 0..self.engine().shards() {
            let shard = self.next_settled();
            owed += shard.owed;
            delivered += shard.latencies_ns.len() as u32;
            last_ns = last_ns.max(shard.latencies_ns.into_iter().max().unwrap_or_default());
        }
        let (subscribers, target) = (self.scenario.subscribers, &self.target.name);
        if owed < subscribers {
            let lost = subscribers - owed;
            return Err(FanoutError::Lost { lost, subscribers, target: target.clone() });
        }
        if delivered < owed {
            return Err(FanoutError::Missing {
                missing: owed - delivered,
                subscribers,
                target: target.clone(),
                event: self.scenario.event.clone(),
                namespace: self.scenario.namespace.clone(),
                deadline_s: Duration::from_nanos(self.scenario.deadline_ns).as_secs_f64(),
            });
        }
        Ok(Duration::from_nanos((pass.base_ns + last_ns).saturating_sub(record.taken_ns)))
    }

    /// What a shard saw of the post. It settles when its subscribers have the post, at the deadline at the latest; if it
    /// has panicked, [`Engine::totals`] does, too.
    fn next_settled(&self) -> SettledPost {
        loop {
            if let Some(settled) = self.engine().next_settled(LOOK_EVERY) {
                return settled;
            }
            self.engine().totals();
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("there until the drop")
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.finish(false);
        }
    }
}
