//! Group commit: one thread owns the only connection that writes.
//!
//! While a commit waits for the disk, writes gather in a bounded queue; the next commit takes all of them, up to a
//! bound. So the rate of posts is not bound by one fsync each.
//!
//! Invariant: a reply is sent after the COMMIT that holds its write.
//! Invariant: each write has its own savepoint, so one that fails takes no other with it.
//! Invariant: writes take effect in the order of the queue.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use crate::{clock, faults::Faults, metrics::StoreMeter};

/// Writes waiting for the writer; past it, writers wait their turn.
const QUEUE_WRITES_MAX: usize = 1024;

/// A write on its way: it runs inside a batch and is answered after the batch.
trait Write: Send {
    /// Does the statements; says whether they are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells whoever waits. `committed` is the fate of the batch.
    fn answer(self: Box<Self>, committed: Result<(), &str>);
}

struct Pending<T, F> {
    statements: Option<F>,
    done: Option<Result<T, StoreError>>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Write for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.done = self.statements.take().map(|statements| statements(connection));
        matches!(self.done, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, committed: Result<(), &str>) {
        let not_committed = |why: &str| StoreError::NotCommitted(why.to_owned());
        let outcome = match (self.done, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(why)) => Err(not_committed(why)),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(not_committed("the write was never run")),
        };
        // Whoever asked may have gone away; the write is stored all the same.
        let _ = self.caller.send(outcome);
    }
}

enum Task {
    Write(Box<dyn Write>),
    Stop,
}

/// The way to the writing thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Task>,
    meter: StoreMeter,
}

impl Writer {
    /// Starts the thread, which puts at most `commit_writes` into one commit. It ends when it is told to stop or nobody
    /// can write any more.
    pub(super) fn start(
        connection: Connection,
        commit_writes: u16,
        meter: StoreMeter,
        faults: Option<Arc<Faults>>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, tasks) = mpsc::channel(QUEUE_WRITES_MAX);
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn({
            let meter = meter.clone();
            move || run(connection, usize::from(commit_writes), tasks, &meter, faults.as_deref())
        })?;
        Ok((Self { queue, meter }, thread))
    }

    /// Runs `write` in the next commit and waits for that commit.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answered) = oneshot::channel();
        let write = Box::new(Pending { statements: Some(write), done: None, caller });
        self.meter.waiting.inc();
        let sent = self.queue.send(Task::Write(write)).await;
        if sent.is_err() {
            self.meter.waiting.dec();
            return Err(StoreError::Stopped);
        }
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Asks the thread to finish what is queued and end.
    pub(super) async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Task::Stop).await;
    }

    pub(super) fn is_running(&self) -> bool {
        !self.queue.is_closed()
    }
}

fn run(
    mut connection: Connection,
    commit_writes: usize,
    mut tasks: mpsc::Receiver<Task>,
    meter: &StoreMeter,
    faults: Option<&Faults>,
) {
    let mut batch = Vec::with_capacity(commit_writes);
    let mut stopping = false;
    while !stopping {
        match tasks.blocking_recv() {
            Some(Task::Write(write)) => batch.push(write),
            Some(Task::Stop) | None => break,
        }
        while batch.len() < commit_writes {
            match tasks.try_recv() {
                Ok(Task::Write(write)) => batch.push(write),
                Ok(Task::Stop) => {
                    stopping = true;
                    break;
                }
                Err(_) => break,
            }
        }
        let writes = batch.len();
        let begun_ns = clock::monotonic_ns();
        // As a slow disk would: who waits for the commit, and what comes meanwhile, waits for this, too.
        std::thread::sleep(faults.map_or(Duration::ZERO, Faults::slow_commit));
        let committed = commit(&mut connection, &mut batch).map_err(|why| why.to_string());
        meter.commit_seconds.observe((clock::monotonic_ns() - begun_ns) as f64 / 1e9);
        meter.waiting.sub(i64::try_from(writes).unwrap_or(i64::MAX));
        match &committed {
            Ok(()) => {
                meter.commits.inc();
                meter.writes.inc_by(writes as u64);
            }
            Err(why) => tracing::error!(writes, %why, "commit failed"),
        }
        let committed = committed.as_ref().copied().map_err(String::as_str);
        for write in batch.drain(..) {
            write.answer(committed);
        }
    }
    if let Err((_, why)) = connection.close() {
        tracing::warn!(%why, "the database did not close cleanly; it recovers at the next start");
    }
}

/// Runs the whole batch in one transaction. On failure nothing of it is stored.
fn commit(connection: &mut Connection, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in batch {
        // Dropped, a savepoint rolls back.
        let savepoint = transaction.savepoint()?;
        if write.run(&savepoint) {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
    }
    transaction.commit()
}
