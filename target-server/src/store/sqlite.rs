//! SQLite in WAL mode: one writing thread, a few reading connections.
//!
//! Readers see every write that was answered, because an answer follows its commit.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use tokio::{sync::Semaphore, task};

use super::{Store, StoreError, migrations, sql, writer::Writer};
use crate::{
    config::Durability,
    faults::Faults,
    metrics::StoreMeter,
    post::{NewPost, Page, PageRequest, Post, PostEdit, PostRemoval},
    user::{Credentials, NewUser},
};

/// Reads that run at the same time, each on its own connection.
const READERS_MAX: u32 = 4;
/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Users and posts in one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
}

/// Connections that only read; one is taken per read and put back.
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl SqliteStore {
    /// Opens or makes the file, brings it up to date and starts the writer.
    pub(crate) async fn open(
        path: PathBuf,
        durability: Durability,
        commit_writes: u16,
        meter: StoreMeter,
        faults: Option<Arc<Faults>>,
    ) -> Result<Self, StoreError> {
        let open = move || Self::open_blocking(&path, durability, commit_writes, meter, faults);
        task::spawn_blocking(open).await.unwrap_or(Err(StoreError::Stopped))
    }

    fn open_blocking(
        path: &Path,
        durability: Durability,
        commit_writes: u16,
        meter: StoreMeter,
        faults: Option<Arc<Faults>>,
    ) -> Result<Self, StoreError> {
        let cannot_open = |source| StoreError::Open { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(cannot_open)?;
        configure(&connection, durability).map_err(cannot_open)?;
        match migrations::run(&mut connection).map_err(cannot_open)? {
            Ok(found) => {
                tracing::info!(db = %path.display(), found, now = migrations::NEWEST, "database is up to date")
            }
            Err(found) => {
                let known = migrations::NEWEST;
                return Err(StoreError::NewerDatabase { path: path.to_owned(), found, known });
            }
        }
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open_reader = |_| {
            let reader = Connection::open_with_flags(path, read_only)?;
            reader.busy_timeout(BUSY_TIMEOUT)?;
            Ok(reader)
        };
        let idle = (0..READERS_MAX).map(open_reader).collect::<Result<Vec<_>, _>>().map_err(cannot_open)?;
        let (writer, thread) =
            Writer::start(connection, commit_writes, meter, faults).map_err(|_| StoreError::Stopped)?;
        let readers = Readers { idle: Mutex::new(idle), permits: Semaphore::new(READERS_MAX as usize) };
        Ok(Self { writer, thread: Mutex::new(Some(thread)), readers: Arc::new(readers) })
    }

    /// Runs `read` on a blocking thread with a connection of its own.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.readers.permits.acquire().await.map_err(|_| StoreError::Stopped)?;
        let readers = Arc::clone(&self.readers);
        let done = task::spawn_blocking(move || {
            let mut connection = readers.take().ok_or(StoreError::Stopped)?;
            let outcome = read(&mut connection);
            readers.put_back(connection);
            outcome
        });
        done.await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Readers {
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn put_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
        Durability::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_user(&self, user: NewUser) -> Result<(), StoreError> {
        self.writer.write(move |connection| sql::insert_user(connection, &user)).await
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let email = email.to_owned();
        self.read(move |connection| sql::credentials(connection, &email)).await
    }

    async fn status(&self, user_id: &str) -> Result<Option<String>, StoreError> {
        let user_id = user_id.to_owned();
        self.read(move |connection| sql::status(connection, &user_id)).await
    }

    async fn set_status(&self, user_id: &str, status: &str) -> Result<(), StoreError> {
        let (user_id, status) = (user_id.to_owned(), status.to_owned());
        self.writer.write(move |connection| sql::set_status(connection, &user_id, &status)).await
    }

    async fn create_post(&self, post: NewPost) -> Result<Post, StoreError> {
        self.writer.write(move |connection| sql::insert_post(connection, post)).await
    }

    async fn update_post(&self, edit: PostEdit) -> Result<Post, StoreError> {
        self.writer.write(move |connection| sql::update_post(connection, edit)).await
    }

    async fn delete_post(&self, removal: PostRemoval) -> Result<Post, StoreError> {
        self.writer.write(move |connection| sql::delete_post(connection, &removal)).await
    }

    async fn post(&self, id: &str) -> Result<Option<Post>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| sql::post(connection, &id)).await
    }

    async fn page(&self, page: PageRequest) -> Result<Page, StoreError> {
        self.read(move |connection| sql::page(connection, page)).await
    }

    fn takes_writes(&self) -> bool {
        self.writer.is_running()
    }

    async fn close(&self) {
        // The writer closes last, so that it can tidy up the log file.
        if let Ok(every_reader) = self.readers.permits.acquire_many(READERS_MAX).await {
            every_reader.forget();
            self.readers.permits.close();
            self.readers.close();
        }
        self.writer.stop().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the writing thread broke; unanswered writes may be lost");
            }
        }
    }
}
