//! Where users and posts live: one trait, two implementations.
//!
//! Invariant: a write that returned `Ok` is as durable as the implementation promises.
//! Invariant: writes take effect in the order in which their futures were first polled by one task; `feed` builds
//! the order of the broadcast on it.
//! Must not know: HTTP, sockets, tokens.

mod memory;
mod migrations;
mod sql;
mod sqlite;
mod writer;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

pub(crate) use self::{memory::MemoryStore, sqlite::SqliteStore};
use crate::{
    config::StoreKind,
    faults::Faults,
    metrics::StoreMeter,
    post::{NewPost, Page, PageRequest, Post, PostEdit, PostRemoval},
    user::{Credentials, NewUser},
};

/// Users and posts, kept.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    async fn create_user(&self, user: NewUser) -> Result<(), StoreError>;
    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError>;
    async fn status(&self, user_id: &str) -> Result<Option<String>, StoreError>;
    async fn set_status(&self, user_id: &str, status: &str) -> Result<(), StoreError>;

    /// Adds the post to the feed and to its creator's posts.
    async fn create_post(&self, post: NewPost) -> Result<Post, StoreError>;
    /// The post as it is after the edit.
    async fn update_post(&self, edit: PostEdit) -> Result<Post, StoreError>;
    /// The post as it was before it went.
    async fn delete_post(&self, removal: PostRemoval) -> Result<Post, StoreError>;
    async fn post(&self, id: &str) -> Result<Option<Post>, StoreError>;
    async fn page(&self, page: PageRequest) -> Result<Page, StoreError>;

    /// Whether writes can still be taken.
    fn takes_writes(&self) -> bool;
    /// Finishes every write taken so far and takes no more.
    async fn close(&self);
}

/// Opens the store that the configuration names.
pub(crate) async fn open(
    kind: &StoreKind,
    meter: StoreMeter,
    faults: Option<Arc<Faults>>,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match kind {
        StoreKind::Memory => Arc::new(MemoryStore::new(meter)),
        StoreKind::Sqlite { path, durability, commit_writes } => {
            Arc::new(SqliteStore::open(path.clone(), *durability, *commit_writes, meter, faults).await?)
        }
    })
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody signed up with this address before.
    #[error("{email} already has an account: log in, or sign up with another address")]
    EmailTaken {
        /// The address.
        email: String,
    },
    /// No such user.
    #[error("no user has the id {id}: log in again")]
    UnknownUser {
        /// The id asked for.
        id: String,
    },
    /// No such post.
    #[error("no post has the id {id}")]
    UnknownPost {
        /// The id asked for.
        id: String,
    },
    /// Only the creator changes or deletes a post.
    #[error("post {id} belongs to someone else: only its creator may change it")]
    NotCreator {
        /// The post.
        id: String,
    },
    /// The file was written by a later version of this program.
    #[error("{} has schema version {found}, this program knows up to {known}: use a newer program or another --db", path.display())]
    NewerDatabase {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The file cannot be opened or brought up to date.
    #[error("cannot open the database {}: {source}; check the path and its rights, or name another with --db", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The batch that the write was part of could not be committed.
    #[error("the write was not stored: {0}; check the disk behind --db")]
    NotCommitted(String),
    /// SQLite refused.
    #[error("the database failed: {0}; check the disk behind --db")]
    Sqlite(#[from] rusqlite::Error),
    /// The store is closed or its worker is gone.
    #[error("the store takes no more work: the server is stopping")]
    Stopped,
}
