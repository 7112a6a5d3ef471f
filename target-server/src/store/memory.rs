//! Users and posts in this process only, for runs that must not measure a disk.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{Store, StoreError};
use crate::{
    metrics::StoreMeter,
    post::{NewPost, Page, PageRequest, Post, PostEdit, PostRemoval},
    user::{ANONYMOUS_EMAIL, ANONYMOUS_ID, ANONYMOUS_NAME, Credentials, FIRST_STATUS, NO_PASSWORD, NewUser},
};

/// Users and posts behind one lock, held for the length of one operation and never across an await.
pub(crate) struct MemoryStore {
    tables: Mutex<Tables>,
    meter: StoreMeter,
}

#[derive(Default)]
struct Tables {
    users: HashMap<String, User>,
    user_ids_by_email: HashMap<String, String>,
    /// By order of arrival, so that the newest is the last.
    posts: BTreeMap<u64, Post>,
    seqs_by_post_id: HashMap<String, u64>,
    next_seq: u64,
}

struct User {
    password_hash: String,
    name: String,
    status: String,
}

impl MemoryStore {
    pub(crate) fn new(meter: StoreMeter) -> Self {
        let mut tables = Tables::default();
        tables.add(NewUser {
            id: ANONYMOUS_ID.to_owned(),
            email: ANONYMOUS_EMAIL.to_owned(),
            password_hash: NO_PASSWORD.to_owned(),
            name: ANONYMOUS_NAME.to_owned(),
        });
        Self { tables: Mutex::new(tables), meter }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every write is a commit of its own here.
    fn count_write(&self) {
        self.meter.commits.inc();
        self.meter.writes.inc();
    }
}

impl Tables {
    fn add(&mut self, user: NewUser) {
        self.user_ids_by_email.insert(user.email, user.id.clone());
        let kept =
            User { password_hash: user.password_hash, name: user.name, status: FIRST_STATUS.to_owned() };
        self.users.insert(user.id, kept);
    }

    /// The place of a post that belongs to the caller.
    fn own_seq(&self, id: &str, caller_id: &str) -> Result<u64, StoreError> {
        let unknown = || StoreError::UnknownPost { id: id.to_owned() };
        let seq = *self.seqs_by_post_id.get(id).ok_or_else(unknown)?;
        let post = self.posts.get(&seq).ok_or_else(unknown)?;
        if post.creator.id == caller_id { Ok(seq) } else { Err(StoreError::NotCreator { id: id.to_owned() }) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_user(&self, user: NewUser) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if tables.user_ids_by_email.contains_key(&user.email) {
            return Err(StoreError::EmailTaken { email: user.email });
        }
        tables.add(user);
        self.count_write();
        Ok(())
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let tables = self.tables();
        let id = tables.user_ids_by_email.get(email);
        Ok(id.and_then(|id| {
            let user = tables.users.get(id)?;
            Some(Credentials { id: id.clone(), password_hash: user.password_hash.clone() })
        }))
    }

    async fn status(&self, user_id: &str) -> Result<Option<String>, StoreError> {
        Ok(self.tables().users.get(user_id).map(|user| user.status.clone()))
    }

    async fn set_status(&self, user_id: &str, status: &str) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let user = tables
            .users
            .get_mut(user_id)
            .ok_or_else(|| StoreError::UnknownUser { id: user_id.to_owned() })?;
        status.clone_into(&mut user.status);
        self.count_write();
        Ok(())
    }

    async fn create_post(&self, post: NewPost) -> Result<Post, StoreError> {
        let mut tables = self.tables();
        let Some(name) = tables.users.get(&post.creator_id).map(|user| user.name.clone()) else {
            return Err(StoreError::UnknownUser { id: post.creator_id });
        };
        let post = post.stored_as(name);
        let seq = tables.next_seq;
        tables.next_seq += 1;
        tables.seqs_by_post_id.insert(post.id.clone(), seq);
        tables.posts.insert(seq, post.clone());
        self.count_write();
        Ok(post)
    }

    async fn update_post(&self, edit: PostEdit) -> Result<Post, StoreError> {
        let mut tables = self.tables();
        let seq = tables.own_seq(&edit.id, &edit.caller_id)?;
        let unknown = StoreError::UnknownPost { id: edit.id.clone() };
        let post = tables.posts.get_mut(&seq).ok_or(unknown)?;
        post.apply(edit);
        self.count_write();
        Ok(post.clone())
    }

    async fn delete_post(&self, removal: PostRemoval) -> Result<Post, StoreError> {
        let mut tables = self.tables();
        let seq = tables.own_seq(&removal.id, &removal.caller_id)?;
        tables.seqs_by_post_id.remove(&removal.id);
        let post = tables.posts.remove(&seq).ok_or(StoreError::UnknownPost { id: removal.id })?;
        self.count_write();
        Ok(post)
    }

    async fn post(&self, id: &str) -> Result<Option<Post>, StoreError> {
        let tables = self.tables();
        Ok(tables.seqs_by_post_id.get(id).and_then(|seq| tables.posts.get(seq)).cloned())
    }

    async fn page(&self, page: PageRequest) -> Result<Page, StoreError> {
        let tables = self.tables();
        let as_size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let newest_first = tables.posts.values().rev();
        let posts = newest_first.skip(as_size(page.offset())).take(as_size(page.per_page)).cloned().collect();
        Ok(Page { posts, total_items: tables.posts.len() as u64 })
    }

    fn takes_writes(&self) -> bool {
        true
    }

    async fn close(&self) {}
}
